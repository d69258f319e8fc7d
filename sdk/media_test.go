package sdk

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"geomill/sdk/wire"
)

// line is text that reads itself.
type line string

func (l *line) UnmarshalText(text []byte) error {
	*l = line(strings.ToUpper(string(text)))
	return nil
}

// What is large, or of a media type of its own, crosses as a file.
func TestTypedInputsAreReadFromFilesOfTheirMediaType(t *testing.T) {
	t.Parallel()
	type feature struct {
		Type string `json:"type"`
	}
	type inputs struct {
		Feature feature         `json:"feature"`
		Any     json.RawMessage `json:"any"`
		Table   string          `json:"table"`
		Maybe   *string         `json:"maybe"`
		Line    line            `json:"line"`
		Count   int             `json:"count"`
	}
	var got inputs
	h, err := NewHandler(Plugin{Name: "p", Version: "1"}, New(Info{ID: "p"}, func(_ *Job, in inputs) (struct{ A int }, error) {
		got = in
		return struct{ A int }{}, nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(name, content, mediaType string) wire.Value {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return wire.Value{File: path, Size: int64(len(content)), MediaType: mediaType}
	}
	table := strings.Repeat("a,\"b\"\n", 50_000) // above what crosses inside the session
	values := map[string]wire.Value{
		"feature": file("feature", `{"type":"Feature"}`, "application/geo+json"),
		"any":     {Data: []byte(`{"a":1}`), MediaType: "application/vnd.x+json; charset=utf-8"},
		"table":   file("table", table, "text/csv"),
		"maybe":   {Data: []byte("é"), MediaType: "application/gml+xml"},
		"line":    file("line", "x,y", "text/csv"),
		"count":   file("count", "1e2", "application/x+json"),
	}
	start := wire.Start{JobID: "j", ProcessID: "p", Attempt: 1, Dir: dir, Inputs: wire.ValuesOf(values)}
	if _, err := h.Run(t.Context(), start, noEvents{}); err != nil {
		t.Fatal(err)
	}
	if got.Feature.Type != "Feature" || string(got.Any) != `{"a":1}` || got.Table != table || got.Maybe == nil || *got.Maybe != "é" ||
		got.Line != "X,Y" || got.Count != 100 {
		t.Errorf("%.300v", got)
	}
	for _, c := range []struct {
		name  string
		value wire.Value
		want  string
	}{
		{"table", file("bytes", "\xff", "text/csv"), "table is not UTF-8 text"},
		{"table", file("image", "x", "image/png"), "table cannot be read: value is image/png, not JSON"},
		{"feature", file("text", "x", "text/csv"), "feature does not fit: string is no sdk.feature"},
	} {
		wrong := map[string]wire.Value{}
		for id, v := range values {
			wrong[id] = v
		}
		wrong[c.name] = c.value
		start.Inputs = wire.ValuesOf(wrong)
		if _, err := h.Run(t.Context(), start, noEvents{}); err == nil || err.Error() != c.want {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}
