package job

import (
	"encoding/json"
	"testing"

	"geomill/sdk/ogc"
)

func TestAnOrderThatIsCheckedAgainStaysAsItIs(t *testing.T) {
	t.Parallel()
	var d ogc.Process
	text := `{"id":"p","version":"2","inputs":{"in":{"schema":{"type":"string"},"maxOccurs":3}},"outputs":{"out":{"schema":{}}}}`
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		t.Fatal(err)
	}
	p, err := NewProcess(d, Policy{}, Plugin{})
	if err != nil {
		t.Fatal(err)
	}
	const given = `["first","second","third"]`
	o := Order{Inputs: map[string]Value{"in": {JSON: json.RawMessage(given)}}}
	if err := p.takes(&o); err != nil {
		t.Fatal(err)
	}
	if got := string(o.Inputs["in"].JSON); got != given {
		t.Errorf("%s became %s", given, got)
	}
}
