package schema

import (
	"encoding/json"
	"testing"
)

func TestOpenAPI31MovesReferences(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{"$schema":"https://json-schema.org/draft/2020-12/schema","const":1}`:         `{"const":1}`,
		`{"$defs":{"a":{"$ref":"#"}},"items":{"$ref":"#/$defs/a"}}`:                    `{"$defs":{"a":{"$ref":"#/x/y"}},"items":{"$ref":"#/x/y/$defs/a"}}`,
		`{"properties":{"$ref":{"type":"string"}}}`:                                    `{"properties":{"$ref":{"type":"string"}}}`,
		`{"$ref":"https://geojson.org/schema/Feature.json"}`:                           `{"$ref":"#/x/geojson/$defs/feature"}`,
		`{"$id":"https://example.com/a","items":{"$ref":"#/$defs/a"}}`:                 `{"$id":"https://example.com/a","items":{"$ref":"#/$defs/a"}}`,
		`{"default":{"$ref":"#"},"contentSchema":"https://example.com/a.xsd","x":[1]}`: `{"default":{"$ref":"#"},"x":[1]}`,
		`true`: `true`,
	} {
		if got, err := OpenAPI31(json.RawMessage(in), "#/x/y", "#/x/"); err != nil || string(got) != want {
			t.Errorf("%s becomes %s (%v), want %s", in, got, err, want)
		}
	}
	for _, name := range WellKnown {
		if _, err := WellKnownOpenAPI31(name, "#/x/"); err != nil {
			t.Error(err)
		}
	}
}
