package sdk

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"geomill/sdk/ogc"
	"geomill/sdk/wire"
)

// Plugin identifies a plugin to its host.
type Plugin struct {
	// Name is stable, of lower case letters, digits and . _ -
	Name string
	// Version follows semantic versioning.
	Version string
	// Settings is the address of a Settings[T], if there is anything for the
	// operator to set.
	Settings Configurable
}

// Info is what a process says about itself beside its inputs and outputs.
type Info struct {
	// ID names the process in URLs: letters, digits and . _ ~ : -
	ID          string
	Title       string
	Description string
	// Version of the process; empty: that of the plugin.
	Version  string
	Keywords []string
	Metadata []ogc.Metadata
	// Language is the language tag of the texts here and of the inputs and
	// outputs; empty is English. Translations are the same texts in other
	// languages, by language tag.
	Language     string
	Translations map[string]Translation
	// JobControl says how the process may be executed; empty: in every way.
	JobControl []ogc.JobControlOption
	Policy     Policy
}

// Translation is the texts of a process in another language, those of its inputs
// and outputs by name among them. What is left empty stays as it is.
type Translation = ogc.Translation

// Policy is how the author wants a process to be run. The operator of the
// host has the last word; the zero value leaves everything to the host.
type Policy = wire.Policy

// Isolation modes of a Policy.
const (
	// Shared: one instance of the plugin runs many jobs at once.
	Shared = wire.Shared
	// Exclusive: one instance runs one job at a time.
	Exclusive = wire.Exclusive
	// PerJob: a fresh instance for each job.
	PerJob = wire.PerJob
)

// Causes for Policy.RetryOn.
const (
	// RetryPlugin: the plugin crashed, hung or broke its contract.
	RetryPlugin = wire.RetryPlugin
	// RetryHost: the host crashed or was stopped.
	RetryHost = wire.RetryHost
	// RetryProcess: the process returned an error marked by Retry.
	RetryProcess = wire.RetryProcess
	// RetryMemory: the plugin ran out of memory.
	RetryMemory = wire.RetryMemory
	// RetryTimeout: the attempt took too long.
	RetryTimeout = wire.RetryTimeout
)

// Process is a process ready to be served. Make it with New or Raw.
type Process struct {
	description ogc.Process
	policy      Policy
	run         func(*Job, wire.Values) (wire.Values, error)
	encode      func(output string, v any) (Value, error)
	derive      func(*Process) error // completes it from its types; nil: it is complete
}

// New makes a process of a function. I and O are structs: each field of I is
// an input and each field of O an output, named by its json tag. The rules for
// types and tags are those of derive.Properties; a field of type File is a value
// that is large or not JSON, []byte a small one. Fields that are pointers, have
// a default or are tagged omitempty or omitzero are optional; optional outputs
// are left out while empty.
//
// What is wrong with the types is reported when the plugin starts.
func New[I, O any](info Info, f func(*Job, I) (O, error)) Process {
	return Process{description: info.describe(), policy: info.Policy, derive: func(p *Process) error {
		in, inErr := fieldsOf(reflect.TypeFor[I]())
		out, outErr := fieldsOf(reflect.TypeFor[O]())
		if inErr != nil || outErr != nil {
			return errors.Join(wrap("inputs", inErr), wrap("outputs", outErr))
		}
		p.description.Inputs = inputDescriptions(in)
		p.description.Outputs = outputDescriptions(out)
		p.encode = encodeTyped(out)
		p.run = runTyped(in, out, f)
		return nil
	}}
}

func runTyped[I, O any](in, out []field, f func(*Job, I) (O, error)) func(*Job, wire.Values) (wire.Values, error) {
	return func(job *Job, values wire.Values) (wire.Values, error) {
		var inputs I
		if err := decodeInputs(job, in, values, reflect.ValueOf(&inputs).Elem()); err != nil {
			return nil, err
		}
		outputs, err := f(job, inputs)
		if err != nil {
			return nil, err
		}
		return encodeOutputs(job, out, reflect.ValueOf(&outputs).Elem())
	}
}

// Raw makes a process whose description is not known until the program runs,
// or whose values are passed on without being decoded. Empty job control
// options mean every way of execution. f gets the inputs that are there and
// returns the outputs that it has.
func Raw(description ogc.Process, f func(*Job, map[string]Value) (map[string]Value, error)) Process {
	p := Process{description: description, encode: encodeRaw(description.Outputs)}
	if f != nil {
		p.run = raw(f)
	}
	p.description.Inputs = maps.Clone(description.Inputs)
	if p.description.Inputs == nil {
		p.description.Inputs = map[string]ogc.Input{}
	}
	p.description.JobControlOptions = jobControl(description.JobControlOptions)
	return p
}

func raw(f func(*Job, map[string]Value) (map[string]Value, error)) func(*Job, wire.Values) (wire.Values, error) {
	return func(job *Job, given wire.Values) (wire.Values, error) {
		inputs := make(map[string]Value, len(given))
		for _, v := range given {
			inputs[v.ID] = Value{v.Value}
		}
		outputs, err := f(job, inputs)
		if err != nil {
			return nil, err
		}
		values := make(wire.Values, 0, len(outputs))
		for _, id := range slices.Sorted(maps.Keys(outputs)) {
			values = append(values, wire.Named{ID: id, Value: outputs[id].wire})
		}
		return values, nil
	}
}

// WithPolicy returns p with another policy.
func (p Process) WithPolicy(policy Policy) Process {
	p.policy = policy
	return p
}

func (i Info) describe() ogc.Process {
	static := false
	return ogc.Process{ProcessSummary: ogc.ProcessSummary{
		ID:                i.ID,
		Version:           i.Version,
		Title:             i.Title,
		Description:       i.Description,
		Keywords:          slices.Clone(i.Keywords),
		Metadata:          slices.Clone(i.Metadata),
		JobControlOptions: jobControl(i.JobControl),
		Mutable:           &static,
		Language:          i.Language,
		Translations:      maps.Clone(i.Translations),
	}}
}

func jobControl(options []ogc.JobControlOption) []ogc.JobControlOption {
	if len(options) == 0 {
		return []ogc.JobControlOption{ogc.SyncExecute, ogc.AsyncExecute, ogc.Dismiss}
	}
	return slices.Clone(options)
}

// complete makes the process ready to be served, or reports why it cannot be.
func (p *Process) complete() error {
	if p.derive != nil {
		if err := p.derive(p); err != nil {
			return err
		}
	}
	switch {
	case p.run == nil:
		return errors.New("has no function; make processes with New or Raw")
	case p.description.ID == "":
		return errors.New("has no id")
	case len(p.description.Outputs) == 0:
		return errors.New("has no outputs")
	}
	return nil
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
