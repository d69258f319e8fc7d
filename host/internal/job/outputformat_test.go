package job

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"geomill/sdk/ogc"
)

func TestStringsBecomeWhatTheirOutputDeclares(t *testing.T) {
	t.Parallel()
	var d ogc.Process
	d.ID, d.Version = "p", "1"
	d.Outputs = map[string]ogc.Output{
		"plain":  {Schema: json.RawMessage(`{"type":"string"}`)},
		"gml":    {Schema: json.RawMessage(`{"type":"string","contentMediaType":"application/gml+xml"}`)},
		"image":  {Schema: json.RawMessage(`{"type":"string","contentEncoding":"base64","contentMediaType":"image/png"}`)},
		"choice": {Schema: json.RawMessage(`{"oneOf":[{"type":"string","contentMediaType":"text/csv"},{"type":"object"}]}`)},
	}
	p, err := NewProcess(d, Policy{}, Plugin{})
	if err != nil {
		t.Fatal(err)
	}
	text := Value{JSON: json.RawMessage(`"AQI="`)}
	for _, c := range []struct {
		id, wanted string
		given      Value
		want       Value
	}{
		{"plain", "", text, text},
		{"gml", "", text, Value{Data: []byte("AQI="), MediaType: "application/gml+xml"}},
		{"gml", "", Value{JSON: json.RawMessage(`1`)}, Value{JSON: json.RawMessage(`1`)}},
		{"gml", "", Value{JSON: text.JSON, MediaType: "application/json"}, Value{JSON: text.JSON, MediaType: "application/json"}},
		{"gml", "application/GML+xml", text, Value{Data: []byte("AQI="), MediaType: "application/gml+xml"}},
		{"image", "", text, Value{Data: []byte{1, 2}, MediaType: "image/png"}},
		{"image", "", Value{JSON: json.RawMessage(`"?"`)}, Value{JSON: json.RawMessage(`"?"`)}},
		{"choice", "", text, text},
		{"choice", "text/csv", text, Value{Data: []byte("AQI="), MediaType: "text/csv"}},
		{"choice", "text/csv", Value{JSON: json.RawMessage(`{}`)}, Value{JSON: json.RawMessage(`{}`)}},
	} {
		if diff := cmp.Diff(c.want, p.AsDeclared(c.id, c.given, c.wanted)); diff != "" {
			t.Errorf("%s as %q, given %s: %s", c.id, c.wanted, c.given.JSON, diff)
		}
	}
}
