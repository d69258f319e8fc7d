// Command echo is the plugin with the process that conformance tests drive: it
// returns its inputs as outputs of the same names.
package main

import (
	"encoding/json"
	"math"
	"time"

	"geomill/sdk"
	"geomill/sdk/ogc"
)

func main() {
	sdk.Serve(sdk.Plugin{Name: "echo", Version: "1.0.0"}, echo())
}

// The schemas, each of an input and of the output with its name.
const (
	textSchema    = `{"type":"string","examples":["some text"]}`
	numbersSchema = `{"type":"array","items":{"type":"integer"}}`
	bboxSchema    = `{"allOf":[{"format":"ogc-bbox"},{"type":"object","required":["bbox"],"properties":{
		"bbox":{"type":"array","minItems":4,"maxItems":6,"items":{"type":"number"}},
		"crs":{"type":"string","format":"uri"}}}]}`
	mixedSchema = `{"oneOf":[{"type":"string","contentMediaType":"text/plain"},
		{"type":"object","required":["name"],"properties":{"name":{"type":"string"}}}]}`
)

func echo() sdk.Process {
	input := func(title, schema string, min int) ogc.Input {
		return ogc.Input{Title: title, Schema: json.RawMessage(schema), MinOccurs: &min}
	}
	output := func(title, schema string) ogc.Output {
		return ogc.Output{Title: title, Schema: json.RawMessage(schema)}
	}
	static := false
	return sdk.Raw(ogc.Process{
		ProcessSummary: ogc.ProcessSummary{
			ID:          "echo",
			Version:     "1.0.0",
			Title:       "Echo",
			Description: "Returns every input as the output of the same name, after a pause if one is wanted.",
			Keywords:    []string{"echo", "test", "conformance"},
			Mutable:     &static,
		},
		Inputs: map[string]ogc.Input{
			"text":    input("Text", textSchema, 1),
			"pause":   input("Seconds to wait", `{"type":"number","minimum":0}`, 0),
			"numbers": input("Integers", numbersSchema, 0),
			"bbox":    input("Bounding box", bboxSchema, 0),
			"mixed":   input("Text or a named object", mixedSchema, 0),
		},
		Outputs: map[string]ogc.Output{
			"text":    output("Text", textSchema),
			"numbers": output("Integers", numbersSchema),
			"bbox":    output("Bounding box", bboxSchema),
			"mixed":   output("Text or a named object", mixedSchema),
			"count":   output("Number of inputs", `{"type":"integer"}`),
		},
	}, run).WithPolicy(sdk.Policy{RetryAttempts: 3})
}

func run(job *sdk.Job, inputs map[string]sdk.Value) (map[string]sdk.Value, error) {
	if v, ok := inputs["pause"]; ok {
		if err := pause(job, v); err != nil {
			return nil, err
		}
	}
	count, err := sdk.JSONValue(len(inputs))
	if err != nil {
		return nil, err
	}
	outputs := map[string]sdk.Value{"count": count}
	for id, v := range inputs {
		if id != "pause" {
			outputs[id] = v
		}
	}
	return outputs, nil
}

// pause waits for a number of seconds.
func pause(job *sdk.Job, v sdk.Value) error {
	var seconds float64
	if err := v.Decode(&seconds); err != nil {
		return sdk.Invalid("pause", "is too large")
	}
	const longest = math.MaxInt64 / float64(time.Second)
	wait := time.NewTimer(time.Duration(min(seconds, longest/2) * float64(time.Second)))
	defer wait.Stop()
	select {
	case <-wait.C:
		return nil
	case <-job.Done():
		return job.Err()
	}
}
