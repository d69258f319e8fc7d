package compat

import (
	"encoding/json"
	"strings"
	"testing"

	"geomill/sdk/ogc"

	"pgregory.net/rapid"
)

func TestAnnouncedGoesBySemanticVersioning(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		before, after string
		want          bool
	}{
		{"1.2.3", "2.0.0", true}, {"1.2.3", "1.3.0", false}, {"1.2.3", "1.2.4", false}, {"2.0.0", "1.0.0", false},
		{"0.1.0", "0.2.0", true}, {"0.1.0", "0.1.1", false}, {"0.9.0", "1.0.0", true}, {"1.0.0", "0.2.0", false},
		{"v1", "v2", true}, {"1.0.0", "1.0.0", false}, {"1.0.0", "2.0.0-rc.1", true},
		{"", "2.0.0", false}, {"tuesday", "2.0.0", false}, {"1.0.0", "wednesday", false},
	} {
		if got := Announced(c.before, c.after); got != c.want {
			t.Errorf("%q to %q: %t", c.before, c.after, got)
		}
	}
}

// process reads a description; inputs and outputs are JSON objects.
func process(t testing.TB, text string) ogc.Process {
	t.Helper()
	p := ogc.Process{Outputs: map[string]ogc.Output{"out": {Schema: json.RawMessage(`{}`)}}}
	p.ID = "p"
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestWhatBreaksClientsIsFoundAndNothingElse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before, after string
		want          string // the breaks; empty: none
	}{
		"renamed process":  {`{}`, `{"id":"q"}`, "process p is no longer offered"},
		"option removed":   {`{}`, `{"jobControlOptions":["sync-execute"]}`, "process p at /jobControlOptions: async-execute is removed"},
		"dismiss removed":  {`{"jobControlOptions":["dismiss"]}`, `{}`, "process p at /jobControlOptions: dismiss is removed"},
		"option added":     {`{"jobControlOptions":["sync-execute"]}`, `{}`, ""},
		"input removed":    {`{"inputs":{"a/b":{"schema":{}}}}`, `{}`, "process p at /inputs/a~1b: the input is removed"},
		"input added":      {`{}`, `{"inputs":{"a":{"schema":{},"minOccurs":0}}}`, ""},
		"input demanded":   {`{}`, `{"inputs":{"a":{"schema":{}}}}`, "process p at /inputs/a: a new input is required"},
		"default stands":   {`{}`, `{"inputs":{"a":{"schema":{"default":1}}}}`, ""},
		"minOccurs raised": {`{"inputs":{"a":{"schema":{},"minOccurs":0}}}`, `{"inputs":{"a":{"schema":{}}}}`, "process p at /inputs/a/minOccurs: raised from 0 to 1"},
		"default dropped":  {`{"inputs":{"a":{"schema":{"default":1}}}}`, `{"inputs":{"a":{"schema":{}}}}`, "process p at /inputs/a/minOccurs: raised from 0 to 1"},
		"maxOccurs lowered": {`{"inputs":{"a":{"schema":{},"maxOccurs":"unbounded"}}}`, `{"inputs":{"a":{"schema":{},"maxOccurs":9}}}`,
			"process p at /inputs/a/maxOccurs: lowered from unbounded to 9"},
		"maxOccurs raised": {`{"inputs":{"a":{"schema":{}}}}`, `{"inputs":{"a":{"schema":{},"maxOccurs":"unbounded"}}}`, ""},
		"no references": {`{"inputs":{"a":{"schema":{}}}}`, `{"inputs":{"a":{"schema":{},"valuePassing":["byValue"]}}}`,
			"process p at /inputs/a/valuePassing: byReference is removed"},
		"output changed type": {`{"outputs":{"out":{"schema":{"type":"string"}}}}`, `{"outputs":{"out":{"schema":{"type":"number"}}}}`,
			"process p at /outputs/out/schema/type: changed from string to number"},
		"output of more":    {`{"outputs":{"out":{"schema":{"type":"integer"}}}}`, `{"outputs":{"out":{"schema":{"type":"number"}}}}`, ""},
		"output more exact": {`{"outputs":{"out":{"schema":{"type":"number"}}}}`, `{"outputs":{"out":{"schema":{"type":"integer","maximum":3}}}}`, ""},
		"output in one format less": {
			`{"outputs":{"out":{"schema":{"oneOf":[{"contentMediaType":"a/x"},{"contentMediaType":"a/y"}]}}}}`,
			`{"outputs":{"out":{"schema":{"contentMediaType":"a/x"}}}}`, "process p at /outputs/out/schema: media type a/y is removed"},
	} {
		if got := Summary(Compare([]ogc.Process{process(t, c.before)}, []ogc.Process{process(t, c.after)})); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	gone := process(t, `{}`)
	gone.Outputs = map[string]ogc.Output{"result": gone.Outputs["out"]}
	if got := Summary(Compare([]ogc.Process{process(t, `{}`)}, []ogc.Process{gone})); got != "process p at /outputs/out: the output is removed" {
		t.Errorf("output renamed: %q", got)
	}
}

