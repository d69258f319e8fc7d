package check

import (
	"encoding/json"
	"fmt"

	"geomill/sdk/ogc"
	"geomill/sdk/schema"
	"geomill/sdk/schema/decode"
)

// Schema is the sdk.Check of hosts.
func Schema(text, value json.RawMessage) ([]ogc.Fault, error) {
	s, v, faults, err := read(text, value)
	if err != nil || len(faults) > 0 {
		return faults, err
	}
	return validate(s, v), nil
}

// Fill gives settings their defaults and checks them then, as a host does.
func Fill(text, settings json.RawMessage) (filled json.RawMessage, faults []ogc.Fault, err error) {
	s, v, faults, err := read(text, settings)
	if err != nil || len(faults) > 0 {
		return settings, faults, err
	}
	v = s.Fill(v)
	filled, err = json.Marshal(v)
	return filled, validate(s, v), err
}

func read(text, value json.RawMessage) (s *schema.Schema, v any, faults []ogc.Fault, err error) {
	if s, err = schema.Compile(text); err != nil {
		return nil, nil, nil, err
	}
	if v, err = decode.JSON(value); err != nil {
		return nil, nil, []ogc.Fault{{Message: err.Error()}}, nil
	}
	return s, v, nil, nil
}

func validate(s *schema.Schema, v any) []ogc.Fault {
	var faults []ogc.Fault
	for _, f := range s.Validate(v) {
		faults = append(faults, ogc.Fault{Pointer: f.Pointer, Message: f.Message})
	}
	return faults
}

// Description checks that the schemas of a process compile, and accept their own
// defaults.
func Description(d ogc.Process) error {
	for id, in := range d.Inputs {
		if _, err := schema.Compile(in.Schema); err != nil {
			return fmt.Errorf("input %s: %w", id, err)
		}
		var words struct {
			Default json.RawMessage `json:"default"`
		}
		if json.Unmarshal(in.Schema, &words) != nil || words.Default == nil {
			continue // a boolean schema has no words
		}
		faults, err := Schema(in.Schema, words.Default)
		if err != nil {
			return fmt.Errorf("input %s: %w", id, err)
		}
		if len(faults) > 0 {
			return fmt.Errorf("input %s: its default%s %s", id, faults[0].Pointer, faults[0].Message)
		}
	}
	for id, out := range d.Outputs {
		if _, err := schema.Compile(out.Schema); err != nil {
			return fmt.Errorf("output %s: %w", id, err)
		}
	}
	return nil
}
