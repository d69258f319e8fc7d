package api

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"geomill/host/internal/job"
)

// drawn is an output, and what a client makes of its entry in a document.
type drawn struct {
	description string
	value       job.Value
	read        func(entry any) bool
}

// drawJSON draws any JSON value.
func drawJSON(depth int) *rapid.Generator[any] {
	scalars := []*rapid.Generator[any]{
		rapid.Just[any](nil), rapid.Bool().AsAny(), rapid.Float64Range(-1e9, 1e9).AsAny(), rapid.String().AsAny(),
	}
	if depth == 0 {
		return rapid.OneOf(scalars...)
	}
	return rapid.OneOf(append(scalars,
		rapid.SliceOfN(drawJSON(depth-1), 0, 4).AsAny(),
		rapid.MapOfN(rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"bbox", "crs", "value", "href"})), drawJSON(depth-1), 0, 4).AsAny(),
	)...)
}

// normal is a JSON value as encoding/json reads it.
func normal(t *rapid.T, v any) (text []byte, read any) {
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	return text, read
}

// unwrapped is the value of an entry that is bare, or qualified.
func unwrapped(entry any) (value any, mediaType, encoding any) {
	if o, ok := entry.(map[string]any); ok {
		if v, ok := o["value"]; ok {
			return v, o["mediaType"], o["encoding"]
		}
	}
	return entry, nil, nil
}

func drawOutput(t *rapid.T) drawn {
	switch rapid.SampledFrom([]string{"json", "typed", "text", "bytes", "several", "several bytes"}).Draw(t, "kind") {
	case "json":
		text, want := normal(t, drawJSON(3).Draw(t, "value"))
		o, isObject := want.(map[string]any)
		_, isBox := o["bbox"].([]any)
		return drawn{`{"schema":{}}`, job.Value{JSON: text}, func(entry any) bool {
			if isObject && !isBox {
				entry = entry.(map[string]any)["value"]
			} else if isBox && !reflect.DeepEqual(entry, want) {
				entry, _, _ = unwrapped(entry)
			}
			return reflect.DeepEqual(entry, want)
		}}
	case "typed":
		text, want := normal(t, map[string]any{"type": drawJSON(2).Draw(t, "value")})
		return drawn{`{"schema":{}}`, job.Value{JSON: text, MediaType: "application/geo+json"}, func(entry any) bool {
			v, mediaType, _ := unwrapped(entry)
			return mediaType == "application/geo+json" && reflect.DeepEqual(v, want)
		}}
	case "text":
		text := rapid.String().Draw(t, "text")
		return drawn{`{"schema":{}}`, job.Value{Data: []byte(text), MediaType: `text/csv; a="b c"`}, func(entry any) bool {
			v, mediaType, encoding := unwrapped(entry)
			return v == text && mediaType == `text/csv; a="b c"` && encoding == nil
		}}
	case "bytes":
		data := rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")
		if data == nil {
			data = []byte{}
		}
		return drawn{`{"schema":{}}`, job.Value{Data: data, MediaType: "image/tiff"}, func(entry any) bool {
			v, mediaType, encoding := unwrapped(entry)
			got, err := base64.StdEncoding.DecodeString(v.(string))
			return err == nil && bytes.Equal(got, data) && mediaType == "image/tiff" && encoding == "base64"
		}}
	case "several":
		text, want := normal(t, rapid.SliceOfN(drawJSON(3), 0, 5).Draw(t, "values"))
		return drawn{`{"schema":{},"maxOccurs":9}`, job.Value{JSON: text}, func(entry any) bool {
			for i, e := range entry.([]any) {
				if _, isObject := want.([]any)[i].(map[string]any); isObject {
					e = e.(map[string]any)["value"]
				}
				if !reflect.DeepEqual(e, want.([]any)[i]) {
					return false
				}
			}
			return len(entry.([]any)) == len(want.([]any))
		}}
	}
	all := rapid.SliceOfN(rapid.SliceOf(rapid.Byte()), 0, 4).Draw(t, "all bytes")
	inBase64 := make([]string, len(all))
	for i, b := range all {
		inBase64[i] = base64.StdEncoding.EncodeToString(b)
	}
	text, want := normal(t, inBase64)
	return drawn{`{"schema":{"type":"string","contentEncoding":"base64","contentMediaType":"image/png"},"maxOccurs":9}`,
		job.Value{JSON: text}, func(entry any) bool {
			for i, e := range entry.([]any) {
				v, mediaType, encoding := unwrapped(e)
				if v != want.([]any)[i] || mediaType != "image/png" || encoding != "base64" {
					return false
				}
			}
			return len(entry.([]any)) == len(want.([]any))
		}}
}

// TestDocumentsHoldEveryValueAsItIs draws outputs of all kinds, in memory and in
// files, and reads them back from the results document.
func TestDocumentsHoldEveryValueAsItIs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		outputs := rapid.MapOfN(rapid.StringMatching(`[a-z]{1,8}`), rapid.Custom(drawOutput), 1, 4).Draw(rt, "outputs")
		values, descriptions := map[string]job.Value{}, map[string]json.RawMessage{}
		for id, o := range outputs {
			descriptions[id] = json.RawMessage(o.description)
			values[id] = o.value
			if rapid.Bool().Draw(rt, "file") {
				values[id] = inFile(rt, dir, id, o.value)
			}
		}
		text, err := json.Marshal(descriptions)
		if err != nil {
			rt.Fatal(err)
		}
		w := do(t, storedAs(t, string(text), values, job.Order{}), "GET", "/jobs/j/results", "")
		var doc map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil || !utf8.Valid(w.Body.Bytes()) {
			rt.Fatalf("%v: %s", err, w.Body)
		}
		if w.Code != 200 || w.Header().Get("Content-Length") != itoa(w.Body.Len()) || len(doc) != len(outputs) {
			rt.Fatalf("%d %v: %s", w.Code, w.Header(), w.Body)
		}
		for id, o := range outputs {
			if !o.read(doc[id]) {
				rt.Fatalf("%s of %+v is %v", id, o.value, doc[id])
			}
		}
		w = do(t, storedAs(t, string(text), values, job.Order{Response: "document"}, asPygeoapi), "GET", "/jobs/j/results", "")
		var list struct{ Outputs []map[string]any }
		if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil || len(list.Outputs) != len(outputs) || w.Header().Get("Content-Length") != itoa(w.Body.Len()) {
			rt.Fatalf("%v: %s", err, w.Body)
		}
	})
}

func inFile(t *rapid.T, dir, id string, v job.Value) job.Value {
	data := v.Data
	if data == nil {
		data = v.JSON
	}
	name := filepath.Join(dir, id)
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return job.Value{File: name, Size: int64(len(data)), MediaType: v.MediaType}
}
