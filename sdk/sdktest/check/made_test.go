package check

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"strings"
	"testing"
)

func TestValuesAreMadeOfSchemas(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"anything":                  `{}`,
		"true":                      `true`,
		"a default":                 `{"type":"string","pattern":"^zebra$","default":"zebra"}`,
		"an example":                `{"type":"string","pattern":"^zebra$","examples":["zebra"]}`,
		"a wrong example, and more": `{"type":"integer","examples":["zebra"],"minimum":3}`,
		"enum":                      `{"enum":[null,"b"]}`,
		"const":                     `{"const":{"a":1}}`,
		"a long string":             `{"type":"string","minLength":40}`,
		"a date":                    `{"type":"string","format":"date-time"}`,
		"base64":                    `{"type":"string","contentEncoding":"base64"}`,
		"a code":                    `{"type":"string","pattern":"^EPSG:[0-9]+$"}`,
		"a number between":          `{"type":"number","exclusiveMinimum":2,"exclusiveMaximum":3}`,
		"an integer above":          `{"type":"integer","minimum":0.5}`,
		"a multiple":                `{"type":"integer","multipleOf":7,"minimum":50}`,
		"a small number":            `{"type":"number","maximum":-5}`,
		"one of types":              `{"type":["null","array"],"minItems":2}`,
		"a list":                    `{"type":"array","minItems":2,"items":{"type":"boolean"}}`,
		"a list of different":       `{"type":"array","minItems":2,"uniqueItems":true,"items":{"enum":[1,2,3]}}`,
		"a tuple":                   `{"type":"array","prefixItems":[{"type":"string"},{"type":"integer"}],"minItems":2}`,
		"an object":                 `{"type":"object","required":["a","b"],"properties":{"a":{"type":"integer","minimum":9},"b":{"type":"string","pattern":"^EPSG:"}}}`,
		"a reference":               `{"$ref":"#/$defs/a","$defs":{"a":{"type":"integer","minimum":5}}}`,
		"all of":                    `{"allOf":[{"type":"object","required":["a"],"properties":{"a":{"type":"string"}}},{"required":["b"],"properties":{"b":{"type":"null"}}}]}`,
		"one of":                    `{"oneOf":[{"type":"string","minLength":3},{"type":"object"}]}`,
		"any of":                    `{"anyOf":[{"type":"integer","minimum":3,"maximum":2},{"type":"array","minItems":1}]}`,
		"a geometry":                `{"$ref":"https://geojson.org/schema/Geometry.json"}`,
		"a point":                   `{"$ref":"https://geojson.org/schema/Point.json"}`,
		"a collection":              `{"type":"object","format":"geojson-feature-collection","required":["type","features"],"properties":{"features":{"type":"array","minItems":1}}}`,
		"a box":                     `{"$ref":"http://schemas.opengis.net/ogcapi/processes/part1/1.0/openapi/schemas/bbox.yaml"}`,
	} {
		value, err := made(json.RawMessage(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if faults, err := Schema(json.RawMessage(text), value); err != nil || len(faults) > 0 {
			t.Errorf("%s: %s: %v %v", name, value, err, faults)
		}
	}
}

func TestNoValueIsMadeUp(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`false`, `{"type":"string","pattern":"^zebra$"}`, `{"$ref":"#"}`} {
		if value, err := made(json.RawMessage(text)); err == nil && text != `{"$ref":"#"}` || err != nil && !errors.Is(err, errNotMade) {
			t.Errorf("%s: %s, %v", text, value, err)
		}
	}
}

func TestJUnitHasEveryCheckAndTakesAnyText(t *testing.T) {
	t.Parallel()
	r := Report{Path: "/p", Results: []Result{
		{Check: Check{ID: "a"}, Outcome: Pass, Seen: "fine"},
		{Check: Check{ID: "b", Wants: "<order>"}, Outcome: Fail, Seen: "\x1b[31m\x00 \xff & \"chaos\""},
		{Check: Check{ID: "c"}, Outcome: Skip, Seen: "nothing to try"},
		{Check: Check{ID: "d"}, Outcome: Skip, untried: true},
		{Check: Check{ID: "e"}, Outcome: Warn, Seen: "slow"},
	}}
	var b bytes.Buffer
	if err := r.WriteJUnit(&b); err != nil {
		t.Fatal(err)
	}
	var suite junitSuite
	if err := xml.Unmarshal(b.Bytes(), &suite); err != nil {
		t.Fatalf("%v\n%s", err, &b)
	}
	if suite.Tests != 5 || suite.Failures != 2 || suite.Skipped != 1 || suite.Name != "/p" {
		t.Errorf("suite %+v", suite)
	}
	if f := suite.Cases[1].Failure; f == nil || !strings.Contains(f.Message, `& "chaos"`) || !strings.Contains(f.Text, "<order>") {
		t.Errorf("failure %+v", f)
	}
	if out := suite.Cases[4].Out; out != "warn slow" {
		t.Errorf("warning %q", out)
	}
}
