package ogc

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"slices"
)

// Inputs describes the inputs of a process, by identifier.
type Inputs map[string]Input

// MarshalJSON writes an object whose members are the inputs that an execution
// must give first, each part sorted by identifier: who reads a description, a
// form made from it or the conformance suite of the standard alike, takes the
// first input for the main one.
func (inputs Inputs) MarshalJSON() ([]byte, error) {
	if inputs == nil {
		return []byte("null"), nil
	}
	ids := slices.SortedFunc(maps.Keys(inputs), func(a, b string) int {
		return cmp.Or(cmp.Compare(optional(inputs[a]), optional(inputs[b])), cmp.Compare(a, b))
	})
	var text bytes.Buffer
	w := json.NewEncoder(&text)
	w.SetEscapeHTML(false)
	text.WriteByte('{')
	for i, id := range ids {
		if i > 0 {
			text.WriteByte(',')
		}
		if err := w.Encode(id); err != nil {
			return nil, err
		}
		text.WriteByte(':')
		if err := w.Encode(inputs[id]); err != nil {
			return nil, err
		}
	}
	text.WriteByte('}')
	return text.Bytes(), nil
}

// optional is 1 for an input that may be left out, else 0.
func optional(i Input) int {
	if i.Min() == 0 {
		return 1
	}
	return 0
}
