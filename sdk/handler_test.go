package sdk

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"geomill/sdk/ogc"
	"geomill/sdk/schema"
	"geomill/sdk/schema/decode"
	"geomill/sdk/wire"
)

type noEvents struct{}

func (noEvents) Progress(float64, string)                {}
func (noEvents) Log(slog.Level, string, json.RawMessage) {}

func TestFilePassedThroughIsHandedOverOnceAndNeverRead(t *testing.T) {
	t.Parallel()
	anything := ogc.Output{Schema: json.RawMessage(`{}`)}
	p := Raw(ogc.Process{ProcessSummary: ogc.ProcessSummary{ID: "p"}, Outputs: map[string]ogc.Output{"a": anything, "b": anything}},
		func(_ *Job, inputs map[string]Value) (map[string]Value, error) {
			return map[string]Value{"a": inputs["in"], "b": inputs["in"]}, nil
		})
	h, err := NewHandler(Plugin{Name: "p", Version: "1"}, p)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	in := filepath.Join(dir, "in", "in")
	if err := os.Mkdir(filepath.Dir(in), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(in, []byte("this is not JSON"), 0o600); err != nil {
		t.Fatal(err)
	}
	start := wire.Start{JobID: "j", ProcessID: "p", Attempt: 1, Dir: dir, Inputs: wire.ValuesOf(map[string]wire.Value{"in": {File: in, Size: 16}})}
	outputs, err := h.Run(context.Background(), start, noEvents{})
	if err != nil {
		t.Fatal(err)
	}
	a, b := outputs.Get("a").File, outputs.Get("b").File
	if a != in || b == in || filepath.Dir(b) != filepath.Join(dir, "out") {
		t.Errorf("outputs are %s and %s", a, b)
	}
	if text, err := os.ReadFile(b); err != nil || string(text) != "this is not JSON" {
		t.Errorf("the copy is %q, %v", text, err)
	}
}

func TestInputsAreCheckedAsByAHost(t *testing.T) {
	t.Parallel()
	two, any := ogc.Occurs(2), ogc.Unbounded
	p := Raw(ogc.Process{ProcessSummary: ogc.ProcessSummary{ID: "p"},
		Inputs: map[string]ogc.Input{
			"two":   {Schema: json.RawMessage(`{"type":"integer"}`), MinOccurs: new(int), MaxOccurs: &two},
			"any":   {Schema: json.RawMessage(`{"minimum":1}`), MinOccurs: new(int), MaxOccurs: &any},
			"bytes": {Schema: json.RawMessage(`{"type":"string","contentEncoding":"base64"}`), MinOccurs: new(int)},
		},
		Outputs: map[string]ogc.Output{"a": {}}}, func(*Job, map[string]Value) (map[string]Value, error) { return nil, nil })
	h, err := NewHandler(Plugin{Name: "p", Version: "1"}, p)
	if err != nil {
		t.Fatal(err)
	}
	bySchema := func(text, value json.RawMessage) ([]ogc.Fault, error) {
		s, err := schema.Compile(text)
		if err != nil {
			return nil, err
		}
		v, err := decode.JSON(value)
		if err != nil {
			return nil, err
		}
		var faults []ogc.Fault
		for _, f := range s.Validate(v) {
			faults = append(faults, ogc.Fault{Pointer: f.Pointer, Message: f.Message})
		}
		return faults, nil
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
		values, err := h.Inputs(bySchema, "p", given)
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
