package job

import (
	"encoding/json"
	"fmt"
)

// fallbackOf returns the value that an input has when it is left out: the default
// of its schema (spec 4.3), which is that of one occurrence, or nil without one.
// A default that its own schema does not admit is an error: no client could send
// it, and the process would get it unchecked.
func (c inputCheck) fallbackOf(text json.RawMessage, isArray bool) (*Value, error) {
	if text == nil {
		return nil, nil
	}
	chosen, _ := c.choose(text, "")
	fitting, faults := chosen.fit(text)
	if len(faults) > 0 {
		at := ""
		if faults[0].Pointer != "" {
			at = "at " + faults[0].Pointer + " "
		}
		return nil, fmt.Errorf("default of the schema: %s%s", at, faults[0].Message)
	}
	var in intake
	v := in.value("", "", fitting, "", chosen, true)
	if len(in.faults) > 0 {
		return nil, fmt.Errorf("default of the schema: %s", in.faults[0].Message)
	}
	if !isArray {
		return &v, nil
	}
	if v.Data != nil {
		v.JSON = fitting // base64 stays a string in an array
	}
	return &Value{JSON: append(append([]byte{'['}, v.JSON...), ']')}, nil
}
