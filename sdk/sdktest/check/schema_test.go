package check_test

import (
	"encoding/json"
	"testing"

	"geomill/sdk/ogc"
	"geomill/sdk/sdktest/check"
)

func TestSchemasCompileAndAcceptTheirDefaults(t *testing.T) {
	t.Parallel()
	for schema, want := range map[string]string{
		`{"type":"integer","minimum":1,"default":1}`:                   "",
		`{"type":"integer","minimum":1,"default":0}`:                   "input a: its default must be at least 1",
		`{"items":{"type":"string"},"type":"array","default":["b",1]}`: "input a: its default/1 must be a string, not a number",
		`{"type":"string","default":""}`:                               "",
		`true`:                                                         "",
		`{"type":"strin"}`:                                             "-",
	} {
		d := ogc.Process{Inputs: map[string]ogc.Input{"a": {Schema: json.RawMessage(schema)}}}
		err := check.Description(d)
		switch {
		case want == "" && err != nil, want == "-" && err == nil, want != "" && want != "-" && (err == nil || err.Error() != want):
			t.Errorf("%s: %v, want %q", schema, err, want)
		}
	}
}
