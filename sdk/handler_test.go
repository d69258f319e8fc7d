package sdk

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
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

// said keeps what a job logs.
type said struct {
	noEvents
	lines *[]string
}

func (s said) Log(_ slog.Level, message string, fields json.RawMessage) {
	*s.lines = append(*s.lines, message+string(fields))
}

func TestWhereTheFileOfAnOutputShouldBeIsForTheLogOnly(t *testing.T) {
	t.Parallel()
	gone := filepath.Join(t.TempDir(), "gone.tif")
	p := Raw(ogc.Process{ProcessSummary: ogc.ProcessSummary{ID: "p"}, Outputs: map[string]ogc.Output{"a": {}}},
		func(*Job, map[string]Value) (map[string]Value, error) {
			return map[string]Value{"a": FileValue(File{Path: gone})}, nil
		})
	h, err := NewHandler(Plugin{Name: "p", Version: "1"}, p)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	_, err = h.Run(t.Context(), wire.Start{JobID: "j", ProcessID: "p", Attempt: 1, Dir: t.TempDir()}, said{lines: &lines})
	if err == nil || err.Error() != "output a: its file cannot be read" {
		t.Errorf("told %v", err)
	}
	if len(lines) != 1 || !strings.Contains(lines[0], gone) {
		t.Errorf("logged %q", lines)
	}
}
