package job

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"geomill/sdk/ogc"

	"github.com/google/go-cmp/cmp"
)

// withDefault is a process with an input "in" of the schema.
func withDefault(schema string, most ogc.Occurs) (*Process, error) {
	return NewProcess(ogc.Process{
		ProcessSummary: ogc.ProcessSummary{ID: "p", Version: "1"},
		Inputs:         map[string]ogc.Input{"in": {Schema: json.RawMessage(schema), MaxOccurs: &most}},
		Outputs:        map[string]ogc.Output{"out": {Schema: json.RawMessage(`{"type":"string"}`)}},
	}, Policy{}, Plugin{})
}

func TestDefaultsAreValuesLikeThoseOfClients(t *testing.T) {
	t.Parallel()
	js := func(s string) Value { return Value{JSON: json.RawMessage(s)} }
	for _, c := range []struct {
		schema string
		most   ogc.Occurs
		want   Value
	}{
		{`{"type":"integer","default":3}`, 1, js(`3`)},
		{`{"type":["string","null"],"default":null}`, 1, js(`null`)},
		{`{"type":"integer","default":3}`, 2, js(`[3]`)},
		{`{"type":"array","items":{"type":"integer"},"default":[3]}`, 2, js(`[[3]]`)},
		{`{"type":"string","contentEncoding":"base64","contentMediaType":"image/png","default":"aGk="}`, 1, Value{Data: []byte("hi"), MediaType: "image/png"}},
		{`{"type":"string","contentEncoding":"base64","contentMediaType":"image/png","default":"aGk="}`, 2, js(`["aGk="]`)},
	} {
		p, err := withDefault(c.schema, c.most)
		if err != nil {
			t.Errorf("%s: %v", c.schema, err)
			continue
		}
		in := intake{process: p, dir: filepath.Join(t.TempDir(), "in"), turn: make(chan struct{}, 1)}
		got, err := in.check(t.Context(), nil)
		if diff := cmp.Diff(map[string]Value{"in": c.want}, got); err != nil || len(in.faults) > 0 || diff != "" {
			t.Errorf("%s: %v %v\n%s", c.schema, err, in.faults, diff)
		}
	}
}

func TestDefaultsThatNoClientCouldSendAreRefused(t *testing.T) {
	t.Parallel()
	for schema, want := range map[string]string{
		`{"type":"integer","minimum":1,"default":"x"}`:                             "input in: default of the schema: must be an integer, not a string",
		`{"type":"integer","minimum":1,"default":0}`:                               "default of the schema: must be at least 1",
		`{"type":"integer","default":null}`:                                        "default of the schema: must be an integer, not null",
		`{"type":"object","properties":{"a":{"type":"string"}},"default":{"a":1}}`: "default of the schema: at /a must be a string",
		`{"type":"string","contentEncoding":"base64","default":"not base64!"}`:     "default of the schema: is not base64",
		`{"oneOf":[{"type":"string"},{"type":"integer"}],"default":[]}`:            "default of the schema: ",
	} {
		if _, err := withDefault(schema, 1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", schema, err, want)
		}
	}
}
