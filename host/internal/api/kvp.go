package api

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/julienschmidt/httprouter"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// kvpPath is that of executions by POST too.
const kvpPath = "/processes/:processID/execution"

var docExecuteKVP = operation{
	"executeByQuery", "Execute a process, whose inputs are query parameters", "Processes", []string{"Prefer", "Cache-Control"}, "",
	docExecute.replies, []int{400, 404, 406, 414, 429, 500, 502, 503, 504, 507},
}

// maxKVP bounds the query of an execution, in bytes.
const maxKVP = 64 << 10

// executeKVP answers GET /processes/{processID}/execution (2.0 class kvp-execute):
// it makes of the query the request that a POST would carry, and goes on as that
// does. As the process runs anew each time, nobody may keep the reply.
func (a *API) executeKVP(w http.ResponseWriter, r *http.Request, params httprouter.Params) error {
	if e, ok := w.(*exchange); ok {
		e.noStore = true // whatever becomes of it
	}
	// A link can bring a browser here, and what a process makes of its query
	// must not run as a page of this server.
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "sandbox")
	process, err := a.process(r, params)
	if err != nil {
		return err
	}
	if len(r.URL.RawQuery) > maxKVP {
		return newProblem(http.StatusRequestURITooLong, "The query is too long. Send the request as a POST.")
	}
	k, err := parseKVP(process, r.URL.RawQuery)
	if err != nil {
		return err
	}
	return a.execute(w, k.post(r), params)
}

// kvp is an execute request that came as a query.
type kvp struct {
	body    []byte   // the JSON that a POST would have
	accept  string   // in place of the Accept header
	prefer  []string // besides the Prefer headers
	profile []string
}

// post returns the POST that means the same as the GET.
func (k *kvp) post(r *http.Request) *http.Request {
	p := *r
	p.Method, p.Body, p.ContentLength = http.MethodPost, io.NopCloser(bytes.NewReader(k.body)), int64(len(k.body))
	p.Header = maps.Clone(r.Header)
	delete(p.Header, "Content-Encoding")
	p.Header["Content-Type"] = []string{mediaJSON}
	if k.accept != "" {
		p.Header["Accept"] = []string{k.accept}
	}
	if len(k.prefer) > 0 {
		p.Header["Prefer"] = append(k.prefer, r.Header["Prefer"]...) // the first of several counts
	}
	u := *r.URL
	if u.RawQuery = ""; len(k.profile) > 0 {
		u.RawQuery = url.Values{"profile": k.profile}.Encode()
	}
	p.URL = &u
	return &p
}

// kvpReader takes a query apart and gathers what is wrong with it.
type kvpReader struct {
	process *job.Process
	inputs  map[string]*kvpParams // by input id
	outputs map[string]*kvpParams // by output id
	mixed   map[string]*kvpParams // of ids that are both, until it is clear whose they are
	result  kvp
	faults  []ogc.Fault
}

// kvpParams are the parameters of one input or output: its values as they are in
// the query, and those with a name in brackets, decoded.
type kvpParams struct {
	name   string   // as the client spells it
	raw    []string // still encoded, so that separators differ from what is in a value
	member map[string]string
}

// parseKVP reads the query of an execution (2.0 /req/kvp-execute/*). The error is
// an *job.InvalidError that names each parameter that is unknown or makes no sense.
func parseKVP(p *job.Process, query string) (*kvp, error) {
	k := &kvpReader{process: p, inputs: map[string]*kvpParams{}, outputs: map[string]*kvpParams{}, mixed: map[string]*kvpParams{}}
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		rawName, raw, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(rawName)
		if err != nil || !validText(name) {
			k.fault(rawName, "is not a well-formed name of a parameter")
			continue
		}
		value, err := url.QueryUnescape(raw)
		if err != nil || !validText(value) {
			k.fault(name, "is not well-formed percent-encoded UTF-8")
			continue
		}
		k.add(name, raw, value)
	}
	k.settle()
	k.build()
	if len(k.faults) > 0 {
		return nil, &job.InvalidError{Faults: k.faults}
	}
	return &k.result, nil
}

// maxKVPFaults is how many faults are told one by one: each lists what there is.
const maxKVPFaults = 50

func (k *kvpReader) fault(name, message string) {
	if len(k.faults) > maxKVPFaults {
		return
	}
	if len(k.faults) == maxKVPFaults {
		name, message = "", "there are more faults"
	}
	k.faults = append(k.faults, ogc.Fault{Input: name, Message: message})
}

// add takes in one parameter.
func (k *kvpReader) add(name, raw, value string) {
	id, member, bracketed := strings.Cut(name, "[")
	if bracketed {
		var closed bool
		if member, closed = strings.CutSuffix(member, "]"); !closed || member == "" {
			k.fault(name, "has unbalanced brackets")
			return
		}
	}
	input, isInput := idOf(k.process.Inputs, id)
	output, isOutput := idOf(k.process.Outputs, id)
	switch {
	case bracketed && k.response(id, member, value):
	case !bracketed && isInput:
		p := params(k.inputs, input, name)
		p.raw = append(p.raw, raw)
	case bracketed && isInput && inputMembers[member]:
		k.member(k.inputs, input, id, member, name, value)
	case bracketed && isOutput && outputMembers[member]:
		k.member(k.outputs, output, id, member, name, value)
	case bracketed && (isInput || isOutput) && formatMembers[member]:
		switch {
		case !isOutput:
			k.member(k.inputs, input, id, member, name, value)
		case !isInput:
			k.member(k.outputs, output, id, member, name, value)
		default:
			k.member(k.mixed, input, id, member, name, value)
		}
	case !bracketed && !isInput && k.general(id, value):
	default:
		k.fault(name, "is no parameter of this process; it has the inputs "+listed(k.process.Inputs)+" and the outputs "+listed(k.process.Outputs))
	}
}

