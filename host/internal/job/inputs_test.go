package job

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"geomill/sdk/ogc"

	"github.com/google/go-cmp/cmp"
)

// testProcess has an input of every kind.
func testProcess(t testing.TB) *Process {
	t.Helper()
	var d ogc.Process
	if err := json.Unmarshal([]byte(`{
		"id": "test", "version": "1",
		"inputs": {
			"name":   {"schema": {"type": "string", "minLength": 1}},
			"count":  {"schema": {"type": "integer", "minimum": 1, "default": 3}, "minOccurs": 0},
			"many":   {"schema": {"type": "number"}, "minOccurs": 0, "maxOccurs": 2},
			"object": {"schema": {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}, "minOccurs": 0},
			"tricky": {"schema": {"type": "object", "required": ["value"], "properties": {"value": {"type": "integer"}}}, "minOccurs": 0},
			"bytes":  {"schema": {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"}, "minOccurs": 0},
			"text":   {"schema": {"type": "string"}, "minOccurs": 0}
		},
		"outputs": {"out": {"schema": {"type": "string"}}}
	}`), &d); err != nil {
		t.Fatal(err)
	}
	p, err := NewProcess(d, Policy{}, Plugin{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func take(t testing.TB, body string) (map[string]Value, []ogc.Fault) {
	t.Helper()
	var raw map[string]json.RawMessage
	if err := json.Unmarshal([]byte(body), &raw); err != nil {
		t.Fatal(err)
	}
	inputs := make(map[string]Raw)
	for id, text := range raw {
		inputs[id] = Raw{Text: text}
	}
	in := intake{process: testProcess(t), dir: filepath.Join(t.TempDir(), "in"), turn: make(chan struct{}, 1)}
	values, err := in.check(t.Context(), inputs)
	if err != nil {
		t.Fatal(err)
	}
	return values, in.faults
}

func TestInputsAreUnwrappedAndDefaultsFilledIn(t *testing.T) {
	t.Parallel()
	js := func(s string) Value { return Value{JSON: json.RawMessage(s)} }
	for _, c := range []struct {
		name, body string
		want       map[string]Value
	}{
		{"a literal, and a default", `{"name":"x"}`, map[string]Value{"name": js(`"x"`), "count": js(`3`)}},
		{"a qualified value", `{"name":{"value":"x"},"count":1}`, map[string]Value{"name": js(`"x"`), "count": js(`1`)}},
		{"null leaves an input out", `{"name":"x","count":null}`, map[string]Value{"name": js(`"x"`), "count": js(`3`)}},
		{"occurrences", `{"name":"x","count":1,"many":[1,{"value":2}]}`, map[string]Value{"name": js(`"x"`), "count": js(`1`), "many": js(`[1,2]`)}},
		{"one occurrence without its array", `{"name":"x","count":1,"many":5}`, map[string]Value{"name": js(`"x"`), "count": js(`1`), "many": js(`[5]`)}},
		{"a bare object", `{"name":"x","count":1,"object":{"a":1}}`, map[string]Value{"name": js(`"x"`), "count": js(`1`), "object": js(`{"a":1}`)}},
		{"a wrapped object", `{"name":"x","count":1,"object":{"value":{"a":1}}}`, map[string]Value{"name": js(`"x"`), "count": js(`1`), "object": js(`{"a":1}`)}},
		{"an object with a value of its own, bare", `{"name":"x","count":1,"tricky":{"value":7}}`, map[string]Value{"name": js(`"x"`), "count": js(`1`), "tricky": js(`{"value":7}`)}},
		{"the same, wrapped", `{"name":"x","count":1,"tricky":{"value":{"value":7}}}`, map[string]Value{"name": js(`"x"`), "count": js(`1`), "tricky": js(`{"value":7}`)}},
		{"base64", `{"name":"x","count":1,"bytes":"aGk="}`, map[string]Value{"name": js(`"x"`), "count": js(`1`), "bytes": {Data: []byte("hi"), MediaType: "image/png"}}},
		{"base64 with its media type", `{"name":"x","count":1,"bytes":{"value":"aGk=","mediaType":"image/png"}}`, map[string]Value{"name": js(`"x"`), "count": js(`1`), "bytes": {Data: []byte("hi"), MediaType: "image/png"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, faults := take(t, c.body)
			if len(faults) > 0 {
				t.Fatalf("faults: %v", faults)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestEveryFaultIsReportedAtOnceWithItsPointer(t *testing.T) {
	t.Parallel()
	_, faults := take(t, `{"count":"x","many":[1,"y",3],"object":{"a":"z"},"bytes":"***","text":{"value":5},"a/b":1}`)
	var got []string
	for _, f := range faults {
		got = append(got, f.Input+" "+f.Pointer)
		if f.Message == "" {
			t.Errorf("no message for %s", f.Pointer)
		}
	}
	want := []string{
		"bytes /inputs/bytes", "count /inputs/count", "many /inputs/many", "name /inputs/name",
		"object /inputs/object/a", "text /inputs/text/value", "a/b /inputs/a~1b",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestLargeInputsBecomeFiles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, id, text string }{
		{"in memory", "name", `"` + strings.Repeat("a", inlineMax+10) + `"`},
		{"spooled, decoded to be checked", "name", `"` + strings.Repeat("b", largeInput+10) + `"`},
		{"spooled, passed on", "text", `"` + strings.Repeat("c", largeInput+10) + `"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := intake{process: testProcess(t), dir: filepath.Join(t.TempDir(), "in"), turn: make(chan struct{}, 1)}
			raw := map[string]Raw{"name": {Text: json.RawMessage(`"n"`)}}
			raw[c.id] = Raw{Text: json.RawMessage(c.text)}
			if len(c.text) > largeInput {
				raw[c.id] = Raw{Section: io.NewSectionReader(strings.NewReader("  "+c.text), 2, int64(len(c.text)))}
			}
			values, err := in.check(t.Context(), raw)
			if err != nil || len(in.faults) > 0 {
				t.Fatal(err, in.faults)
			}
			v := values[c.id]
			if v.File == "" || v.Size != int64(len(c.text)) {
				t.Fatalf("value %+v is not a file of %d bytes", v, len(c.text))
			}
			if got, err := os.ReadFile(v.File); err != nil || string(got) != c.text {
				t.Errorf("file differs (%v)", err)
			}
			if len(in.turn) != 0 {
				t.Error("the turn was not given back")
			}
		})
	}
}

func TestLargeInputOfTheWrongTypeIsRefused(t *testing.T) {
	t.Parallel()
	in := intake{process: testProcess(t), dir: filepath.Join(t.TempDir(), "in"), turn: make(chan struct{}, 1)}
	text := "[" + strings.Repeat("1,", largeInput) + "1]"
	_, err := in.check(t.Context(), map[string]Raw{"name": {Text: json.RawMessage(`"n"`)}, "text": {Section: io.NewSectionReader(strings.NewReader(text), 0, int64(len(text)))}})
	if err != nil || len(in.faults) != 1 || in.faults[0].Pointer != "/inputs/text" {
		t.Errorf("faults %v, error %v", in.faults, err)
	}
}

func TestValuesAreCounted(t *testing.T) {
	t.Parallel()
	for text, n := range map[string]int{`1`: 1, `"a,[{\\\","`: 1, `[]`: 2, `[1,2,3]`: 4, `{"a,":[{}],"b":"\\\\"}`: 5} {
		if tooMany([]byte(text), n) || !tooMany([]byte(text), n-1) {
			t.Errorf("%s does not have %d values", text, n)
		}
	}
}

// It is not parallel: it counts all memory that is allocated meanwhile.
func TestInputWithTooManyValuesIsRefusedWithoutBeingDecoded(t *testing.T) {
	p := testProcess(t)
	text := `{"value":[` + strings.Repeat("1,", maxValues) + `1]}`
	in := intake{process: p, dir: filepath.Join(t.TempDir(), "in"), turn: make(chan struct{}, 1)}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := in.check(t.Context(), map[string]Raw{
		"name":   {Text: json.RawMessage(`"n"`)},
		"object": {Section: io.NewSectionReader(strings.NewReader(text), 0, int64(len(text)))},
	})
	runtime.ReadMemStats(&after)
	if err != nil || len(in.faults) != 1 || !strings.Contains(in.faults[0].Message, "too much to be checked") {
		t.Errorf("faults %v, error %v", in.faults, err)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > uint64(6*len(text)) {
		t.Errorf("%d bytes of memory for %d bytes of input", grown, len(text))
	}
}

func TestFaultsAreBounded(t *testing.T) {
	t.Parallel()
	in := intake{process: testProcess(t), turn: make(chan struct{}, 1)}
	outputs := make(map[string]ogc.OutputSelection)
	for i := range 3 * maxFaults {
		outputs[strconv.Itoa(i)] = ogc.OutputSelection{}
	}
	in.checkOutputs(Request{Outputs: outputs})
	if len(in.faults) != maxFaults || in.more != 2*maxFaults {
		t.Errorf("%d faults and %d more", len(in.faults), in.more)
	}
}

func TestDescriptionsThatCannotBeServedAreRefused(t *testing.T) {
	t.Parallel()
	const fine = `"version":"1","outputs":{"o":{"schema":{}}}`
	for name, d := range map[string]string{
		"id with a slash":     `{"id":"a/b",` + fine + `}`,
		"id of dots":          `{"id":"..",` + fine + `}`,
		"no version":          `{"id":"a","outputs":{"o":{"schema":{}}}}`,
		"no outputs":          `{"id":"a","version":"1"}`,
		"unknown option":      `{"id":"a","jobControlOptions":["later"],` + fine + `}`,
		"schema with file":    `{"id":"a","inputs":{"i":{"schema":{"$ref":"file:///etc/passwd"}}},` + fine + `}`,
		"schema that is not":  `{"id":"a","inputs":{"i":{"schema":{"type":"strin"}}},` + fine + `}`,
		"input without any":   `{"id":"a","inputs":{"i":{}},` + fine + `}`,
		"occurs out of order": `{"id":"a","inputs":{"i":{"schema":{},"minOccurs":3,"maxOccurs":2}},` + fine + `}`,
	} {
		var p ogc.Process
		if err := json.Unmarshal([]byte(d), &p); err != nil {
			t.Fatal(name, err)
		}
		if _, err := NewProcess(p, Policy{}, Plugin{}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
