package api

import (
	"encoding/json"
	"slices"
	"strings"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// offerable decides before a process is run whether its results can be given in
// the form that the client wants. It fails with 406 for what the Accept header
// rules out and with an *job.InvalidError for formats that outputs do not have
// (2.0 /req/core/process-execute-output-format; spec 4.4, 4.6). Where Accept
// chooses between the formats of the only output, the request says so afterwards.
func offerable(p *job.Process, r *job.Request, a accept) error {
	if err := checkFormats(p, r.Outputs); err != nil {
		return err
	}
	if a.onlyJSON() {
		return nil // everything can be given as JSON
	}
	if mode, _ := job.Negotiate(p.JobControlOptions, r.Prefer, 1); mode == job.Async {
		return nil // the reply is a status document whatever the results are
	}
	id, format, err := admissible(p.Outputs, r.Outputs, r.Response, a)
	if err != nil || format == "" {
		return err
	}
	s := r.Outputs[id]
	s.Format = &ogc.Format{MediaType: format}
	r.Outputs = map[string]ogc.OutputSelection{id: s}
	return nil
}

// admissible is the decision of spec 4.6 as far as the description of the outputs
// tells: whether a reply that the client reads can come of what it selected. For
// a single output with several formats it returns its id and the format that
// Accept prefers.
func admissible(outputs map[string]ogc.Output, selection map[string]ogc.OutputSelection, response string, a accept) (id, format string, err error) {
	n, references := len(outputs), 0
	if selection != nil {
		n = len(selection)
	}
	for _, s := range selection {
		if s.TransmissionMode == "reference" {
			references++
		}
	}
	document, multipart := a.admits(mediaJSON), a.admits(mediaMultipart)
	switch {
	case n == 0, response == "raw" && references == n:
		return "", "", nil // nothing but a header
	case response == "document":
		if !document {
			err = notAcceptable(mediaJSON)
		}
		return "", "", err
	case n > 1:
		if !document && !multipart {
			err = notAcceptable(mediaJSON, mediaMultipart)
		}
		return "", "", err
	case references == 1:
		return "", "", nil // a redirection, if not a document
	}
	for id := range outputs {
		if _, wanted := selection[id]; wanted || selection == nil {
			format, err = admissibleValue(outputs[id], selection[id].Format, a)
			return id, format, err
		}
	}
	return "", "", nil // no such output: the service says so
}

// admissibleValue decides for a single output.
func admissibleValue(out ogc.Output, wanted *ogc.Format, a accept) (format string, err error) {
	var types []string
	formats := formatsOf(out)
	for _, f := range formats {
		types = append(types, f.mediaType)
	}
	several := len(formats) > 1 && slices.ContainsFunc(formats, func(f outputFormat) bool { return f.declared })
	if wanted != nil && wanted.MediaType != "" {
		types, several = []string{wanted.MediaType}, false
		if isJSON(wanted.MediaType) || sameType(wanted.MediaType, mediaText) {
			types = append(types, mediaText) // scalars are both
		}
	}
	if len(types) == 0 {
		return "", nil // the description does not tell
	}
	best := a.choose(append(types, mediaJSON)...)
	if best == "" && !slices.ContainsFunc(types, a.admitsLike) {
		return "", notAcceptable(append(types, mediaJSON)...)
	}
	if several && slices.Contains(types, best) {
		return best, nil
	}
	return "", nil
}

// onlyJSON reports whether nothing can be refused: the client accepts
// everything, or JSON and nothing else, into which everything can be put.
func (a accept) onlyJSON() bool {
	for _, r := range a {
		if r.main != "application" || r.sub != "json" {
			return false
		}
	}
	return len(a) == 0 || a.admits(mediaJSON)
}

// admitsLike is admits, but takes all JSON types for one: a schema does not say
// which of them the value will have.
func (a accept) admitsLike(mediaType string) bool {
	if a.admits(mediaType) {
		return true
	}
	return isJSON(mediaType) && slices.ContainsFunc(a, func(r mediaRange) bool {
		return r.q > 0 && strings.HasSuffix(r.sub, "+json")
	})
}

// checkFormats checks the formats that the client chose against the schemas of
// the outputs. Outputs that do not exist are for the service to find.
func checkFormats(p *job.Process, selection map[string]ogc.OutputSelection) error {
	var faults []ogc.Fault
	for id, s := range selection {
		if s.Format == nil {
			continue
		}
		if member, message := checkFormat(formatsOf(p.Outputs[id]), *s.Format); message != "" {
			faults = append(faults, ogc.Fault{
				Input: id, Pointer: "/outputs/" + escapePointer(id) + "/format/" + member, Message: message,
			})
		}
	}
	if len(faults) == 0 {
		return nil
	}
	slices.SortFunc(faults, func(a, b ogc.Fault) int { return strings.Compare(a.Pointer, b.Pointer) })
	return &job.InvalidError{Faults: faults}
}

// checkFormat looks for a format among those of an output, which are none when
// nobody knows them. It names the member that rules out the last of them.
func checkFormat(offers []outputFormat, wanted ogc.Format) (member, message string) {
	if len(offers) == 0 {
		return "", ""
	}
	names := offerNames(offers)
	if wanted.MediaType != "" {
		offers = slices.DeleteFunc(offers, func(o outputFormat) bool { return !o.hasType(wanted.MediaType) })
		if len(offers) == 0 {
			return "mediaType", "the output is offered as " + names + " only"
		}
	}
	if wanted.Encoding != "" {
		offers = slices.DeleteFunc(offers, func(o outputFormat) bool { return !o.hasEncoding(wanted.Encoding) })
		if len(offers) == 0 {
			return "encoding", "the output does not have this encoding"
		}
	}
	declares := func(o outputFormat) bool { return o.schema != nil }
	if len(wanted.Schema) > 0 && !isNull(wanted.Schema) && slices.ContainsFunc(offers, declares) {
		offers = slices.DeleteFunc(offers, func(o outputFormat) bool { return !sameJSON(o.schema, wanted.Schema) })
		if len(offers) == 0 {
			return "schema", "the output does not declare this schema"
		}
	}
	return "", ""
}

func offerNames(offers []outputFormat) string {
	var names []string
	for _, o := range offers {
		if !slices.Contains(names, o.mediaType) {
			names = append(names, o.mediaType)
		}
	}
	return strings.Join(names, " or ")
}

// outputFormat is one of the forms that the schema of an output allows.
type outputFormat struct {
	mediaType string
	declared  bool            // by contentMediaType, rather than by a JSON type
	binary    bool            // base64 where it is inline
	schema    json.RawMessage // contentSchema
}

// hasType compares media types with those parameters that the offer has.
func (f outputFormat) hasType(mediaType string) bool {
	if isJSON(f.mediaType) && isJSON(mediaType) {
		return true
	}
	if strings.Contains(f.mediaType, ";") && strings.Contains(mediaType, ";") {
		return job.CanonicalType(f.mediaType) == job.CanonicalType(mediaType)
	}
	return sameType(f.mediaType, mediaType)
}

func (f outputFormat) hasEncoding(name string) bool {
	if f.binary {
		return strings.EqualFold(name, "base64") || strings.EqualFold(name, "binary")
	}
	return strings.EqualFold(name, "utf-8") || strings.EqualFold(name, "utf8")
}

func sameJSON(a, b json.RawMessage) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	ca, errA := json.Marshal(x)
	cb, errB := json.Marshal(y)
	return errA == nil && errB == nil && string(ca) == string(cb)
}

