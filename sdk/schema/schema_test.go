package schema

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"geomill/sdk/schema/decode"

	"github.com/google/go-cmp/cmp"
)

func compile(t testing.TB, text string) *Schema {
	t.Helper()
	s, err := Compile(json.RawMessage(text))
	if err != nil {
		t.Fatalf("compile %s: %v", text, err)
	}
	return s
}

func decoded(t testing.TB, text string) any {
	t.Helper()
	v, err := decode.JSON([]byte(text))
	if err != nil {
		t.Fatalf("decode %s: %v", text, err)
	}
	return v
}

func TestValidateNamesEveryFault(t *testing.T) {
	t.Parallel()
	tests := []struct {
		schema, value string
		want          []Fault
	}{
		{`{"type":"string"}`, `"a"`, nil},
		{`{"type":"string"}`, `1`, []Fault{{"", "must be a string, not a number"}}},
		{`{"type":["string","null"]}`, `1`, []Fault{{"", "must be null or a string, not a number"}}},
		{`{"type":"integer"}`, `1.5`, []Fault{{"", "must be an integer, not a number with a fraction"}}},
		{`{"type":"integer"}`, `1.0`, nil},
		{`{"type":"integer"}`, `1e2`, nil},
		{`{"type":"integer","maximum":9007199254740992}`, `9007199254740993`, []Fault{{"", "must be at most 9007199254740992"}}},
		{`{"const":9007199254740993}`, `9007199254740992`, []Fault{{"", "must be 9007199254740993"}}},
		{`{"minimum":1}`, `0`, []Fault{{"", "must be at least 1"}}},
		{`{"exclusiveMinimum":0.5}`, `0.5`, []Fault{{"", "must be greater than 0.5"}}},
		{`{"exclusiveMaximum":2}`, `2`, []Fault{{"", "must be less than 2"}}},
		{`{"multipleOf":0.1}`, `0.25`, []Fault{{"", "must be a multiple of 0.1"}}},
		{`{"multipleOf":0.1}`, `0.3`, nil},
		{`{"minLength":1}`, `""`, []Fault{{"", "must not be empty"}}},
		{`{"minLength":3}`, `"éé"`, []Fault{{"", "must have at least 3 characters, not 2"}}},
		{`{"maxLength":1}`, `"ab"`, []Fault{{"", "must have at most 1 character, not 2"}}},
		{`{"pattern":"^a+$"}`, `"b"`, []Fault{{"", `must match the pattern "^a+$"`}}},
		{`{"enum":["a","b",3]}`, `"c"`, []Fault{{"", `must be one of "a", "b", 3`}}},
		{`{"format":"date-time"}`, `"x"`, []Fault{{"", "must be a date and time such as 2026-01-31T12:00:00Z"}}},
		{`{"format":"ipv4"}`, `"x"`, []Fault{{"", `must be in the format "ipv4"`}}},
		{`{"format":"ogc-bbox"}`, `"x"`, []Fault{{"", "must be an object, not a string"}}},
		{`{"format":"collection-id"}`, `"x"`, nil},
		{`{"minItems":2}`, `[1]`, []Fault{{"", "must have at least 2 items, not 1"}}},
		{`{"maxItems":1}`, `[1,2]`, []Fault{{"", "must have at most 1 item, not 2"}}},
		{`{"uniqueItems":true}`, `[1,2,1.0]`, []Fault{{"", "must not repeat an item: /0 and /2 are equal"}}},
		{`{"contains":{"const":1}}`, `[2]`, []Fault{{"", "has no item of the form that it must contain"}}},
		{`{"minProperties":1}`, `{}`, []Fault{{"", "must have at least 1 member, not 0"}}},
		{`{"required":["b","a/~"]}`, `{}`, []Fault{{"/a~1~0", "is required"}, {"/b", "is required"}}},
		{`{"additionalProperties":false,"properties":{"a":{}}}`, `{"a":1,"c":1,"b":1}`,
			[]Fault{{"/b", "is not a known member"}, {"/c", "is not a known member"}}},
		{`{"properties":{"a":false}}`, `{"a":1}`, []Fault{{"/a", "is not allowed"}}},
		{`{"dependentRequired":{"a":["b"]}}`, `{"a":1}`, []Fault{{"/b", `is required together with "a"`}}},
		{`{"properties":{"o":{"propertyNames":{"maxLength":1}}}}`, `{"o":{"ab":1}}`,
			[]Fault{{"/o", `has a member with a name that is not allowed: "ab"`}}},
		{`{"not":{"type":"string"}}`, `"a"`, []Fault{{"", "has a form that is not allowed"}}},
		{`{"items":{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string"}}}}`, `[{"a":"x","b":1},{"a":true}]`,
			[]Fault{{"/0/a", "must be an integer, not a string"}, {"/0/b", "must be a string, not a number"},
				{"/1/a", "must be an integer, not a boolean"}}},
		{`{"$ref":"#/$defs/n","$defs":{"n":{"type":"number","minimum":1}}}`, `0`, []Fault{{"", "must be at least 1"}}},
		{`{"allOf":[{"format":"ogc-bbox"},{"type":"object","required":["bbox"]}]}`, `{}`, []Fault{{"/bbox", "is required"}}},
		{`{"oneOf":[{"type":"string"},{"type":"object","required":["name"]}]}`, `{}`, []Fault{{"/name", "is required"}}},
		{`{"oneOf":[{"type":"string"},{"type":"object"}]}`, `1`, []Fault{{"", "must be an object or a string, not a number"}}},
		{`{"oneOf":[{"minimum":1},{"maximum":5}]}`, `3`,
			[]Fault{{"", "matches more than one of the allowed forms; it must match exactly one"}}},
		{`{"properties":{"g":{"anyOf":[{"required":["x"]},{"properties":{"y":{"const":1}},"required":["y"]}]}}}`, `{"g":{"y":2}}`,
			[]Fault{{"/g", "matches none of the allowed forms: /x is required; or /y must be 1"}}},
	}
	for _, tt := range tests {
		t.Run(tt.schema+" "+tt.value, func(t *testing.T) {
			t.Parallel()
			got := compile(t, tt.schema).Validate(decoded(t, tt.value))
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("faults (-want +got):\n%s", d)
			}
		})
	}
}

