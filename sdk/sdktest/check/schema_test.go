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

func TestDefaultsAreAcceptedByTheirSchemas(t *testing.T) {
	t.Parallel()
	for schema, want := range map[string]string{
		`true`: "",
		`{"properties":{"a":{"type":"integer","default":1},"b":true}}`:                          "",
		`{"properties":{"a":{"type":"integer","default":"x"}}}`:                                 "/a: its default must be an integer, not a string",
		`{"properties":{"a":{"items":{"properties":{"b":{"minimum":1,"default":0}}}}}}`:         "/a/items/b: its default must be at least 1",
		`{"additionalProperties":{"type":"string","default":1}}`:                                "/additionalProperties: its default must be a string, not a number",
		`{"properties":{"a":{"default":{},"required":["b"],"properties":{"b":{"default":1}}}}}`: "",
		`{"properties":{"a":{"default":{},"required":["b"]}}}`:                                  "/a: its default/b is required",
		`{"properties":{"a":{"$ref":"#/$defs/n","default":0}},"$defs":{"n":{"minimum":1}}}`:     "/a: its default must be at least 1",
		`{"properties":{"a":{"$ref":"#/$defs/n","default":2}},"$defs":{"n":{"minimum":1}}}`:     "",
		`{"properties":{"a":{"type":"integer"},"b":{"$ref":"#/properties/a","default":1}}}`:     "",
		`{"properties":{"a":{"$ref":"#/definitions/n","default":2}},"definitions":{"n":{}}}`:    "",
		`{"type":"object","default":{"a":1},"properties":{"a":{"type":"string"}}}`:              ": its default/a must be a string, not a number",
	} {
		err := check.Defaults(json.RawMessage(schema))
		if want == "" && err != nil || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("%s: %v, want %q", schema, err, want)
		}
	}
}

func TestSettingsAreFilledInBeforeTheyAreChecked(t *testing.T) {
	t.Parallel()
	text := json.RawMessage(`{"type":"object","required":["a","b"],"properties":{"a":{"type":"number","default":1.50},"b":{"type":"string"}}}`)
	filled, faults, err := check.Fill(text, json.RawMessage(`{"b":"x"}`))
	if err != nil || len(faults) > 0 || string(filled) != `{"a":1.50,"b":"x"}` {
		t.Errorf("%s, %v, %v", filled, faults, err)
	}
	for given, want := range map[string]int{`{}`: 1, `{"a":"x","b":1}`: 2, `{`: 1} {
		if _, faults, err := check.Fill(text, json.RawMessage(given)); err != nil || len(faults) != want {
			t.Errorf("%s: %v, %v", given, faults, err)
		}
	}
}
