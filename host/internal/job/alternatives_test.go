package job

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"geomill/sdk/ogc"

	"github.com/google/go-cmp/cmp"
)

// takeOne checks one input with the given schema.
func takeOne(t testing.TB, in ogc.Input, text string) (Value, []ogc.Fault) {
	t.Helper()
	p, err := NewProcess(ogc.Process{
		ProcessSummary: ogc.ProcessSummary{ID: "p", Version: "1"},
		Inputs:         map[string]ogc.Input{"in": in},
		Outputs:        map[string]ogc.Output{"out": {Schema: json.RawMessage(`{}`)}},
	}, Policy{}, Plugin{})
	if err != nil {
		t.Fatal(err)
	}
	c := intake{process: p, dir: filepath.Join(t.TempDir(), "in"), turn: make(chan struct{}, 1)}
	values, err := c.check(t.Context(), map[string]Raw{"in": {Text: json.RawMessage(text)}})
	if err != nil {
		t.Fatal(err)
	}
	return values["in"], c.faults
}

func inputOf(schema string) ogc.Input { return ogc.Input{Schema: json.RawMessage(schema)} }

// formats is an input that can be sent in six ways.
const formats = `{"oneOf":[
	{"type":"string","contentMediaType":"application/gml+xml; version=3.2"},
	{"type":"string","contentMediaType":"application/gml+xml; version=2.1"},
	{"type":"string","contentEncoding":"base64","contentMediaType":"image/tiff"},
	{"type":"string","contentEncoding":"binary","contentMediaType":"image/png","maxLength":8},
	{"type":"object","required":["type"],"properties":{"type":{"const":"Feature"}},"contentMediaType":"application/geo+json"},
	{"$ref":"#/$defs/point"}],
	"$defs":{"point":{"type":"array","items":{"type":"number"},"minItems":2}}}`