func TestFaultsAreBounded(t *testing.T) {
	t.Parallel()
	wrong := "[" + strings.Repeat("1,", 5000) + "1]"
	tests := map[string]struct {
		schema, value string
		want          int
	}{
		"items":   {`{"items":{"type":"string"}}`, wrong, maxSiblings},
		"members": {`{"additionalProperties":{"type":"string"}}`, object(5000), maxSiblings},
		"nested":  {`{"items":{"items":{"type":"string"}}}`, "[" + strings.Repeat(wrong+",", 20) + wrong + "]", MaxFaults},
		"known":   {`{"additionalProperties":false}`, object(5000), MaxFaults},
		"branch":  {`{"oneOf":[{"type":"string"},{"items":{"type":"string"}}]}`, wrong, maxSiblings},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, v := compile(t, tt.schema), decoded(t, tt.value)
			if n := len(s.Validate(v)); n != tt.want {
				t.Errorf("%d faults, want %d", n, tt.want)
			}
		})
	}
}

func TestMemoryForFaultsDoesNotGrowWithTheValue(t *testing.T) {
	s := compile(t, `{"items":{"type":"string"}}`)
	v := decoded(t, "["+strings.Repeat("1,", 1<<18)+"1]")
	if n := testing.AllocsPerRun(1, func() { s.Validate(v) }); n > 1000 {
		t.Errorf("%v allocations", n)
	}
}

