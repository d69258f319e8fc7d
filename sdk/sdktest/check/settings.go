package check

import "encoding/json"

// settings returns what a host would hand over: what was given with the
// defaults of the schema, or if that needs more, something that it accepts.
func settings(text, given json.RawMessage) json.RawMessage {
	if len(text) == 0 {
		return given
	}
	if given == nil {
		filled, faults, err := Fill(text, json.RawMessage(`{}`))
		if err == nil && len(faults) == 0 {
			return filled
		}
		if given, err = made(text); err != nil {
			given = json.RawMessage(`{}`)
		}
	}
	filled, _, err := Fill(text, given)
	if err != nil {
		return given
	}
	return filled
}
