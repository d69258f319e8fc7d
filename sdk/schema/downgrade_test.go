package schema

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"geomill/sdk/schema/decode"

	"github.com/getkin/kin-openapi/openapi3"
	"pgregory.net/rapid"
)

// closed10 are the keywords that the metaschema of version 1.0 knows.
const closed10 = ` title multipleOf maximum exclusiveMaximum minimum exclusiveMinimum maxLength minLength
		pattern maxItems minItems uniqueItems maxProperties minProperties required enum type not allOf oneOf anyOf items
		properties additionalProperties description format default nullable readOnly writeOnly example deprecated
		contentMediaType contentEncoding contentSchema `

func TestProcesses10(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, in, want string }{
		{"what both know", `{"type":"string","minLength":1,"title":"T","x-a":1,"$comment":"c"}`, `{"type":"string","minLength":1,"title":"T"}`},
		{"true", `true`, `{}`},
		{"false", `{"properties":{"a":false}}`, `{"properties":{"a":{"not":{}}}}`},
		{"exclusive bounds", `{"exclusiveMinimum":1,"exclusiveMaximum":2.5}`, `{"minimum":1,"exclusiveMinimum":true,"maximum":2.5,"exclusiveMaximum":true}`},
		{"stricter inclusive bound", `{"minimum":2,"exclusiveMinimum":1}`, `{"minimum":2}`},
		{"equal bounds", `{"maximum":2,"exclusiveMaximum":2}`, `{"maximum":2,"exclusiveMaximum":true}`},
		{"counts", `{"minLength":2.0,"maxLength":1e1}`, `{"minLength":2,"maxLength":10}`},
		{"const", `{"const":"a"}`, `{"enum":["a"]}`},
		{"const beside enum", `{"const":"a","enum":["a","b"]}`, `{"enum":["a","b"],"allOf":[{"enum":["a"]}]}`},
		{"no values", `{"enum":[]}`, `{"not":{}}`},
		{"examples", `{"examples":["a","b"]}`, `{"example":"a"}`},
		{"nullable", `{"type":["string","null"]}`, `{"type":"string","nullable":true}`},
		{"null", `{"type":"null"}`, `{"type":"string","enum":[null],"nullable":true}`},
		{"types", `{"type":["string","array","null"]}`, `{"anyOf":[{"type":"string","nullable":true},{"type":"array","items":{}}]}`},
		{"integers and numbers", `{"type":["integer","number"]}`, `{"type":"number"}`},
		{"optional", `{"anyOf":[{"type":"integer"},{"type":"null"}],"default":null}`, `{"type":"integer","nullable":true,"default":null}`},
		{"nullable is no keyword", `{"type":"string","nullable":true}`, `{"type":"string"}`},
		{"local definitions", `{"$defs":{"n":{"type":"number","title":"N"}},"$ref":"#/$defs/n","title":"Mine"}`, `{"type":"number","title":"Mine"}`},
		{"beside a reference", `{"$defs":{"n":{"minimum":1}},"properties":{"a":{"$ref":"#/$defs/n","minimum":2}}}`,
			`{"properties":{"a":{"minimum":2,"allOf":[{"minimum":1}]}}}`},
		{"anchor", `{"$defs":{"n":{"$anchor":"x","type":"number"}},"items":{"$ref":"#x"}}`, `{"items":{"type":"number"}}`},
		{"identifier", `{"$id":"https://example.com/s","$defs":{"a b":{"type":"number"}},"items":{"$ref":"https://example.com/s#/$defs/a%20b"}}`, `{"items":{"type":"number"}}`},
		{"recursion", `{"type":"object","properties":{"next":{"$ref":"#"}}}`,
			`{"type":"object","properties":{"next":{"description":"As the schema that contains this one."}}}`},
		{"recursion in not", `{"not":{"type":"object","properties":{"next":{"$ref":"#"}}}}`, `{}`},
		{"tuple", `{"type":"array","prefixItems":[{"type":"string"},{"type":"number"}]}`, `{"type":"array","items":{}}`},
		{"closed tuple", `{"prefixItems":[{"type":"string"},{"type":"number"}],"items":false}`,
			`{"maxItems":2,"items":{"anyOf":[{"type":"string"},{"type":"number"}]}}`},
		{"patterns", `{"patternProperties":{"^a":{"type":"number"}},"additionalProperties":false}`, `{"additionalProperties":{"type":"number"}}`},
		{"open patterns", `{"patternProperties":{"^a":{"type":"number"}}}`, `{}`},
		{"conditions", `{"if":{"minimum":1},"then":{"maximum":2},"dependentSchemas":{"a":false}}`, `{}`},
		{"oneOf", `{"oneOf":[{"type":"string","contentMediaType":"text/plain"},{"type":"object","required":["a"]}]}`,
			`{"oneOf":[{"type":"string","contentMediaType":"text/plain"},{"type":"object","required":["a"]}]}`},
		{"oneOf that widens", `{"oneOf":[{"contains":{"type":"string"}},{"type":"array"}]}`, `{"anyOf":[{},{"type":"array","items":{}}]}`},
		{"oneOf of formats", `{"oneOf":[{"type":"string","format":"date"},{"type":"number","contains":{}}]}`,
			`{"oneOf":[{"type":"string","format":"date"},{"type":"number"}]}`},
		{"content", `{"type":"string","contentMediaType":"image/tiff","contentEncoding":"base64","contentSchema":"https://example.com/a.xsd"}`,
			`{"type":"string","contentMediaType":"image/tiff","contentEncoding":"base64","contentSchema":"https://example.com/a.xsd"}`},
		{"schema of content", `{"contentSchema":{"type":"object"}}`, `{}`},
		{"well-known", `{"$ref":"https://schemas.opengis.net/ogcapi/features/part1/1.0/openapi/schemas/pointGeoJSON.yaml"}`,
			`{"title":"Point","type":"object","required":["type","coordinates"],"properties":{
			"type":{"type":"string","enum":["Point"]},
			"coordinates":{"type":"array","minItems":2,"items":{"type":"number"}},
			"bbox":{"type":"array","minItems":4,"items":{"type":"number"}}}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if _, err := Compile(json.RawMessage(c.in)); err != nil {
				t.Fatal(err)
			}
			got, err := Processes10(json.RawMessage(c.in))
			if err != nil {
				t.Fatal(err)
			}
			var want any
			if err := json.Unmarshal([]byte(c.want), &want); err != nil {
				t.Fatal(err)
			}
			text, _ := json.Marshal(want)
			if string(got) != string(text) {
				t.Errorf("got  %s\nwant %s", got, text)
			}
		})
	}
}

func TestOpenAPI30KnowsNoContent(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{"type":"string","contentEncoding":"base64","contentMediaType":"image/png"}`: `{"format":"byte","type":"string"}`,
		`{"type":"string","contentMediaType":"text/plain"}`:                           `{"type":"string"}`,
	} {
		if got, err := OpenAPI30(json.RawMessage(in)); err != nil || string(got) != want {
			t.Errorf("%s becomes %s (%v), want %s", in, got, err, want)
		}
	}
}