// object returns an object with n members.
func object(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"m%d":1`, i)
	}
	return "{" + b.String()[1:] + "}"
}

func TestBoundedKeywordsKeepTheirMeaning(t *testing.T) {
	t.Parallel()
	tests := []struct {
		schema, value string
		valid         bool
	}{
		{`{"prefixItems":[{"type":"string"}],"items":{"type":"integer"}}`, `["a",1,2]`, true},
		{`{"prefixItems":[{"type":"string"}],"items":{"type":"integer"}}`, `["a","b"]`, false},
		{`{"items":false}`, `[]`, true},
		{`{"items":false}`, `[1]`, false},
		{`{"items":{"type":"integer"},"unevaluatedItems":false}`, `[1,2]`, true},
		{`{"allOf":[{"items":{"type":"integer"}}],"unevaluatedItems":false}`, `[1,2]`, true},
		{`{"prefixItems":[true],"unevaluatedItems":false}`, `[1,2]`, false},
		{`{"not":{"items":{"type":"integer"}}}`, `[1]`, false},
		{`{"not":{"items":{"type":"integer"}}}`, `["a"]`, true},
		{`{"properties":{"a":{}},"patternProperties":{"^x":{}},"additionalProperties":{"type":"integer"}}`, `{"a":"","xy":"","b":1}`, true},
		{`{"properties":{"a":{}},"additionalProperties":{"type":"integer"}}`, `{"b":""}`, false},
		{`{"additionalProperties":{"type":"integer"},"unevaluatedProperties":false}`, `{"b":1}`, true},
		{`{"allOf":[{"additionalProperties":{"type":"integer"}}],"unevaluatedProperties":false}`, `{"b":1}`, true},
		{`{"allOf":[{"properties":{"a":{}}}],"unevaluatedProperties":false}`, `{"a":1,"b":1}`, false},
		{`{"type":"object","properties":{"next":{"$ref":"#"}},"additionalProperties":{"type":"integer"}}`, `{"next":{"next":{"a":""}}}`, false},
		{`{"$ref":"#/$defs/l","$defs":{"l":{"items":{"$ref":"#/$defs/l"},"type":"array"}}}`, `[[],[[]]]`, true},
		{`{"$ref":"#/$defs/l","$defs":{"l":{"items":{"$ref":"#/$defs/l"},"type":"array"}}}`, `[[],[[1]]]`, false},
	}
	for _, tt := range tests {
		if got := len(compile(t, tt.schema).Validate(decoded(t, tt.value))) == 0; got != tt.valid {
			t.Errorf("%s against %s: valid is %v", tt.value, tt.schema, got)
		}
	}
}

func TestValidateSurvivesNumbersThatDecodeWouldRefuse(t *testing.T) {
	t.Parallel()
	if faults := compile(t, `{"minimum":1}`).Validate(json.Number("1e9999999")); len(faults) == 0 {
		t.Error("no fault")
	}
}

func TestCompileRefusesWhatLeadsOutOfTheSchemaOrIsNone(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ schema, want string }{
		"file":          {`{"$ref":"file:///etc/passwd"}`, "within the schema"},
		"absolute":      {`{"properties":{"a":{"$ref":"https://example.com/a.json"}}}`, "https://example.com/a.json"},
		"relative":      {`{"$ref":"other.json"}`, "within the schema"},
		"metaschema":    {`{"$schema":"https://example.com/dialect","type":"string"}`, "must be https://json-schema.org/draft/2020-12/schema"},
		"keyword":       {`{"properties":{"a":{"minimum":"1"}}}`, `at "/properties/a/minimum": must be a number, not a string`},
		"zero":          {`{"multipleOf":0}`, "greater than 0"},
		"type":          {`{"type":"text"}`, "/type"},
		"pattern":       {`{"pattern":"("}`, "pattern"},
		"not an object": {`[]`, "must be"},
		"not JSON":      {`{`, "not valid JSON"},
		"huge number":   {`{"minimum":1e999999999}`, "digits"},
		"deep":          {strings.Repeat(`{"not":`, 1001) + "{}" + strings.Repeat("}", 1001), "levels deep"},
		"large":         {`{"description":"` + strings.Repeat("a", MaxBytes) + `"}`, "at most"},
		"dangling":      {`{"$ref":"#/$defs/none"}`, "#/$defs/none"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Compile(json.RawMessage(tt.schema))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), location) {
				t.Errorf("internal text in %q", err)
			}
		})
	}
}

func TestCompileTakesEndlessReferences(t *testing.T) {
	t.Parallel()
	s := compile(t, `{"$ref":"#"}`)
	if faults := s.Validate("a"); len(faults) != 1 || !strings.Contains(faults[0].Message, "without end") {
		t.Errorf("faults %v", faults)
	}
}

func TestAcceptsAnyOnlyWhatNeedsNoCheck(t *testing.T) {
	t.Parallel()
	tests := []struct {
		schema, open string
	}{
		{`{}`, `{["-0tfn`},
		{`true`, `{["-0tfn`},
		{`false`, ``},
		{`{"type":"string","title":"T"}`, `"`},
		{`{"type":"string","maxLength":3}`, ``},
		{`{"type":"integer"}`, ``},
		{`{"type":["number","null"]}`, `-0n`},
		{`{"type":"array","items":{}}`, ``},
	}
	for _, tt := range tests {
		s, got := compile(t, tt.schema), ""
		for _, b := range []byte(`{["-0tfn`) {
			if s.AcceptsAny(b) {
				got += string(b)
			}
		}
		if got != tt.open {
			t.Errorf("%s accepts any %q, want %q", tt.schema, got, tt.open)
		}
	}
}

func ExampleSchema_Validate() {
	s, err := Compile(json.RawMessage(`{"type":"object","required":["name"],"properties":{"times":{"minimum":1}}}`))
	if err != nil {
		panic(err)
	}
	v, err := decode.JSON([]byte(`{"times":0}`))
	if err != nil {
		panic(err)
	}
	for _, f := range s.Validate(v) {
		fmt.Println(f.Pointer, f.Message)
	}
	// Output:
	// /name is required
	// /times must be at least 1
}

func BenchmarkValidateSmallValue(b *testing.B) {
	s := compile(b, `{"type":"string","minLength":1}`)
	for b.Loop() {
		v, err := decode.JSON([]byte(`"hi there2"`))
		if err != nil || s.Validate(v) != nil {
			b.Fatal("refused")
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	for b.Loop() {
		if _, err := Compile(json.RawMessage(`{"type":"string","minLength":1}`)); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzValidate(f *testing.F) {
	for _, seed := range []string{`{"a":1}`, `[1,-2.5e3,"x"]`, `""`, `0.3`, `{"b":{"c":[null]}}`} {
		f.Add([]byte(seed))
	}
	s := compile(f, `{"multipleOf":0.5,"minLength":1,"items":{"minimum":1,"type":"number"},"additionalProperties":{"enum":[1,"a"]}}`)
	f.Fuzz(func(t *testing.T, raw []byte) {
		v, err := decode.JSON(raw)
		if err != nil {
			return
		}
		for _, fault := range s.Validate(v) {
			if fault.Message == "" || strings.Contains(fault.Message, location) {
				t.Fatalf("%q: fault %+v", raw, fault)
			}
		}
	})
}