func TestNarrowedSchemasAreFoundAndNothingElse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before, after string
		want          string // place and text; empty: nothing
	}{
		"equal":              {`{"type":"string","pattern":"a"}`, `{"type":"string","pattern":"a"}`, ""},
		"type removed":       {`{"type":["string","number"]}`, `{"type":"string"}`, "/type: number is removed"},
		"type narrowed":      {`{"type":"number"}`, `{"type":"integer"}`, "/type: number is removed"},
		"type widened":       {`{"type":"integer"}`, `{"type":"number"}`, ""},
		"type added":         {`{}`, `{"type":"string"}`, "/type: allows string only"},
		"type dropped":       {`{"type":"string"}`, `{}`, ""},
		"nothing allowed":    {`true`, `false`, ": allows no value any more"},
		"enum shrunk":        {`{"enum":["a","b",1]}`, `{"enum":["a",1]}`, `/enum: "b" is removed`},
		"enum grown":         {`{"enum":["a"]}`, `{"enum":["b","a"]}`, ""},
		"enum to type":       {`{"enum":["a",1]}`, `{"type":"integer"}`, `/enum: "a" is removed`},
		"enum dropped":       {`{"enum":["a"]}`, `{"type":"string","maxLength":9}`, ""},
		"const to enum":      {`{"const":"a"}`, `{"enum":["a","b"]}`, ""},
		"enum new":           {`{"type":"string"}`, `{"type":"string","enum":["a"]}`, ": allows certain values only"},
		"boolean enum":       {`{"type":"boolean"}`, `{"enum":[true,false]}`, ""},
		"maximum lowered":    {`{"type":"number","maximum":9}`, `{"type":"number","maximum":8.5}`, "/maximum: lowered from 9 to 8.5"},
		"maximum raised":     {`{"maximum":9}`, `{"maximum":10}`, ""},
		"maximum new":        {`{"type":"number"}`, `{"type":"number","maximum":8}`, "/maximum: 8 is new"},
		"maximum of strings": {`{"type":"string"}`, `{"type":"string","maximum":8}`, ""},
		"minimum raised":     {`{"type":"integer","minimum":0}`, `{"type":"integer","minimum":1}`, "/minimum: raised from 0 to 1"},
		"other kind":         {`{"type":"integer","exclusiveMinimum":0}`, `{"type":"integer","minimum":1}`, ""},
		"no length":          {`{"type":"string"}`, `{"type":"string","minLength":0}`, ""},
		"length new":         {`{"type":"string"}`, `{"type":"string","minLength":1}`, "/minLength: 1 is new"},
		"fewer items":        {`{"type":"array","maxItems":3}`, `{"type":"array","maxItems":2}`, "/maxItems: lowered from 3 to 2"},
		"unique items":       {`{"type":"array"}`, `{"type":"array","uniqueItems":true}`, "/uniqueItems: is new"},
		"items narrowed":     {`{"type":"array","items":{"type":"number"}}`, `{"type":"array","items":{"type":"integer"}}`, "/items/type: number is removed"},
		"items new":          {`{"type":"array"}`, `{"type":"array","items":{"type":"integer"}}`, "/items/type: allows integer only"},
		"tuples are skipped": {`{"prefixItems":[{}]}`, `{"prefixItems":[{"type":"string"}],"items":false}`, ""},
		"property demanded":  {`{"type":"object"}`, `{"type":"object","required":["a"]}`, "/required: property a is required now"},
		"property narrowed":  {`{"properties":{"a":{}}}`, `{"properties":{"a":{"type":"null"}}}`, "/properties/a/type: allows null only"},
		"property removed":   {`{"properties":{"a":{}},"additionalProperties":false}`, `{"additionalProperties":false}`, "/properties/a: the property is removed"},
		"property left open": {`{"properties":{"a":{}}}`, `{}`, ""},
		"property added":     {`{"additionalProperties":false}`, `{"properties":{"a":{}},"additionalProperties":false}`, ""},
		"closed":             {`{}`, `{"additionalProperties":false}`, "/additionalProperties: no other properties are allowed any more"},
		"multiple new":       {`{"type":"number"}`, `{"type":"number","multipleOf":2}`, "/multipleOf: 2 is new"},
		"pattern":            {`{"type":"string"}`, `{"type":"string","pattern":"."}`, ""},
		"same combiner":      {`{"oneOf":[{},false],"maxLength":4}`, `{"oneOf":[{},false],"maxLength":3}`, "/maxLength: lowered from 4 to 3"},
		"other combiner":     {`{"oneOf":[{},false],"maxLength":4}`, `{"anyOf":[{}],"maxLength":3}`, ""},
		"reference":          {`{"$ref":"#/$defs/a"}`, `{"$ref":"#/$defs/b","type":"null"}`, ""},
		"no schema":          {`[1]`, `{"type":"null"}`, ""},
		"odd members":        {`{"type":7,"enum":7,"required":[{}],"properties":[]}`, `{"type":7,"required":[{}],"maximum":"x","properties":7}`, ""},
	} {
		c1 := comparison{}
		c1.narrowed("", decode(json.RawMessage(c.before)), decode(json.RawMessage(c.after)))
		var got []string
		for _, b := range c1.breaks {
			got = append(got, b.Pointer+": "+b.What)
		}
		if strings.Join(got, "; ") != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestSummaryIsBounded(t *testing.T) {
	t.Parallel()
	var many []ogc.Process
	for _, id := range "abcdefgh" {
		p := process(t, `{}`)
		p.ID = string(id)
		many = append(many, p)
	}
	if got := Summary(Compare(many, nil)); !strings.HasSuffix(got, "process e is no longer offered; and 3 more") {
		t.Errorf("%q", got)
	}
}

// schemas generates schemas of the keywords that are compared.
func schemas(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		s := map[string]any{}
		if rapid.Bool().Draw(t, "typed") {
			s["type"] = rapid.SampledFrom([]any{"string", "number", "integer", "array", "object", []any{"null", "boolean"}}).Draw(t, "type")
		}
		for _, b := range bounds {
			if rapid.IntRange(0, 5).Draw(t, b.keyword) == 0 {
				s[b.keyword] = rapid.IntRange(0, 9).Draw(t, "bound")
			}
		}
		if rapid.IntRange(0, 3).Draw(t, "lists") == 0 {
			s["enum"] = []any{"a", rapid.Int().Draw(t, "value"), nil, map[string]any{}}
		}
		if depth == 0 {
			return s
		}
		for _, k := range []string{"items", "additionalProperties"} {
			if rapid.Bool().Draw(t, k) {
				s[k] = schemas(depth-1).Draw(t, "part")
			}
		}
		if rapid.Bool().Draw(t, "structured") {
			s["properties"] = map[string]any{"a": schemas(depth-1).Draw(t, "property"), "b": false}
			s["required"] = []any{"a"}
			s["additionalProperties"] = false
		}
		if rapid.Bool().Draw(t, "combined") {
			s["oneOf"] = []any{schemas(depth-1).Draw(t, "one"), map[string]any{"contentMediaType": "a/b"}}
		}
		return s
	})
}

