package sdk

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"geomill/sdk/ogc"
	"geomill/sdk/wire"
)

// Check tells the faults of a value by its schema; its error is one of the schema.
// This package has none of its own: what checks schemas takes its time to be set up at
// each start of a program, and a host has checked inputs and settings when it
// hands them over.
type Check func(schema, value json.RawMessage) ([]ogc.Fault, error)

// Inputs checks the inputs of a process as a host does, where there is none: for
// tests, and for the run command, which does without schemas (a nil Check). Values are
// plain, without the standard's wrapping; files are inputs that are taken as they are.
// Its error is a *wire.Problem with every fault.
func (h *Handler) Inputs(check Check, processID string, given map[string]json.RawMessage, files ...wire.Named) (wire.Values, error) {
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
		v, found, err := check.input(id, in, given[id])
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

// input returns the value of an input, nil if it has none, or its faults. The
// error is one of its description.
func (check Check) input(id string, in ogc.Input, text json.RawMessage) (*wire.Value, []ogc.Fault, error) {
	var keywords struct {
		Default         json.RawMessage `json:"default"`
		ContentEncoding string          `json:"contentEncoding"`
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
		found, err := check.value(id, at, in.Schema, each)
		if err != nil {
			return nil, nil, err
		}
		faults = append(faults, found...)
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
func (h *Handler) Outputs(check Check, processID string, values wire.Values) (map[string]Value, error) {
	p := h.processes[processID]
	outputs := make(map[string]Value, len(values))
	var wrong []error
	for _, n := range values {
		id, v := n.ID, Value{n.Value}
		outputs[id] = v
		if !v.IsJSON() {
			continue
		}
		text, err := v.JSON()
		if err != nil {
			wrong = append(wrong, fmt.Errorf("output %s: %w", id, err))
			continue
		}
		faults, err := check.output(id, p.description.Outputs[id], text)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("output %s: %w", id, err))
		}
		for _, f := range faults {
			wrong = append(wrong, fmt.Errorf("output %s%s %s", id, f.Pointer, f.Message))
		}
	}
	return outputs, errors.Join(wrong...)
}

// output checks a value, or each of an output that may have several.
func (check Check) output(id string, out ogc.Output, text json.RawMessage) ([]ogc.Fault, error) {
	if out.Max() == 1 {
		return check.value(id, "", out.Schema, text)
	}
	var values []json.RawMessage
	if err := json.Unmarshal(text, &values); err != nil {
		return []ogc.Fault{{Input: id, Message: "must be an array of its values"}}, nil
	}
	if n := len(values); n < out.Min() || !out.Max().Allows(n) {
		return []ogc.Fault{{Input: id, Message: fmt.Sprintf("has %d values; it may have %d to %s", n, out.Min(), out.Max())}}, nil
	}
	var faults []ogc.Fault
	for i, value := range values {
		found, err := check.value(id, fmt.Sprintf("/%d", i), out.Schema, value)
		if err != nil {
			return nil, err
		}
		faults = append(faults, found...)
	}
	return faults, nil
}

// value checks what is at a pointer of an input or output.
func (check Check) value(id, at string, schema, text json.RawMessage) ([]ogc.Fault, error) {
	if check == nil {
		return nil, nil
	}
	faults, err := check(schema, text)
	for i := range faults {
		faults[i].Input, faults[i].Pointer = id, at+faults[i].Pointer
	}
	return faults, err
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