func TestReferencesThatMultiplyAreCut(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString(`{"$defs":{"d0":{"type":"string"}`)
	prev := "d0"
	for i := 'a'; i <= 'z'; i++ {
		b.WriteString(`,"` + string(i) + `":{"properties":{"l":{"$ref":"#/$defs/` + prev + `"},"r":{"$ref":"#/$defs/` + prev + `"}}}`)
		prev = string(i)
	}
	b.WriteString(`},"$ref":"#/$defs/z"}`)
	got, err := Processes10(json.RawMessage(b.String()))
	if err != nil || len(got) > MaxBytes {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// load reads a schema as a tool for OpenAPI 3.0 does. The one here takes some
// schemas for empty ones unless there is one more keyword in them.
func load(t rapid.TB, text json.RawMessage) *openapi3.Schema {
	t.Helper()
	doc, err := decode.JSON(text)
	if err != nil {
		t.Fatal(err)
	}
	err = eachSchema(doc, func(m map[string]any) error {
		m["nullable"] = true // which is for null alone
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if text, err = json.Marshal(doc); err != nil {
		t.Fatal(err)
	}
	s := new(openapi3.Schema)
	if err := json.Unmarshal(text, s); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return s
}

// keywordsOf lists the keywords of a schema and of all within it.
func keywordsOf(t rapid.TB, text json.RawMessage) map[string]bool {
	t.Helper()
	doc, err := decode.JSON(text)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	err = eachSchema(doc, func(m map[string]any) error {
		for keyword := range m {
			all[keyword] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// admitsNull reports whether a schema of OpenAPI 3.0.3 accepts null: nullable
// means something only beside a type, and without a type every value is welcome.
func admitsNull(s map[string]any) bool {
	if s["type"] != nil && s["nullable"] != true {
		return false
	}
	if enum, ok := s["enum"].([]any); ok && !slices.Contains(enum, nil) {
		return false
	}
	if not, ok := s["not"].(map[string]any); ok && admitsNull(not) {
		return false
	}
	for keyword, fits := range map[string]func(n, of int) bool{
		"allOf": func(n, of int) bool { return n == of },
		"anyOf": func(n, _ int) bool { return n > 0 },
		"oneOf": func(n, _ int) bool { return n == 1 },
	} {
		list, ok := s[keyword].([]any)
		n := 0
		for _, branch := range list {
			if admitsNull(branch.(map[string]any)) {
				n++
			}
		}
		if ok && !fits(n, len(list)) {
			return false
		}
	}
	return true
}

// TestDowngradedSchemasAreNeverStricter compares with an independent validator
// for OpenAPI 3.0. Null is checked apart: that validator wants nullable for it
// even where no type is named.
func TestDowngradedSchemasAreNeverStricter(t *testing.T) {
	t.Parallel()
	schemas, values := schemaGenerator(), valueGenerator()
	accepted := 0
	rapid.Check(t, func(t *rapid.T) {
		text, err := json.Marshal(schemas.Draw(t, "schema"))
		if err != nil {
			t.Fatal(err)
		}
		original, err := Compile(text)
		if err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		for _, write := range []func(json.RawMessage) (json.RawMessage, error){Processes10, OpenAPI30} {
			converted, err := write(text)
			if err != nil {
				t.Fatal(err)
			}
			for keyword := range keywordsOf(t, converted) {
				if !slices.Contains(strings.Fields(closed10), keyword) {
					t.Fatalf("%s in %s", keyword, converted)
				}
			}
			var plain map[string]any
			if err := json.Unmarshal(converted, &plain); err != nil {
				t.Fatal(err)
			}
			if len(original.Validate(nil)) == 0 && !admitsNull(plain) {
				t.Fatalf("%s\naccepts null, but %s\ndoes not", text, converted)
			}
			reader := load(t, converted)
			for range 5 {
				v := values.Draw(t, "value")
				if len(original.Validate(v)) > 0 {
					continue
				}
				accepted++
				if err := reader.VisitJSON(v); err != nil {
					t.Fatalf("%s\naccepts %v, but %s\ndoes not: %v", text, v, converted, err)
				}
			}
		}
		converted, _ := OpenAPI30(text)
		if err := load(t, converted).Validate(t.Context(), openapi3.DisableExamplesValidation(), openapi3.DisableSchemaDefaultsValidation()); err != nil {
			t.Fatalf("%s: %v", converted, err)
		}
	})
	if accepted == 0 {
		t.Error("no value was accepted")
	}
}

// valueGenerator makes JSON values without null.
func valueGenerator() *rapid.Generator[any] {
	scalar := rapid.OneOf(
		rapid.Map(rapid.IntRange(-2, 5), func(n int) any { return float64(n) }),
		rapid.Map(rapid.SampledFrom([]string{"", "a", "ab", "x"}), func(s string) any { return s }),
		rapid.Map(rapid.Bool(), func(b bool) any { return b }),
	)
	v := scalar
	for range 2 {
		inner := v
		v = rapid.OneOf(scalar,
			rapid.Map(rapid.SliceOfN(inner, 0, 3), func(s []any) any { return s }),
			rapid.Map(rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "xa"}), inner, 0, 3), func(m map[string]any) any { return m }))
	}
	return v
}

// schemaGenerator makes schemas of 2020-12 with a few keywords each.
func schemaGenerator() *rapid.Generator[any] {
	s := rapid.SampledFrom([]any{true, false, map[string]any{}, map[string]any{"type": "string"}, map[string]any{"$ref": "#"}, map[string]any{"$ref": "#/$defs/d"}})
	for range 3 {
		s = schemaOf(s)
	}
	return rapid.Custom(func(t *rapid.T) any {
		root, ok := s.Draw(t, "root").(map[string]any)
		if !ok {
			root = map[string]any{}
		}
		if root["$ref"] == "#" || root["$ref"] == "#/$defs/d" {
			delete(root, "$ref") // a loop without an end
		}
		root["$defs"] = map[string]any{"d": map[string]any{"minimum": 1, "type": []string{"number", "object"}}}
		if usesRoot(root) {
			return map[string]any{"properties": map[string]any{"a": map[string]any{"$ref": "#"}}, "$defs": root["$defs"]}
		}
		return root
	})
}

// usesRoot reports whether a schema applies itself to the very same value.
func usesRoot(s any) bool {
	m, ok := s.(map[string]any)
	if !ok {
		return false
	}
	if m["$ref"] == "#" {
		return true
	}
	for _, keyword := range []string{"not", "if", "then"} {
		if usesRoot(m[keyword]) {
			return true
		}
	}
	for _, keyword := range []string{"allOf", "anyOf", "oneOf"} {
		list, _ := m[keyword].([]any)
		for _, s := range list {
			if usesRoot(s) {
				return true
			}
		}
	}
	return false
}

// schemaOf makes schemas with parts from inner.
func schemaOf(inner *rapid.Generator[any]) *rapid.Generator[any] {
	number := rapid.IntRange(0, 3)
	count := rapid.Map(number, func(n int) any { return n })
	list := rapid.Map(rapid.SliceOfN(inner, 1, 3), func(s []any) any { return s })
	named := rapid.Map(rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "x"}), inner, 0, 2), func(m map[string]any) any { return m })
	words := map[string]*rapid.Generator[any]{
		"type":        rapid.SampledFrom([]any{"string", "number", "integer", "object", "array", "boolean", []string{"string", "null"}, []string{"integer", "array", "object"}}),
		"enum":        rapid.SampledFrom([]any{[]any{}, []any{"a", 1, true}, []any{nil, "x"}}),
		"const":       rapid.SampledFrom([]any{"a", 1, []any{}, map[string]any{}}),
		"minimum":     count,
		"maximum":     count,
		"multipleOf":  rapid.Map(rapid.IntRange(1, 3), func(n int) any { return n }),
		"pattern":     rapid.SampledFrom([]any{"^a", "b$"}),
		"required":    rapid.SampledFrom([]any{[]any{}, []any{"a"}, []any{"a", "b"}}),
		"uniqueItems": rapid.Map(rapid.Bool(), func(b bool) any { return b }),
		"title":       rapid.Map(rapid.String(), func(s string) any { return s }),
		"$ref":        rapid.Just[any]("#/$defs/d"),
		"readOnly":    rapid.Just[any](true),
		"nullable":    rapid.Just[any](true),
	}
	for _, k := range []string{"exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"} {
		words[k] = count
	}
	for _, k := range []string{"not", "items", "additionalProperties", "propertyNames", "contains", "if", "then", "else", "unevaluatedProperties"} {
		words[k] = inner
	}
	for _, k := range []string{"allOf", "anyOf", "oneOf", "prefixItems"} {
		words[k] = list
	}
	for _, k := range []string{"properties", "patternProperties", "dependentSchemas"} {
		words[k] = named
	}
	names := slices.Sorted(maps.Keys(words))
	return rapid.Custom(func(t *rapid.T) any {
		m := map[string]any{}
		for _, k := range rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, 4, rapid.ID).Draw(t, "keywords") {
			m[k] = words[k].Draw(t, k)
		}
		return m
	})
}
