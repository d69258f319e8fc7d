package sdk

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"geomill/sdk/ogc"
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
