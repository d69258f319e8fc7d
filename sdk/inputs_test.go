package sdk_test

import (
	"encoding/json"
	"testing"

	"geomill/sdk"
	"geomill/sdk/ogc"
	"geomill/sdk/sdktest/check"
)

func TestInputsAreCheckedAsByAHost(t *testing.T) {
	t.Parallel()
	two, any := ogc.Occurs(2), ogc.Unbounded
	p := sdk.Raw(ogc.Process{ProcessSummary: ogc.ProcessSummary{ID: "p"},
		Inputs: map[string]ogc.Input{
			"two":   {Schema: json.RawMessage(`{"type":"integer"}`), MinOccurs: new(int), MaxOccurs: &two},
			"any":   {Schema: json.RawMessage(`{"minimum":1}`), MinOccurs: new(int), MaxOccurs: &any},
			"bytes": {Schema: json.RawMessage(`{"type":"string","contentEncoding":"base64"}`), MinOccurs: new(int)},
		},
		Outputs: map[string]ogc.Output{"a": {}}}, func(*sdk.Job, map[string]sdk.Value) (map[string]sdk.Value, error) { return nil, nil })
	h, err := sdk.NewHandler(sdk.Plugin{Name: "p", Version: "1"}, p)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ inputs, want string }{
		{`{"two":[1,2],"any":[1,2,3],"bytes":"AQI="}`, ""},
		{`{"two":[1,2,3]}`, "two has 3 values; 0 to 2 are allowed"},
		{`{"two":1}`, "two must be an array of its values"},
		{`{"any":[1,0]}`, "any/1 must be at least 1"},
		{`{"bytes":"A"}`, "bytes is not base64"},
		{`{"none":1}`, "none is not an input of process p"},
	}
	for _, tt := range tests {
		var given map[string]json.RawMessage
		if err := json.Unmarshal([]byte(tt.inputs), &given); err != nil {
			t.Fatal(err)
		}
		values, err := h.Inputs(check.Schema, "p", given)
		switch {
		case err == nil && tt.want == "":
			if string(values.Get("bytes").Data) != "\x01\x02" {
				t.Errorf("bytes are %v", values.Get("bytes"))
			}
		case err == nil || err.Error() != tt.want:
			t.Errorf("%s: error %v, want %q", tt.inputs, err, tt.want)
		}
	}
}
