package host_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"pgregory.net/rapid"
)

// promised is the OpenAPI document of a server, as a client's tool reads it.
type promised struct {
	*openapi3.T
	paths []string // literal ones first, as OpenAPI matches them
}

func promises(t testing.TB, c *web) promised {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(c.must(t, 200, "GET", "/api", "").body)
	if err != nil {
		t.Fatal(err)
	}
	p := promised{T: doc, paths: slices.Sorted(maps.Keys(doc.Paths.Map()))}
	slices.SortStableFunc(p.paths, func(a, b string) int { return strings.Count(a, "{") - strings.Count(b, "{") })
	return p
}

// operation finds what the document says of a request.
func (p promised) operation(method, path string) *openapi3.Operation {
	given := strings.Split(path, "/")
	for _, template := range p.paths {
		parts := strings.Split(template, "/")
		if !slices.EqualFunc(parts, given, func(part, s string) bool { return part == s || strings.HasPrefix(part, "{") && s != "" }) {
			continue
		}
		if op := p.Paths.Value(template).GetOperation(method); op != nil {
			return op
		}
	}
	return nil
}

// keeps reports how a reply differs from what the document says.
func (p promised) keeps(t rapid.TB, method, path string, r reply) {
	t.Helper()
	path, _, _ = strings.Cut(path, "?")
	op := p.operation(method, path)
	if op == nil {
		t.Fatalf("%s %s is not described", method, path)
	}
	response := op.Responses.Status(r.StatusCode)
	if response == nil {
		t.Fatalf("%s %s answers %v, which is not described", method, path, r)
	}
	if len(r.body) == 0 {
		return
	}
	mediaType := r.Header.Get("Content-Type")
	media := response.Value.Content.Get(mediaType)
	if media == nil {
		t.Fatalf("%s %s: %d as %s, which is not described", method, path, r.StatusCode, mediaType)
	}
	if !strings.Contains(mediaType, "json") || media.Schema.Value.IsEmpty() {
		return
	}
	var v any
	if err := json.NewDecoder(bytes.NewReader(r.body)).Decode(&v); err != nil {
		t.Fatalf("%s %s: %v: %v", method, path, err, r)
	}
	if err := media.Schema.Value.VisitJSON(v, openapi3.EnableFormatValidation()); err != nil {
		t.Fatalf("%s %s: %v\n%v", method, path, r, err)
	}
}

// TestEveryReplyIsAsPublished sends whatever JSON to any route of a server with
// real plugins, and the examples of its document.
func TestEveryReplyIsAsPublished(t *testing.T) {
	t.Parallel()
	in := startInside(t, t.TempDir(), "echo", "hello-world", "sleep", "buffer", "overlay")
	c := newWeb(t, in.url)
	doc := promises(t, c)
	if err := doc.Validate(t.Context()); err != nil {
		t.Error(err)
	}
	examples := 0
	for _, path := range doc.paths {
		op := doc.Paths.Value(path).Post
		if op == nil || op.RequestBody == nil {
			continue
		}
		if example := op.RequestBody.Value.Content.Get("application/json").Example; example != nil {
			examples++
			text, err := json.Marshal(example)
			if err != nil {
				t.Fatal(err)
			}
			doc.keeps(t, "POST", path, c.must(t, 200, "POST", path, string(text)))
		}
	}
	if examples != 2*5 { // to execute, and to validate
		t.Errorf("%d examples for 5 processes", examples)
	}
	done := c.submit(t, "hello-world", `{"name":"x"}`)
	c.await(t, done, "successful")
	failed := c.submit(t, "sleep", `{"seconds":0,"fail":"on purpose"}`)
	c.await(t, failed, "failed")
	known := []string{strings.TrimPrefix(done, "/jobs/"), strings.TrimPrefix(failed, "/jobs/"), "none", "%20", "a.b"}
	rapid.Check(t, func(t *rapid.T) {
		method, path, body, header := anyRequest(t, doc, known)
		r, err := c.send(method, path, body, header...)
		if err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
		doc.keeps(t, method, path, r)
		if r.StatusCode >= 500 && !strings.Contains(path, known[1]) { // that job failed by itself
			t.Fatalf("%s %s %s: %v", method, path, body, r)
		}
	})
}

