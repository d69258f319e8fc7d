package sdktest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"geomill/sdk"
)

// update names the environment variable that makes Golden write what it would
// compare with.
const update = "GEOMILL_UPDATE"

// Golden compares the outputs with the file testdata/NAME.json, a JSON object of
// them as a results document has it: text of other media types with its media type,
// and the rest in base64. Set GEOMILL_UPDATE=1 to write the file instead. It fails
// the test if the run failed, or at the first line that differs.
func (r *Result) Golden(name string) {
	r.t.Helper()
	if r.Err != nil {
		r.t.Fatalf("the process failed: %v", r.Err)
	}
	document := make(map[string]any, len(r.Outputs))
	for id, v := range r.Outputs {
		shown, err := show(v)
		if err != nil {
			r.t.Fatalf("output %s: %v", id, err)
		}
		document[id] = shown
	}
	var got bytes.Buffer
	e := json.NewEncoder(&got)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(document); err != nil {
		r.t.Fatalf("sdktest: %v", err)
	}
	file := filepath.Join("testdata", name+".json")
	if os.Getenv(update) != "" {
		if err := writeGolden(file, got.Bytes()); err != nil {
			r.t.Fatalf("sdktest: %v", err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		r.t.Fatalf("sdktest: %v; to write it: %s=1 go test", err, update)
	}
	if line, differs := firstDifference(string(want), got.String()); differs {
		r.t.Errorf("outputs are not those of %s, %s\nto take them over: %s=1 go test", file, line, update)
	}
}

func writeGolden(file string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o644)
}

// show is an output as a results document has it. JSON is decoded, so that the
// order of members and white space do not count.
func show(v sdk.Value) (any, error) {
	if v.IsJSON() {
		text, err := v.JSON()
		if err != nil {
			return nil, err
		}
		var value any
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		err = d.Decode(&value)
		return value, err
	}
	r, err := v.Open()
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(r)
	if closed := r.Close(); err == nil {
		err = closed
	}
	if text := string(content); strings.HasPrefix(v.MediaType(), "text/") || strings.HasSuffix(v.MediaType(), "json") || strings.HasSuffix(v.MediaType(), "xml") {
		return map[string]string{"value": text, "mediaType": v.MediaType()}, err
	}
	return map[string]string{"value": base64.StdEncoding.EncodeToString(content), "mediaType": v.MediaType(), "encoding": "base64"}, err
}

// firstDifference describes the first line in which two texts differ.
func firstDifference(want, got string) (string, bool) {
	if want == got {
		return "", false
	}
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(a), len(b)) {
		var before, now string
		if i < len(a) {
			before = a[i]
		}
		if i < len(b) {
			now = b[i]
		}
		if before != now {
			return fmt.Sprintf("line %d:\n-%s\n+%s", i+1, before, now), true
		}
	}
	return "", false
}
