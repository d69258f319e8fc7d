package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// maxMember bounds each member of an execute request other than inputs, in
// bytes: those are decoded in memory.
const maxMember = 256 << 10

// decoder makes a request of an outlined body and gathers what is wrong with its
// shape. Values are the service's to check.
type decoder struct {
	body    *body
	outline outline
	faults  []ogc.Fault
}

// decodeExecute decodes an execute request (1.0 /req/core/process-execute-request).
// The error is an *job.InvalidError with every fault of the request's shape, or
// what kept the body from being read.
func decodeExecute(b *body, o outline, prefer preferences) (job.Request, error) {
	d := decoder{body: b, outline: o}
	r, mode, err := d.request()
	if err != nil {
		return r, err
	}
	if len(d.faults) > 0 {
		return r, &job.InvalidError{Faults: d.faults}
	}
	r.Prefer = prefer.job(mode)
	return r, nil
}

func (d *decoder) request() (r job.Request, mode string, err error) {
	o := &d.outline
	if !o.inputs.absent() && !o.inputsObject {
		var text []byte
		if text, err = d.member("/inputs", o.inputs); err != nil {
			return r, mode, err
		}
		if text != nil {
			d.fault("/inputs", "must be an object with a member for each input")
		}
	}
	r.Inputs = make(map[string]job.Raw, len(o.members))
	for _, m := range o.members {
		r.Inputs[m.id] = d.body.raw(m.span)
	}
	if r.Outputs, err = d.outputs(); err != nil {
		return r, mode, err
	}
	if r.Response, err = d.word("/response", o.response); err != nil {
		return r, mode, err
	}
	if r.Subscriber, err = d.subscriber(); err != nil {
		return r, mode, err
	}
	if mode, err = d.word("/mode", o.mode); err != nil {
		return r, mode, err
	}
	switch mode {
	case "", "sync", "async", "auto":
	default:
		d.fault("/mode", `must be "sync", "async" or "auto"`)
	}
	return r, mode, nil
}

func (d *decoder) fault(pointer, message string) {
	d.faults = append(d.faults, ogc.Fault{Pointer: pointer, Message: message})
}

// member returns the text of a member, or nil when it is absent, null or too
// long to be right.
func (d *decoder) member(pointer string, s span) ([]byte, error) {
	if s.absent() {
		return nil, nil
	}
	raw := d.body.raw(s)
	if raw.Len() > maxMember {
		d.fault(pointer, fmt.Sprintf("is longer than %d bytes", maxMember))
		return nil, nil
	}
	text, err := raw.Bytes()
	if err != nil || string(text) == "null" {
		return nil, err
	}
	return text, nil
}

// word returns a member that is to be a string. Anything else is returned as its
// JSON text, which is no word that anyone knows.
func (d *decoder) word(pointer string, s span) (string, error) {
	text, err := d.member(pointer, s)
	if err != nil || text == nil {
		return "", err
	}
	return wordOf(text), nil
}

func wordOf(text []byte) string {
	var word string
	if json.Unmarshal(text, &word) != nil || word == "" {
		return string(text)
	}
	return word
}

// outputs decodes the selection of outputs: nil for all, empty for none.
func (d *decoder) outputs() (map[string]ogc.OutputSelection, error) {
	text, err := d.member("/outputs", d.outline.outputs)
	if err != nil || text == nil {
		return nil, err
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(text, &members) != nil {
		d.fault("/outputs", "must be an object with a member for each output")
		return nil, nil
	}
	selection := make(map[string]ogc.OutputSelection, len(members))
	for id, text := range members {
		selection[id] = d.selection(id, text)
	}
	return selection, nil
}

// selection decodes one member of outputs.
func (d *decoder) selection(id string, text []byte) (s ogc.OutputSelection) {
	pointer := "/outputs/" + escapePointer(id)
	var members struct {
		Format           json.RawMessage `json:"format"`
		TransmissionMode json.RawMessage `json:"transmissionMode"`
	}
	if json.Unmarshal(text, &members) != nil {
		d.outputFault(id, pointer, "must be an object")
		return s
	}
	if m := members.TransmissionMode; m != nil && !isNull(m) {
		s.TransmissionMode = wordOf(m)
	}
	if m := members.Format; m != nil && !isNull(m) {
		s.Format = new(ogc.Format)
		if err := json.Unmarshal(m, s.Format); err != nil {
			place := pointer + "/format"
			if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && t.Field != "" {
				place += "/" + t.Field
			}
			d.outputFault(id, place, `must be an object of strings "mediaType" and "encoding", and "schema"`)
		}
	}
	return s
}

func (d *decoder) outputFault(id, pointer, message string) {
	d.faults = append(d.faults, ogc.Fault{Input: id, Pointer: pointer, Message: message})
}

func isNull(text []byte) bool { return string(bytes.TrimSpace(text)) == "null" }

// escapePointer makes a name fit for a JSON pointer (RFC 6901, section 3).
func escapePointer(name string) string {
	if !strings.ContainsAny(name, "~/") {
		return name
	}
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}