func TestFormatsAreChosenByTheirMediaType(t *testing.T) {
	t.Parallel()
	gml := func(version, text string) Value {
		return Value{JSON: json.RawMessage(text), MediaType: "application/gml+xml; version=" + version}
	}
	for _, c := range []struct {
		name, text string
		want       Value
	}{
		{"the first one that it matches", `"<a/>"`, gml("3.2", `"<a/>"`)},
		{"by its parameters", `{"value":"<a/>","mediaType":"application/gml+xml; version=2.1"}`, gml("2.1", `"<a/>"`)},
		{"whatever the case, the blanks and the charset", `{"value":"<a/>","mediaType":"Application/GML+XML ;version=2.1; charset=UTF-8"}`, gml("2.1", `"<a/>"`)},
		{"in a format member", `{"value":"aGk=","format":{"mediaType":"image/tiff","encoding":"base64"}}`, Value{Data: []byte("hi"), MediaType: "image/tiff"}},
		{"binary is base64", `{"value":"aGk=","mediaType":"image/png","encoding":"binary"}`, Value{Data: []byte("hi"), MediaType: "image/png"}},
		{"text that comes as base64", `{"value":"PGEvPg==","encoding":"base64","mediaType":"application/gml+xml;version=3.2"}`, gml("3.2", `"\u003ca/\u003e"`)},
		{"a bare object", `{"type":"Feature"}`, Value{JSON: json.RawMessage(`{"type":"Feature"}`)}},
		{"a wrapped object", `{"value":{"type":"Feature"},"mediaType":"application/geo+json"}`, Value{JSON: json.RawMessage(`{"type":"Feature"}`)}},
		{"an array, by reference to a definition", `[1,2]`, Value{JSON: json.RawMessage(`[1,2]`)}},
		{"the same, as JSON", `{"value":[1,2],"mediaType":"application/json"}`, Value{JSON: json.RawMessage(`[1,2]`)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, faults := takeOne(t, inputOf(formats), c.text)
			if len(faults) > 0 {
				t.Fatal(faults)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestValuesOfNoFormatAreRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, pointer, part string }{
		{"a media type that is not there", `{"value":"x","mediaType":"image/gif"}`, "/inputs/in/mediaType", "image/tiff"},
		{"a version that is not there", `{"value":"x","mediaType":"application/gml+xml; version=1"}`, "/inputs/in/mediaType", "version=3.2"},
		{"no value of its media type", `{"value":7,"mediaType":"image/tiff"}`, "/inputs/in/value", "string"},
		{"text where base64 is meant", `{"value":"<a/>","mediaType":"image/tiff"}`, "/inputs/in/value", "base64"},
		{"a limit of its format", `{"value":"aaaabbbbcccc","mediaType":"image/png"}`, "/inputs/in/value", "8"},
		{"an encoding that nobody knows", `{"value":"x","mediaType":"application/gml+xml;version=3.2","encoding":"hex"}`, "/inputs/in/encoding", "hex"},
		{"bytes that are no text", `{"value":"/w==","mediaType":"application/gml+xml;version=3.2","encoding":"base64"}`, "/inputs/in/encoding", "UTF-8"},
		{"text for an image", `{"value":"x","mediaType":"image/tiff","encoding":"UTF-8"}`, "/inputs/in/encoding", "base64"},
		{"none of them", `true`, "/inputs/in", "string"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, faults := takeOne(t, inputOf(formats), c.text)
			if len(faults) != 1 || faults[0].Pointer != c.pointer || !strings.Contains(faults[0].Message, c.part) {
				t.Errorf("faults %+v", faults)
			}
		})
	}
}

// In a file of a media type stands the text itself.
func TestLargeTextOfOneOfSeveralFormatsIsNotQuoted(t *testing.T) {
	t.Parallel()
	text := strings.Repeat(`<a b="\n"/>`, inlineMax/8)
	quoted, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	v, faults := takeOne(t, inputOf(formats), string(quoted))
	if len(faults) > 0 || v.File == "" || v.MediaType != "application/gml+xml; version=3.2" {
		t.Fatalf("%+v, %v", v, faults)
	}
	if got, err := os.ReadFile(v.File); err != nil || string(got) != text || v.Size != int64(len(text)) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestRowsOfTheValueTable(t *testing.T) {
	t.Parallel()
	occurs := func(schema string, most int) ogc.Input {
		in := inputOf(schema)
		n := ogc.Occurs(most)
		in.MaxOccurs = &n
		return in
	}
	const numbers = `{"type":"array","items":{"type":"number"}}`
	const nullable = `{"type":["string","null"]}`
	const own = `{"type":"object","required":["href"],"properties":{"href":{"type":"string"},"value":{"type":"integer"}}}`
	for _, c := range []struct {
		name    string
		in      ogc.Input
		text    string
		want    string
		pointer string // of the only fault, instead of a value
	}{
		{"a number", inputOf(`{"type":"number"}`), `1.50`, `1.50`, ""},
		{"null that the schema allows", inputOf(nullable), `null`, `null`, ""},
		{"null that it does not", inputOf(`{"type":"string"}`), `null`, "", "/inputs/in"},
		{"null among occurrences", occurs(`{"type":"string"}`, 3), `["a",null]`, "", "/inputs/in/1"},
		{"null for all occurrences", occurs(`{"type":"string"}`, 3), `null`, "", "/inputs/in"},
		{"an array value", inputOf(numbers), `[1,2]`, `[1,2]`, ""},
		{"array values", occurs(numbers, -1), `[[1,2],[],{"value":[3]}]`, `[[1,2],[],[3]]`, ""},
		{"a flat array is no list of arrays", occurs(numbers, 1000), `[1]`, "", "/inputs/in/0"},
		{"a single array value, wrapped", occurs(numbers, -1), `{"value":[1]}`, `[[1]]`, ""},
		{"too many", occurs(`{}`, 2), `[1,2,3]`, "", "/inputs/in"},
		{"too few", occurs(`{}`, 2), `[]`, "", "/inputs/in"},
		{"base64 among occurrences", occurs(`{"type":"string","contentEncoding":"base64"}`, -1), `["aGk=","aGj="]`, "", "/inputs/in/1"},
		{"base64 without its padding", inputOf(`{"type":"string","contentEncoding":"base64"}`), `"aGk"`, "", "/inputs/in"},
		{"base64 of URLs", inputOf(`{"type":"string","contentEncoding":"base64"}`), `"_-8="`, "", "/inputs/in"},
		{"the format byte", inputOf(`{"type":"string","format":"byte"}`), `"?"`, "", "/inputs/in"},
		{"one wrapping is taken off", inputOf(`{"type":"object"}`), `{"value":{"value":{"value":1}}}`, `{"value":{"value":1}}`, ""},
		{"no more than one", inputOf(`{"type":"integer"}`), `{"value":{"value":1}}`, "", "/inputs/in/value"},
		{"an object with an href of its own", inputOf(own), `{"href":"x"}`, `{"href":"x"}`, ""},
		{"an object with value and href of its own", inputOf(own), `{"href":"x","value":7}`, `{"href":"x","value":7}`, ""},
		{"the same, wrapped", inputOf(own), `{"value":{"href":"x"}}`, `{"href":"x"}`, ""},
		{"a collection", inputOf(`{"type":"string"}`), `{"collection":"http://example.com/c"}`, "", "/inputs/in/collection"},
		{"a nested process", inputOf(`{"type":"string"}`), `{"process":"http://example.com/p","inputs":{}}`, "", "/inputs/in/process"},
		{"a parameter", occurs(`{"type":"string"}`, 2), `[{"$input":"x"}]`, "", "/inputs/in/0/$input"},
		{"an object that only looks like one", inputOf(`{"type":"object"}`), `{"process":"x"}`, `{"process":"x"}`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v, faults := takeOne(t, c.in, c.text)
			if c.pointer != "" {
				if len(faults) != 1 || faults[0].Pointer != c.pointer {
					t.Errorf("faults %+v", faults)
				}
				return
			}
			if len(faults) > 0 || string(v.JSON) != c.want {
				t.Errorf("%s, faults %+v", v.JSON, faults)
			}
		})
	}
}

func TestBoundingBoxesAreMadeWhole(t *testing.T) {
	t.Parallel()
	const object = `{"allOf":[{"format":"ogc-bbox"},{"type":"object","required":["bbox"],"properties":{
		"bbox":{"type":"array","minItems":4,"maxItems":6,"items":{"type":"number"}},"crs":{"type":"string"}}}]}`
	const closed = `{"type":"object","required":["bbox"],"additionalProperties":false,"properties":{"bbox":{"type":"array"}}}`
	const array = `{"type":"array","format":"ogc-bbox","items":{"type":"number"}}`
	const feature = `{"type":"object","required":["bbox"],"properties":{"bbox":{"type":"array"},"geometry":{}}}`
	for _, c := range []struct{ name, schema, text, want, pointer string }{
		{"with its crs", object, `{"bbox":[1,2,3,4],"crs":"urn:x"}`, `{"bbox":[1,2,3,4],"crs":"urn:x"}`, ""},
		{"the crs that goes without saying", object, `{"bbox":[1,2,3,4] }`, `{"bbox":[1,2,3,4],"crs":"` + crs84 + `"}`, ""},
		{"with heights", object, `{"bbox":[1,2,3,4,5,6]}`, `{"bbox":[1,2,3,4,5,6],"crs":"` + crs84h + `"}`, ""},
		{"wrapped", object, `{"value":{"bbox":[1,2,3,4]}}`, `{"bbox":[1,2,3,4],"crs":"` + crs84 + `"}`, ""},
		{"an array", object, `[1,2,3,4]`, `{"bbox":[1,2,3,4],"crs":"` + crs84 + `"}`, ""},
		{"five numbers", object, `{"bbox":[1,2,3,4,5]}`, "", "/inputs/in/bbox"},
		{"no numbers", object, `{"bbox":[1,2,3,"4"]}`, "", "/inputs/in/bbox/3"},
		{"a schema without a crs", closed, `{"bbox":[1,2,3,4]}`, `{"bbox":[1,2,3,4]}`, ""},
		{"a schema that wants an array", array, `{"bbox":[1,2,3,4]}`, `[1,2,3,4]`, ""},
		{"of which the crs cannot be told", array, `{"bbox":[1,2,3,4],"crs":"urn:x"}`, "", "/inputs/in"},
		{"an array where one is wanted", array, `[1,2,3,4]`, `[1,2,3,4]`, ""},
		{"an array of five", array, `[1,2,3,4,5]`, "", "/inputs/in"},
		{"no bounding box, although it has one", feature, `{"bbox":[1]}`, `{"bbox":[1]}`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v, faults := takeOne(t, inputOf(c.schema), c.text)
			if c.pointer != "" {
				if len(faults) != 1 || faults[0].Pointer != c.pointer {
					t.Errorf("faults %+v", faults)
				}
				return
			}
			if len(faults) > 0 || string(v.JSON) != c.want {
				t.Errorf("%s, faults %+v", v.JSON, faults)
			}
		})
	}
}

func TestOutputsHaveACardinality(t *testing.T) {
	t.Parallel()
	var d ogc.Process
	for text, ok := range map[string]bool{
		`{"schema":{}}`:               true,
		`{"schema":{},"minOccurs":0}`: true,
		`{"schema":{},"minOccurs":2,"maxOccurs":"unbounded"}`:       true,
		`{"schema":{},"minOccurs":2}`:                               false,
		`{"schema":{},"minOccurs":0,"maxOccurs":0}`:                 false,
		`{"schema":{},"minOccurs":-1,"maxOccurs":"unbounded"}`:      false,
		`{"schema":{"type":"integer"},"minOccurs":3,"maxOccurs":2}`: false,
	} {
		if err := json.Unmarshal([]byte(`{"id":"p","version":"1","outputs":{"out":`+text+`}}`), &d); err != nil {
			t.Fatal(err)
		}
		if _, err := NewProcess(d, Policy{}, Plugin{}); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
		d = ogc.Process{}
	}
}

func TestAValueIsOfTheOnlyFormatOfItsInput(t *testing.T) {
	t.Parallel()
	const (
		image = `{"type":"string","contentEncoding":"base64","contentMediaType":"image/tiff"}`
		table = `{"type":"string","contentMediaType":"text/csv"}`
		point = `{"type":"object","required":["type"],"contentMediaType":"application/geo+json"}`
		bytes = `{"type":"string","contentEncoding":"base64","contentMediaType":"application/octet-stream"}`
	)
	for _, c := range []struct {
		schema, text string
		taken        bool
	}{
		{image, `{"value":"aGk=","mediaType":"image/tiff; application=geotiff"}`, true},
		{image, `{"value":"aGk=","mediaType":"image/png"}`, false},
		{table, `{"value":"a,b","mediaType":"TEXT/csv"}`, true},
		{table, `{"value":"a,b","mediaType":"text/plain"}`, false},
		{point, `{"value":{"type":"Point"},"mediaType":"application/json"}`, true},
		{point, `{"value":{"type":"Point"},"mediaType":"application/gml+xml"}`, false},
		{bytes, `{"value":"aGk=","mediaType":"image/png"}`, true},
	} {
		_, faults := takeOne(t, inputOf(c.schema), c.text)
		if taken := len(faults) == 0; taken != c.taken || !taken && faults[0].Pointer != "/inputs/in/mediaType" {
			t.Errorf("%s for %s: %+v", c.text, c.schema, faults)
		}
	}
}
