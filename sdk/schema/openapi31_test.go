package schema

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOpenAPI31MovesReferences(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]map[string]string{
		`{"$schema":"https://json-schema.org/draft/2020-12/schema","const":1}`: {"": `{"const":1}`},
		`{"$defs":{"a":{"$ref":"#"}},"items":{"$ref":"#/$defs/a"}}`:            {"": `{"items":{"$ref":"#/x/y.a"}}`, ".a": `{"$ref":"#/x/y"}`},
		`{"$defs":{"L[i]":{"properties":{"p":true}},"L_i_":true},"items":{"$ref":"#/$defs/L%5Bi%5D/properties/p"}}`: {
			"": `{"items":{"$ref":"#/x/y.L_i_/properties/p"}}`, ".L_i_": `{"properties":{"p":true}}`, ".L_i__": `true`},
		`{"properties":{"$ref":{"type":"string"}},"items":{"$ref":"#/properties/a"}}`:  {"": `{"items":{"$ref":"#/x/y/properties/a"},"properties":{"$ref":{"type":"string"}}}`},
		`{"$ref":"https://geojson.org/schema/Feature.json"}`:                           {"": `{"$ref":"#/x/geojson.feature"}`},
		`{"$ref":"https://geojson.org/schema/GeoJSON.json"}`:                           {"": `{"$ref":"#/x/geojson"}`},
		`{"$id":"https://example.com/a","items":{"$ref":"#/$defs/a"},"$defs":{}}`:      {"": `{"$defs":{},"$id":"https://example.com/a","items":{"$ref":"#/$defs/a"}}`},
		`{"default":{"$ref":"#"},"contentSchema":"https://example.com/a.xsd","x":[1]}`: {"": `{"default":{"$ref":"#"},"x":[1]}`},
		`true`: {"": `true`},
	} {
		parts, err := OpenAPI31(json.RawMessage(in), "#/x/y", "#/x/")
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for suffix, text := range parts {
			got[suffix] = string(text)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", in, d)
		}
	}
}

func TestWellKnownSchemasReferToOneAnother(t *testing.T) {
	t.Parallel()
	all, err := WellKnown("#/x/")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(all["geojson.line"]), `{"items":{"$ref":"#/x/geojson.position"},"minItems":2,"type":"array"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if all["bbox"] == nil {
		t.Error("no bbox")
	}
}