// anyRequest draws a request for one of the operations of a document.
func anyRequest(t *rapid.T, doc promised, jobs []string) (method, path, body string, header []string) {
	path = rapid.SampledFrom(doc.paths).Draw(t, "path")
	op := doc.Paths.Value(path)
	method = rapid.SampledFrom(slices.Sorted(maps.Keys(op.Operations()))).Draw(t, "method")
	if method == http.MethodDelete {
		jobs = jobs[2:] // the others are to stay
	}
	for name, values := range map[string][]string{
		"processID": {"hello-world", "echo", "none", "~"}, "jobID": jobs,
		"outputID": {"echo", "slept", "none"}, "index": {"0", "1", "x"},
	} {
		path = strings.ReplaceAll(path, "{"+name+"}", rapid.SampledFrom(values).Draw(t, name))
	}
	q := url.Values{}
	names := []string{"f", "limit", "cursor", "type", "processID", "status", "datetime", "minDuration", "outputs", "lang", "profile"}
	values := []string{"json", "html", "1", "0", "process", "echo", "successful", "2020-01-01T00:00:00Z/..", "de", "", "é,x", "ogc-process-description", "events"}
	for _, name := range rapid.SliceOfN(rapid.SampledFrom(names), 0, 2).Draw(t, "parameters") {
		q.Set(name, rapid.SampledFrom(values).Draw(t, name))
	}
	endless := path == "/jobs" // as events
	if endless && q.Get("f") == "events" {
		q.Del("f")
	}
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	if method == http.MethodPost {
		text, err := json.Marshal(anyBody(t, op.Post))
		if err != nil {
			t.Fatal(err)
		}
		body = string(text)
	}
	for name, values := range map[string][]string{
		"Accept": {"", "application/json", "text/html", "image/png", "text/plain;q=0.5, */*;q=0.1", "application/problem+json", "text/event-stream"},
		"Prefer": {"", "respond-async", "wait=1", "return=minimal", "respond-async, wait=0"},
	} {
		if v := rapid.SampledFrom(values).Draw(t, name); v != "" && !(endless && v == "text/event-stream") {
			header = append(header, name, v)
		}
	}
	return method, path, body, header
}

// anyBody draws an execute request that is more or less right.
func anyBody(t *rapid.T, op *openapi3.Operation) any {
	v := anyValue(3)
	if rapid.IntRange(0, 9).Draw(t, "shapeless") == 0 {
		return v.Draw(t, "body")
	}
	ids := []string{"name", "text", "pause", "bbox", "mixed", "numbers", "seconds", "features", "a", ""}
	inputs := map[string]any{}
	if media := op.RequestBody.Value.Content.Get("application/json"); media != nil && rapid.Bool().Draw(t, "example") {
		if example, ok := media.Example.(map[string]any); ok {
			maps.Copy(inputs, example["inputs"].(map[string]any))
			ids = append(ids, slices.Sorted(maps.Keys(inputs))...)
		}
	}
	for _, id := range rapid.SliceOfN(rapid.SampledFrom(ids), 0, 2).Draw(t, "inputs") {
		inputs[id] = v.Draw(t, id)
	}
	body := map[string]any{"inputs": inputs}
	for name, usual := range map[string]any{
		"outputs": map[string]any{"echo": map[string]any{"transmissionMode": "reference"}}, "response": "raw", "mode": "sync",
	} {
		switch rapid.IntRange(0, 5).Draw(t, name) {
		case 0:
			body[name] = usual
		case 1:
			body[name] = v.Draw(t, name)
		}
	}
	return body
}

// anyValue makes JSON values, none of which has a process sleep for long.
func anyValue(depth int) *rapid.Generator[any] {
	v := rapid.OneOf(
		rapid.Just[any](nil),
		rapid.Map(rapid.Bool(), func(b bool) any { return b }),
		rapid.Map(rapid.Float64Range(-3, 0.01), func(n float64) any { return n }),
		rapid.Map(rapid.StringN(0, 8, -1), func(s string) any { return s }),
		rapid.SampledFrom([]any{-1, 0, "raw", "document", []any{1, 2}, map[string]any{"bbox": []any{1, 2, 3, 4}}, map[string]any{"value": "x"}}),
	)
	for range depth - 1 {
		inner := v
		names := rapid.OneOf(rapid.SampledFrom([]string{"value", "href", "bbox", "mediaType", "format", "type", "name", "echo"}), rapid.StringN(0, 4, -1))
		v = rapid.OneOf(inner,
			rapid.Map(rapid.SliceOfN(inner, 0, 3), func(s []any) any { return s }),
			rapid.Map(rapid.MapOfN(names, inner, 0, 3), func(m map[string]any) any { return m }))
	}
	return v
}
