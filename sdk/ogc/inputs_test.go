package ogc

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRequiredInputsComeFirst(t *testing.T) {
	t.Parallel()
	input := func(min int) Input { return Input{Schema: json.RawMessage(`{}`), MinOccurs: &min} }
	for _, tt := range []struct {
		inputs Inputs
		want   string
	}{
		{nil, `null`},
		{Inputs{}, `{}`},
		{
			Inputs{"b": input(0), "z": {Schema: json.RawMessage(`{}`)}, "a": input(0), "y": input(2), `"`: input(0)},
			`{"y":{"schema":{},"minOccurs":2},"z":{"schema":{}},` +
				`"\"":{"schema":{},"minOccurs":0},"a":{"schema":{},"minOccurs":0},"b":{"schema":{},"minOccurs":0}}`,
		},
	} {
		got, err := json.Marshal(tt.inputs)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(tt.want, string(got)); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		var back Inputs
		if err := json.Unmarshal(got, &back); err != nil || len(back) != len(tt.inputs) {
			t.Errorf("%s reads as %v, %v", got, back, err)
		}
	}
}
