package derive_test

import (
	"encoding/json"
	"math"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"geomill/sdk/schema"
	"geomill/sdk/schema/decode"
	"geomill/sdk/schema/derive"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

type point struct {
	X, Y float64
	Name string `json:"name,omitempty" jsonschema:"maxLength=5"`
}

type box struct{}

func (box) JSONSchema() json.RawMessage {
	return json.RawMessage(`{"type":["array"],"minItems":4,"x-kind":"box","title":"Box"}`)
}

type Common struct {
	Tags []string `json:"tags,omitempty" jsonschema:"minItems=1,enum=a,enum=b"`
}

func TestProperties(t *testing.T) {
	t.Parallel()
	type all struct {
		Name  string `json:"name" jsonschema:"title=Name,description=Who\\, exactly,minLength=1"`
		Times int    `json:"times,omitzero" jsonschema:"minimum=1,maximum=10"`
		Mode  string `json:"mode" jsonschema:"enum=in,enum=out,default=in"`
		Ratio *float64
		On    bool `json:",omitempty" jsonschema:"default=true"`
		Common
		Any     any             `json:"any"`
		Raw     json.RawMessage `json:"raw"`
		Bytes   []byte          `json:"bytes" jsonschema:"contentMediaType=image/png"`
		When    time.Time       `json:"when"`
		Address netip.Addr      `json:"address"`
		Exact   json.Number     `json:"exact"`
		Where   point           `json:"where"`
		Box     box             `json:"box" jsonschema:"title=Extent"`
		Counts  map[string]int  `json:"counts"`
		Pair    [2]bool         `json:"pair"`
		Skipped int             `json:"-"`
		hidden  int
	}
	_ = all{}.hidden
	tests := []struct {
		name, title, description, schema string
		optional                         bool
	}{
		{"name", "Name", "Who, exactly", `{"type":"string","minLength":1}`, false},
		{"times", "", "", `{"type":"integer","minimum":1,"maximum":10}`, true},
		{"mode", "", "", `{"type":"string","enum":["in","out"],"default":"in"}`, true},
		{"Ratio", "", "", `{"type":"number"}`, true},
		{"On", "", "", `{"type":"boolean","default":true}`, true},
		{"tags", "", "", `{"type":"array","minItems":1,"items":{"type":"string","enum":["a","b"]}}`, true},
		{"any", "", "", `{}`, false},
		{"raw", "", "", `{}`, false},
		{"bytes", "", "", `{"type":"string","contentEncoding":"base64","contentMediaType":"image/png"}`, false},
		{"when", "", "", `{"type":"string","format":"date-time"}`, false},
		{"address", "", "", `{"type":"string"}`, false},
		{"exact", "", "", `{"type":"number"}`, false},
		{"where", "", "", `{"type":"object","required":["X","Y"],"additionalProperties":false,"properties":
			{"X":{"type":"number"},"Y":{"type":"number"},"name":{"type":"string","maxLength":5}}}`, false},
		{"box", "Extent", "", `{"type":["array"],"minItems":4,"x-kind":"box"}`, false},
		{"counts", "", "", `{"type":"object","additionalProperties":{"type":"integer"}}`, false},
		{"pair", "", "", `{"type":"array","minItems":2,"maxItems":2,"items":{"type":"boolean"}}`, false},
	}
	got, err := derive.Properties(reflect.TypeFor[*all]())
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(tests) {
		t.Fatalf("%d properties, want %d: %v", len(got), len(tests), got)
	}
	for i, tt := range tests {
		p := got[i]
		if p.Name != tt.name || p.Title != tt.title || p.Description != tt.description || p.Optional != tt.optional {
			t.Errorf("got %s %q %q optional %v, want %+v", p.Name, p.Title, p.Description, p.Optional, tt)
		}
		if d := cmp.Diff(decoded(t, tt.schema), decoded(t, string(p.Schema))); d != "" {
			t.Errorf("%s: schema (-want +got):\n%s", p.Name, d)
		}
	}
}

type wordy struct{}

func (wordy) JSONSchema() json.RawMessage { return json.RawMessage(`"text"`) }

func decoded(t *testing.T, text string) any {
	t.Helper()
	v, err := decode.JSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

type loop struct {
	Children []loop `json:"children"`
}

type Embedded struct{ *Embedded }

func TestPropertiesRefuses(t *testing.T) {
	t.Parallel()
	type twice struct {
		Common
		Other []string `json:"tags"`
	}
	tests := map[string]struct {
		value any
		want  string
	}{
		"no struct": {1, "not a struct"},
		"recursion": {loop{}, "contains itself"},
		"embedding": {Embedded{}, "contains itself"},
		"embedded":  {struct{ *point }{}, "exported type"},
		"function":  {struct{ F func() }{}, "no form in JSON"},
		"channel":   {struct{ C map[string]chan int }{}, "no form in JSON"},
		"URL":       {struct{ U *url.URL }{}, "no form in JSON"},
		"keys":      {struct{ M map[int]string }{}, "keys must be strings"},
		"twice":     {twice{}, `two members named "tags"`},
		"unknown": {struct {
			A int `jsonschema:"minimun=1"`
		}{}, `"minimun=1" has no effect on a int`},
		"other type": {struct {
			A string `jsonschema:"minimum=1"`
		}{}, "no effect"},
		"not a number": {struct {
			A int `jsonschema:"minimum=one"`
		}{}, "not a number"},
		"no length": {struct {
			A string `jsonschema:"minLength=x"`
		}{}, `"minLength=x": not a whole number`},
		"negative length": {struct {
			A string `jsonschema:"maxLength=-1"`
		}{}, "not a whole number"},
		"no number of items": {struct {
			A []int `jsonschema:"minItems=2.5"`
		}{}, "not a whole number"},
		"no boolean": {struct {
			A bool `jsonschema:"default=yes"`
		}{}, `"default=yes": neither true nor false`},
		"described": {struct{ A wordy }{}, "not a JSON object"},
		"string": {struct {
			A int `json:",string"`
		}{}, "not supported"},
		"nested": {struct {
			P []struct {
				Q string `jsonschema:"contentMediaType=a/b"`
			}
		}{}, "no effect"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := derive.Properties(reflect.TypeOf(tt.value)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

type sample struct {
	Text    string             `json:"text"`
	Small   int8               `json:"small"`
	Big     uint64             `json:"big,omitempty"`
	Float   float64            `json:"float"`
	Single  float32            `json:"single"`
	On      bool               `json:"on"`
	Bytes   []byte             `json:"bytes,omitempty"`
	Number  json.Number        `json:"number"`
	Points  []point            `json:"points,omitempty"`
	Maybe   *point             `json:"maybe,omitempty"`
	Byname  map[string][]int64 `json:"byname,omitempty"`
	Grid    [2][]bool          `json:"grid,omitzero"`
	When    time.Time          `json:"when"`
	Address netip.Addr         `json:"address"`
	Common
}

// sampleOf draws a value without the nil slices that become null.
func sampleOf(t *rapid.T) sample {
	name := rapid.StringN(0, 5, -1)
	at := func() point {
		return point{rapid.Float64Range(-math.MaxFloat64, math.MaxFloat64).Draw(t, "x"), 1, name.Draw(t, "name")}
	}
	s := sample{
		Text:    rapid.String().Draw(t, "text"),
		Small:   rapid.Int8().Draw(t, "small"),
		Big:     rapid.Uint64().Draw(t, "big"),
		Float:   rapid.Float64Range(-math.MaxFloat64, math.MaxFloat64).Draw(t, "float"),
		Single:  rapid.Float32Range(-math.MaxFloat32, math.MaxFloat32).Draw(t, "single"),
		On:      rapid.Bool().Draw(t, "on"),
		Bytes:   rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"),
		Number:  json.Number(rapid.StringMatching(`-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,5})?(e[+-]?[0-9]{1,2})?`).Draw(t, "number")),
		Byname:  rapid.MapOf(rapid.String(), rapid.SliceOfN(rapid.Int64(), 1, 3)).Draw(t, "byname"),
		When:    time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "when"), rapid.Int64Range(0, 1e9-1).Draw(t, "ns")).UTC(),
		Address: netip.AddrFrom4([4]byte{1, 2, 3, rapid.Byte().Draw(t, "address")}),
		Common:  Common{Tags: rapid.SliceOf(rapid.SampledFrom([]string{"a", "b"})).Draw(t, "tags")},
	}
	for range rapid.IntRange(0, 3).Draw(t, "points") {
		s.Points = append(s.Points, at())
	}
	if rapid.Bool().Draw(t, "maybe") {
		p := at()
		s.Maybe = &p
	}
	if rapid.Bool().Draw(t, "grid") {
		s.Grid = [2][]bool{{true}, {}}
	}
	return s
}

func TestDerivedSchemaAdmitsWhatMarshalWrites(t *testing.T) {
	t.Parallel()
	properties, err := derive.Properties(reflect.TypeFor[sample]())
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		raw, err := json.Marshal(sampleOf(t))
		if err != nil {
			t.Fatal(err)
		}
		var values map[string]json.RawMessage
		if err := json.Unmarshal(raw, &values); err != nil {
			t.Fatal(err)
		}
		for _, p := range properties {
			text, ok := values[p.Name]
			delete(values, p.Name)
			if !ok && !p.Optional {
				t.Fatalf("%s is required but was left out", p.Name)
			}
			if !ok {
				continue
			}
			s, err := schema.Compile(p.Schema)
			if err != nil {
				t.Fatal(err)
			}
			v, err := decode.JSON(text)
			if err != nil {
				t.Fatal(err)
			}
			if faults := s.Validate(v); len(faults) > 0 {
				t.Fatalf("%s = %s: %v", p.Name, text, faults)
			}
		}
		if len(values) > 0 {
			t.Fatalf("members without a schema: %v", values)
		}
	})
}