// The names in brackets: of inputs, of outputs, and of both.
var (
	inputMembers  = map[string]bool{"value": true, "crs": true, "href": true, "type": true, "rel": true, "hreflang": true, "title": true}
	outputMembers = map[string]bool{"include": true, "transmissionMode": true}
	formatMembers = map[string]bool{"mediaType": true, "encoding": true, "schema": true}
)

func (k *kvpReader) member(of map[string]*kvpParams, id, spelt, member, name, value string) {
	p := params(of, id, spelt)
	if p.has(member) {
		k.fault(name, "is given more than once")
		return
	}
	p.member[member] = value
}

func (p *kvpParams) has(member string) bool {
	_, given := p.member[member]
	return given
}

func params(of map[string]*kvpParams, id, spelt string) *kvpParams {
	p := of[id]
	if p == nil {
		p = &kvpParams{name: spelt, member: map[string]string{}}
		of[id] = p
	}
	return p
}

// response takes in what stands for a header of the request.
func (k *kvpReader) response(id, member, value string) bool {
	if id != "response" || member != "f" && member != "prefer" {
		return false
	}
	if member == "prefer" {
		k.result.prefer = append(k.result.prefer, value)
		return true
	}
	k.format("response[f]", value)
	return true
}

// general takes in the parameters of every resource, where no input has their name.
func (k *kvpReader) general(name, value string) bool {
	switch name {
	case "f":
		k.format(name, value)
	case "profile":
		k.result.profile = append(k.result.profile, value)
	default:
		return false
	}
	return true
}

// format reads what could be an Accept header, or "json".
func (k *kvpReader) format(name, value string) {
	if value == "json" {
		value = mediaJSON
	}
	var ranges []string
	for element := range elements([]string{value}, ',') {
		element = plus(element)
		if _, ok := parseRange(element); !ok {
			k.fault(name, "must be a media type, or json")
			return
		}
		ranges = append(ranges, element)
	}
	switch {
	case len(ranges) == 0:
		k.fault(name, "must be a media type, or json")
	case k.result.accept != "":
		k.fault(name, "is given more than once")
	default:
		k.result.accept = strings.Join(ranges, ",")
	}
}

// settle gives the formats of ids that are both an input and an output to the
// output if that is included, unless the input has a [value], and else to the
// input.
func (k *kvpReader) settle() {
	for id, p := range k.mixed {
		to := k.inputs
		if out := k.outputs[id]; out != nil {
			if in := k.inputs[id]; in == nil || !in.has("value") {
				to = k.outputs
			}
		}
		maps.Copy(params(to, id, p.name).member, p.member)
	}
}

// build writes the JSON of the request.
func (k *kvpReader) build() {
	request := struct {
		Inputs  map[string]json.RawMessage     `json:"inputs"`
		Outputs map[string]ogc.OutputSelection `json:"outputs,omitzero"`
	}{Inputs: map[string]json.RawMessage{}, Outputs: k.selection()}
	for _, id := range slices.Sorted(maps.Keys(k.inputs)) {
		text, err := kvpInput(k.process.Inputs[id], k.inputs[id])
		if err != nil {
			k.fault(k.inputs[id].name, err.Error())
			continue
		}
		request.Inputs[id] = text
	}
	if len(k.faults) > 0 {
		return
	}
	var err error
	if k.result.body, err = json.Marshal(request); err != nil {
		k.fault("", "the query cannot be written as JSON")
	}
}

// selection returns the outputs that are included, or, when some are only
// excluded, the others; nil when nothing is said of them.
func (k *kvpReader) selection() map[string]ogc.OutputSelection {
	if len(k.outputs) == 0 {
		return nil
	}
	chosen, excluded := map[string]ogc.OutputSelection{}, map[string]bool{}
	for _, id := range slices.Sorted(maps.Keys(k.outputs)) {
		p := k.outputs[id]
		switch p.member["include"] {
		case "true":
			chosen[id] = k.outputFormat(p)
		case "false":
			excluded[id] = true
		case "":
			k.fault(p.name, "needs "+p.name+"[include]=true to be chosen")
		default:
			k.fault(p.name+"[include]", "must be true or false")
		}
	}
	if len(chosen) == 0 {
		for id := range k.process.Outputs {
			if !excluded[id] {
				chosen[id] = ogc.OutputSelection{}
			}
		}
	}
	return chosen
}

func (k *kvpReader) outputFormat(p *kvpParams) (s ogc.OutputSelection) {
	s.TransmissionMode = p.member["transmissionMode"]
	f := ogc.Format{MediaType: plus(p.member["mediaType"]), Encoding: p.member["encoding"]}
	if text, given := p.member["schema"]; given {
		var err error
		if f.Schema, err = schemaOrURI(text); err != nil {
			k.fault(p.name+"[schema]", err.Error())
		}
	}
	if f.MediaType != "" || f.Encoding != "" || f.Schema != nil {
		s.Format = &f
	}
	return s
}

// idOf finds an identifier, whose case may differ if that leaves no doubt.
func idOf[V any](ids map[string]V, name string) (string, bool) {
	if _, ok := ids[name]; ok {
		return name, true
	}
	found := ""
	for id := range ids {
		if strings.EqualFold(id, name) {
			if found != "" {
				return "", false
			}
			found = id
		}
	}
	return found, found != ""
}

func listed[V any](ids map[string]V) string {
	if len(ids) == 0 {
		return "(none)"
	}
	return strings.Join(slices.Sorted(maps.Keys(ids)), ", ")
}