// formatSchema is what the schema of an output tells about its media types.
type formatSchema struct {
	Type             json.RawMessage `json:"type"`
	ContentMediaType string          `json:"contentMediaType"`
	ContentEncoding  string          `json:"contentEncoding"`
	ContentSchema    json.RawMessage `json:"contentSchema"`
	OneOf            []formatSchema  `json:"oneOf"`
	AnyOf            []formatSchema  `json:"anyOf"`
}

// formatsOf returns the formats that an output can be given in, the default one
// first, without those that JSON wraps. It is nil when the schema does not say.
func formatsOf(out ogc.Output) []outputFormat {
	if out.Max() != 1 {
		return []outputFormat{{mediaType: mediaJSON}} // an array
	}
	var s formatSchema
	if json.Unmarshal(out.Schema, &s) != nil {
		return nil
	}
	return s.formats()
}

func (s formatSchema) formats() []outputFormat {
	if branches := slices.Concat(s.OneOf, s.AnyOf); len(branches) > 0 {
		var all []outputFormat
		for _, b := range branches {
			formats := b.formats()
			if formats == nil {
				return nil
			}
			all = append(all, formats...)
		}
		return all
	}
	if s.ContentMediaType != "" {
		binary := s.ContentEncoding == "base64" || s.ContentEncoding == "binary"
		return []outputFormat{{s.ContentMediaType, true, binary, s.ContentSchema}}
	}
	switch string(s.Type) {
	case `"object"`, `"array"`:
		return []outputFormat{{mediaType: mediaJSON, schema: s.ContentSchema}}
	case `"string"`, `"number"`, `"integer"`, `"boolean"`:
		return []outputFormat{{mediaType: mediaJSON}, {mediaType: mediaText}}
	}
	return nil
}