func descriptions(t *rapid.T) ogc.Process {
	p := ogc.Process{Inputs: ogc.Inputs{}, Outputs: map[string]ogc.Output{}}
	p.ID = "p"
	draw := func() json.RawMessage {
		text, err := json.Marshal(schemas(2).Draw(t, "schema"))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for _, id := range rapid.SliceOfN(rapid.StringMatching(`[a-c]`), 0, 3).Draw(t, "inputs") {
		least, most := rapid.IntRange(0, 3).Draw(t, "min"), ogc.Occurs(rapid.IntRange(-1, 5).Draw(t, "max"))
		p.Inputs[id] = ogc.Input{Schema: draw(), MinOccurs: &least, MaxOccurs: &most}
	}
	p.Outputs["out"] = ogc.Output{Schema: draw()}
	return p
}

func TestWhatIsTheSameOrOnlyMoreBreaksNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := descriptions(t)
		if breaks := Compare([]ogc.Process{p}, []ogc.Process{p}); len(breaks) > 0 {
			t.Fatalf("with itself: %v", breaks)
		}
		more := descriptions(t)
		more.Outputs = map[string]ogc.Output{"out": p.Outputs["out"], "another": p.Outputs["out"]}
		more.Inputs = ogc.Inputs{}
		for id, in := range p.Inputs {
			more.Inputs[id] = in
		}
		optional := 0
		more.Inputs["another"] = ogc.Input{Schema: json.RawMessage(`{"type":"string"}`), MinOccurs: &optional}
		if breaks := Compare([]ogc.Process{p}, []ogc.Process{more, {}}); len(breaks) > 0 {
			t.Fatalf("with more: %v", breaks)
		}
	})
}
