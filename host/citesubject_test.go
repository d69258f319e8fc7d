package host_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// subject is the process that the conformance checks execute, as they read its
// description.
type subject struct {
	*web
	id      string
	inputs  []member // in the order of the description
	outputs []member
}

// member is an input or an output with the schema of its description.
type member struct {
	id     string
	schema map[string]any
}

// execution is the body of an execute request.
type execution map[string]any

// subjectOf reads the description of a process.
func subjectOf(t *testing.T, url, id string) *subject {
	t.Helper()
	s := &subject{web: newWeb(t, url), id: id}
	var description struct{ Inputs, Outputs json.RawMessage }
	r := s.get(t, "/processes/"+id)
	if err := json.Unmarshal(r.body, &description); err != nil {
		t.Fatal(err)
	}
	s.inputs, s.outputs = members(t, description.Inputs), members(t, description.Outputs)
	return s
}

// members reads an object of inputs or outputs in its order.
func members(t *testing.T, object json.RawMessage) (all []member) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(object))
	if first, err := d.Token(); err != nil || first != json.Delim('{') {
		t.Fatalf("no object: %v, %.100s", err, object)
	}
	for d.More() {
		id, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		var m struct{ Schema map[string]any }
		if err := d.Decode(&m); err != nil {
			t.Fatal(err)
		}
		all = append(all, member{id.(string), m.Schema})
	}
	return all
}

// variants returns the schemas that say a type: the schema, or those of its oneOf.
func (m member) variants() (all []map[string]any) {
	if m.schema["type"] != nil {
		return []map[string]any{m.schema}
	}
	branches, _ := m.schema["oneOf"].([]any)
	for _, b := range branches {
		if v, ok := b.(map[string]any); ok && v["type"] != nil {
			all = append(all, v)
		}
	}
	return all
}

// typed returns the first variant of a type, or nil.
func (m member) typed(name string) map[string]any {
	for _, v := range m.variants() {
		if v["type"] == name {
			return v
		}
	}
	return nil
}

// bbox reports whether values are bounding boxes: objects with such a property,
// or an allOf with the format.
func (m member) bbox() bool {
	if m.schema["type"] == nil {
		parts, _ := m.schema["allOf"].([]any)
		for _, p := range parts {
			if part, ok := p.(map[string]any); ok && part["format"] == "ogc-bbox" {
				return true
			}
		}
	}
	properties, _ := m.typed("object")["properties"].(map[string]any)
	return properties["bbox"] != nil
}

// binary reports whether values are bytes.
func (m member) binary() bool {
	v := m.typed("string")
	return v["format"] == "byte" || v["contentEncoding"] == "binary"
}

const sentText = "teststring"

// value is what the suite sends for an input, or nil where it sends none.
func (m member) value() (v any) {
	for _, variant := range m.variants() {
		switch {
		case variant["type"] == "string":
			if m.schema["format"] == nil && variant["contentMediaType"] == nil {
				v = sentText
			}
		case m.bbox():
			v = map[string]any{"crs": "urn:ogc:def:crs:EPSG:6.6:4326", "bbox": []int{345345345, 345345345, 345345345, 345345345}}
		case variant["type"] == "object":
			v = map[string]any{"value": sentText}
		}
	}
	return v
}

// sent returns the values of all inputs that the suite fills.
func (s *subject) sent() map[string]any {
	values := map[string]any{}
	for _, in := range s.inputs {
		if v := in.value(); v != nil {
			values[in.id] = v
		}
	}
	return values
}

// byValue asks for outputs.
func byValue(outputs ...member) map[string]any {
	wanted := map[string]any{}
	for _, o := range outputs {
		wanted[o.id] = map[string]any{"transmissionMode": "value"}
	}
	return wanted
}

// whole is the request with the inputs that the suite fills and every output.
func (s *subject) whole() execution {
	return execution{"inputs": s.sent(), "outputs": byValue(s.outputs...)}
}

// one asks for the output that is named like the first input, raw. A process
// without one has nothing that the suite could look for.
func (s *subject) one(t *testing.T) execution {
	t.Helper()
	for _, o := range s.outputs {
		if o.id == s.inputs[0].id {
			return execution{"inputs": s.sent(), "outputs": byValue(o), "response": "raw"}
		}
	}
	t.Skip("no output is named like the first input")
	return nil
}

// with adds a member to the request.
func (e execution) with(name string, value any) execution {
	e[name] = value
	return e
}

// post sends a request as the suite does. Pairs of header names and values may follow.
func (s *subject) post(t *testing.T, e execution, header ...string) reply {
	t.Helper()
	body, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.send("POST", "/processes/"+s.id+"/execution", string(body), append([]string{
		"Accept", "application/json", "Content-Type", "application/json; charset=UTF-8"}, header...)...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// execute is post for a request that runs at once.
func (s *subject) execute(t *testing.T, e execution) reply {
	t.Helper()
	r := s.post(t, e)
	if r.StatusCode != http.StatusOK {
		t.Fatalf("%v", r)
	}
	return r
}

// get reads a JSON document.
func (s *subject) get(t *testing.T, path string) reply {
	t.Helper()
	return s.must(t, http.StatusOK, "GET", path, "", "Accept", "application/json")
}

// path returns the path of a URL of the server, which must be absolute.
func (s *subject) path(t *testing.T, url string) string {
	t.Helper()
	path, ok := strings.CutPrefix(url, s.url)
	if !ok {
		t.Fatalf("%q is no absolute URL of the server", url)
	}
	return path
}

// citeSchema compiles what the suite looks at in a kind of document of version 1.0.
func citeSchema(name string) (*jsonschema.Schema, error) {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	return c.Compile("testdata/cite.json#/$defs/" + name)
}

// matches checks that a reply is a JSON document of the named kind.
func (r reply) matches(t *testing.T, kind string) {
	t.Helper()
	if mediaType, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); mediaType != "application/json" {
		t.Errorf("media type %q", mediaType)
	}
	schema, err := citeSchema(kind)
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(r.body))
	if err == nil {
		err = schema.Validate(value)
	}
	if err != nil {
		t.Errorf("no %s: %v\n%v", kind, err, r)
	}
}

// fails checks that a reply is an exception with a status and a type.
func (r reply) fails(t *testing.T, status int, kind string) {
	t.Helper()
	r.matches(t, "exception")
	var e struct{ Type string }
	if err := json.Unmarshal(r.body, &e); err != nil || r.StatusCode != status || e.Type != kind {
		t.Errorf("%v, want %d with type %q", r, status, kind)
	}
}

// exception is the type of an exception of version 1.0.
func exception(name string) string {
	return fmt.Sprintf("http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0/%s", name)
}
