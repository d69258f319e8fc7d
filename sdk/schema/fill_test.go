package schema

import (
	"encoding/json"
	"strings"
	"testing"

	"geomill/sdk/schema/decode"

	"github.com/google/go-cmp/cmp"
)

// compiled is a schema and a decoded value.
func compiled(t *testing.T, schema, value string) (*Schema, any) {
	t.Helper()
	s, err := Compile(json.RawMessage(schema))
	if err != nil {
		t.Fatal(err)
	}
	v, err := decode.JSON(json.RawMessage(value))
	if err != nil {
		t.Fatal(err)
	}
	return s, v
}

func TestFillGivesMissingMembersTheirDefaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, schema, value, want string }{
		{"missing", `{"properties":{"a":{"default":1},"b":{"default":"x"},"c":{}}}`, `{"b":"y"}`, `{"a":1,"b":"y"}`},
		{"null is a value", `{"properties":{"a":{"default":1}}}`, `{"a":null}`, `{"a":null}`},
		{"within a member", `{"properties":{"o":{"properties":{"a":{"default":1}}}}}`, `{"o":{}}`, `{"o":{"a":1}}`},
		{"not where the object is missing", `{"properties":{"o":{"properties":{"a":{"default":1}}}}}`, `{}`, `{}`},
		{"within items", `{"items":{"properties":{"a":{"default":1}}}}`, `[{},{"a":2}]`, `[{"a":1},{"a":2}]`},
		{"by reference", `{"$defs":{"d":{"default":1}},"allOf":[{"properties":{"a":{"$ref":"#/$defs/d"}}}]}`, `{}`, `{"a":1}`},
		{"of other members", `{"additionalProperties":{"properties":{"a":{"default":1}}}}`, `{"x":{}}`, `{"x":{"a":1}}`},
		{"not under conditions", `{"anyOf":[{"properties":{"a":{"default":1}}},{}]}`, `{}`, `{}`},
		{"no object", `{"properties":{"a":{"default":1}}}`, `"text"`, `"text"`},
	} {
		s, v := compiled(t, c.schema, c.value)
		got, err := json.Marshal(s.Fill(v))
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %s, %v, want %s", c.name, got, err, c.want)
		}
	}
}

func TestWriteOnlyFindsMarksWhereverTheyApply(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, schema, value string
		want                []string
	}{
		{"member", `{"properties":{"a":{"writeOnly":true},"b":{}}}`, `{"a":"1","b":"2"}`, []string{"/a"}},
		{"missing", `{"properties":{"a":{"writeOnly":true}}}`, `{}`, nil},
		{"nested", `{"properties":{"o":{"properties":{"a/b":{"writeOnly":true}}}}}`, `{"o":{"a/b":1}}`, []string{"/o/a~1b"}},
		{"items", `{"items":{"writeOnly":true}}`, `["a","b"]`, []string{"/0", "/1"}},
		{"prefix items", `{"prefixItems":[{},{"writeOnly":true}]}`, `["a","b"]`, []string{"/1"}},
		{"pattern", `{"patternProperties":{"key$":{"writeOnly":true}}}`, `{"the-key":1,"other":2}`, []string{"/the-key"}},
		{"other members", `{"properties":{"b":{}},"additionalProperties":{"writeOnly":true}}`, `{"a":1,"b":2}`, []string{"/a"}},
		{"reference", `{"$defs":{"s":{"writeOnly":true}},"properties":{"a":{"$ref":"#/$defs/s"}}}`, `{"a":1}`, []string{"/a"}},
		{"one of several forms", `{"properties":{"a":{"oneOf":[{"type":"null"},{"type":"string","writeOnly":true}]}}}`, `{"a":"1"}`, []string{"/a"}},
		{"whole", `{"writeOnly":true}`, `{"a":1}`, []string{""}},
		{"what is within is not listed", `{"properties":{"o":{"writeOnly":true,"properties":{"a":{"writeOnly":true}}}}}`, `{"o":{"a":1}}`, []string{"/o"}},
	} {
		s, v := compiled(t, c.schema, c.value)
		if d := cmp.Diff(c.want, s.WriteOnly(v)); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

// A schema that doubles at every step would take for ever if each way through it
// was taken.
func TestWalksOfSchemasThatReferToThemselvesEnd(t *testing.T) {
	t.Parallel()
	s, v := compiled(t, `{"$defs":{"a":{"properties":{"x":{"allOf":[{"$ref":"#/$defs/a"},{"$ref":"#/$defs/a"},{"$ref":"#/$defs/b"}]}}},
		"b":{"allOf":[{"$ref":"#/$defs/a"},{"$ref":"#/$defs/a"}],"properties":{"y":{"default":1,"writeOnly":true}}}},"$ref":"#/$defs/b"}`,
		strings.Repeat(`{"x":`, 60)+`{}`+strings.Repeat(`}`, 60))
	if got := s.WriteOnly(s.Fill(v)); len(got) != 61 {
		t.Errorf("%d places, want one at each of 61 levels", len(got))
	}
}
