package check

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"geomill/proto/processv1"
)

// How many examples of the inputs of one process are tried, and how long a job with
// one is awaited, which might refuse it.
const (
	maxExamples = 20
	exampleTime = time.Second
)

func checkExamples(p *probe) verdict {
	s, _, v := p.ready(usual)
	if s == nil {
		return v
	}
	n := 0
	for _, proc := range p.processes {
		if proc.err != nil {
			continue
		}
		given, err := proc.examples()
		if err != nil {
			return failed("process %s: %v", proc.id(), err)
		}
		if proc.noInput != nil || !proc.works {
			continue
		}
		for _, one := range given {
			if err := s.runExample(proc, p.Inputs[proc.id()], one); err != nil {
				return failed("process %s: example %.60s of input %s: %v", proc.id(), one.value, one.input, err)
			}
			n++
		}
	}
	if n == 0 {
		return skipped("no input of a process whose jobs succeed has an example")
	}
	return passed("%s", count(n, "job"))
}

// sampleValue is an example of an input.
type sampleValue struct {
	input string
	value json.RawMessage
}

// examples returns the examples and the defaults that the schemas of the inputs
// have, and fails if one is wrong by its own schema. Those of outputs are looked at
// too.
func (p *process) examples() ([]sampleValue, error) {
	var all []sampleValue
	for _, id := range slices.Sorted(maps.Keys(p.description.Inputs)) {
		values, err := ownExamples(p.description.Inputs[id].Schema)
		if err != nil {
			return nil, fmt.Errorf("input %s: %w", id, err)
		}
		for _, v := range values {
			all = append(all, sampleValue{id, v})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(p.description.Outputs)) {
		if _, err := ownExamples(p.description.Outputs[id].Schema); err != nil {
			return nil, fmt.Errorf("output %s: %w", id, err)
		}
	}
	return all[:min(len(all), maxExamples)], nil
}

// ownExamples returns the default and the examples of a schema.
func ownExamples(text json.RawMessage) ([]json.RawMessage, error) {
	var o struct {
		Default  json.RawMessage   `json:"default"`
		Examples []json.RawMessage `json:"examples"`
	}
	if json.Unmarshal(text, &o) != nil {
		return nil, nil // such as the schema true, which has none
	}
	if o.Default != nil {
		o.Examples = append(o.Examples, o.Default)
	}
	for _, example := range o.Examples {
		faults, err := Schema(text, example)
		if err != nil {
			return nil, err
		}
		if len(faults) > 0 {
			return nil, fmt.Errorf("example %.60s is wrong by its own schema: %s", example, faults[0].Message)
		}
	}
	return o.Examples, nil
}

// runExample runs a job with an example for one input and the usual values for the
// others. One that takes long has not failed.
func (s *session) runExample(proc *process, given map[string]json.RawMessage, one sampleValue) error {
	inputs := maps.Clone(given)
	if inputs == nil {
		var err error
		if inputs, err = example(proc.description); err != nil {
			return err
		}
	}
	inputs[one.input] = one.value
	if in := proc.description.Inputs[one.input]; in.Max() != 1 && !isArray(one.value) {
		list, err := json.Marshal(slices.Repeat([]json.RawMessage{one.value}, max(1, in.Min())))
		if err != nil {
			return err
		}
		inputs[one.input] = list
	}
	values, err := proc.handler.Inputs(Schema, proc.id(), inputs)
	if err != nil {
		return err
	}
	r := s.probe.job(proc)
	messages, err := r.inline(values)
	if err != nil {
		return err
	}
	s.expect(r)
	if err = s.send(r.start(messages)); err != nil {
		return err
	}
	if _, err = s.await(r, exampleTime); err != nil {
		if s.lost() {
			return err
		}
		return s.stop(r)
	}
	if f := r.end.GetFailed(); f.GetProblem().GetKind() == processv1.ProblemKind_PROBLEM_KIND_INVALID_INPUT {
		return fmt.Errorf("the job %s", outcome(r.end))
	}
	return nil
}

func isArray(text json.RawMessage) bool { return len(text) > 0 && text[0] == '[' }
