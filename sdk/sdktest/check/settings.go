package check

import (
	"encoding/json"

	"geomill/sdk/schema"
	"geomill/sdk/schema/decode"
)

// settings returns what a host would hand over: what was given with the
// defaults of the schema, or if that needs more, something that it accepts.
func settings(text, given json.RawMessage) json.RawMessage {
	s, err := schema.Compile(text)
	if len(text) == 0 || err != nil {
		return given
	}
	if given == nil {
		given = json.RawMessage(`{}`)
		if v, err := decode.JSON(given); err == nil && len(s.Validate(s.Fill(v))) > 0 {
			if value, err := made(text); err == nil {
				given = value
			}
		}
	}
	v, err := decode.JSON(given)
	if err != nil {
		return given
	}
	if filled, err := json.Marshal(s.Fill(v)); err == nil {
		return filled
	}
	return given
}
