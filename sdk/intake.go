package sdk

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"geomill/sdk/ogc"
	"geomill/sdk/schema"
	"geomill/sdk/wire"
)

// Inputs checks the inputs of a process as a host does, where there is none:
// for the run command and for tests. Values are plain, without the standard's
// wrapping; files are inputs that are taken as they are. Its error is a *wire.Problem
// with every fault.
func (h *Handler) Inputs(processID string, given map[string]json.RawMessage, files ...wire.Named) (wire.Values, error) {
	p, ok := h.processes[processID]
	if !ok {
		return nil, &wire.Problem{Kind: wire.NoSuchProcess, Title: "no such process",
			Detail: fmt.Sprintf("plugin %s has no process %q", h.info.Name, processID)}
	}
	var faults []ogc.Fault
	for _, id := range slices.Sorted(maps.Keys(given)) {
		if _, known := p.description.Inputs[id]; !known {
			faults = append(faults, ogc.Fault{Input: id, Message: "is not an input of process " + processID})
		}
	}
	values := make(wire.Values, 0, len(given))
	for _, id := range slices.Sorted(maps.Keys(p.description.Inputs)) {
		if i := slices.IndexFunc(files, func(f wire.Named) bool { return f.ID == id }); i >= 0 {
			values = append(values, files[i])
			continue
		}
		in := p.description.Inputs[id]
		v, found, err := checkInput(id, in, given[id])
		if err != nil {
			return nil, fmt.Errorf("input %s: %w", id, err)
		}
		faults = append(faults, found...)
		if v != nil {
			values = append(values, wire.Named{ID: id, Value: *v})
		}
	}
	if len(faults) > 0 {
		return nil, invalidInputs(faults)
	}
	return values, nil
}

// checkInput returns the value of an input, nil if it has none, or its faults.
// The error is one of its description.
func checkInput(id string, in ogc.Input, text json.RawMessage) (*wire.Value, []ogc.Fault, error) {
	var keywords struct {
		Default         json.RawMessage `json:"default"`
		ContentEncoding string          `json:"contentEncoding"`
	}
	compiled, err := schema.Compile(in.Schema)
	if err != nil {
		return nil, nil, err
	}
	_ = json.Unmarshal(in.Schema, &keywords) // of a boolean schema there are none
	if text == nil {
		text = keywords.Default
	}
	if text == nil {
		if in.Min() > 0 {
			return nil, []ogc.Fault{{Input: id, Message: "is required"}}, nil
		}
		return nil, nil, nil
	}
	if v, faults, done := checkFormats(id, in, text); done {
		return v, faults, nil
	}
	occurrences := []json.RawMessage{text}
	many := in.Max() != 1
	if many {
		occurrences = nil // else the text would be decoded into itself
		if err := json.Unmarshal(text, &occurrences); err != nil {
			return nil, []ogc.Fault{{Input: id, Message: "must be an array of its values"}}, nil
		}
		if n := len(occurrences); n < in.Min() || !in.Max().Allows(n) {
			return nil, []ogc.Fault{{Input: id, Message: fmt.Sprintf("has %d values; %d to %s are allowed", n, in.Min(), in.Max())}}, nil
		}
	}
	var faults []ogc.Fault
	for i, each := range occurrences {
		at := ""
		if many {
			at = fmt.Sprintf("/%d", i)
		}
		faults = append(faults, check(id, at, compiled, each)...)
	}
	if len(faults) > 0 {
		return nil, faults, nil
	}
	if keywords.ContentEncoding == "base64" && !many {
		return binary(id, text)
	}
	return &wire.Value{JSON: text}, nil, nil
}

// Outputs takes the outputs of a process as they came over the wire. Its error
// lists those that are not as the description says: a mistake of the process,
// which hosts do not look for. The outputs are returned all the same.
func (h *Handler) Outputs(processID string, values wire.Values) (map[string]Value, error) {
	p := h.processes[processID]
	outputs := make(map[string]Value, len(values))
	var wrong []error
	for _, n := range values {
		id, v := n.ID, Value{n.Value}
		outputs[id] = v
		if !v.IsJSON() {
			continue
		}
		s, err := schema.Compile(p.description.Outputs[id].Schema)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("output %s: %w", id, err))
			continue
		}
		text, err := v.JSON()
		if err != nil {
			wrong = append(wrong, fmt.Errorf("output %s: %w", id, err))
		}
		for _, f := range checkOutput(id, p.description.Outputs[id], s, text) {
			wrong = append(wrong, fmt.Errorf("output %s%s %s", id, f.Pointer, f.Message))
		}
	}
	return outputs, errors.Join(wrong...)
}

// checkOutput checks a value, or each of an output that may have several.
func checkOutput(id string, out ogc.Output, s *schema.Schema, text json.RawMessage) []ogc.Fault {
	if out.Max() == 1 {
		return check(id, "", s, text)
	}
	var values []json.RawMessage
	if err := json.Unmarshal(text, &values); err != nil {
		return []ogc.Fault{{Input: id, Message: "must be an array of its values"}}
	}
	if n := len(values); n < out.Min() || !out.Max().Allows(n) {
		return []ogc.Fault{{Input: id, Message: fmt.Sprintf("has %d values; it may have %d to %s", n, out.Min(), out.Max())}}
	}
	var faults []ogc.Fault
	for i, value := range values {
		faults = append(faults, check(id, fmt.Sprintf("/%d", i), s, value)...)
	}
	return faults
}

func check(id, at string, s *schema.Schema, text json.RawMessage) []ogc.Fault {
	v, err := schema.Decode(text)
	if err != nil {
		return []ogc.Fault{{Input: id, Pointer: at, Message: err.Error()}}
	}
	var faults []ogc.Fault
	for _, f := range s.Validate(v) {
		faults = append(faults, ogc.Fault{Input: id, Pointer: at + f.Pointer, Message: f.Message})
	}
	return faults
}

// binary decodes a base64 string, as it crosses from a host.
func binary(id string, text json.RawMessage) (*wire.Value, []ogc.Fault, error) {
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		return &wire.Value{JSON: text}, nil, nil // another form that the schema allows
	}
	data, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, []ogc.Fault{{Input: id, Message: "is not base64"}}, nil
	}
	return &wire.Value{Data: data, MediaType: mediaBytes}, nil, nil
}
