package sdk

import (
	"errors"
	"fmt"
	"reflect"
	"sync"

	"geomill/sdk/ogc"
	"geomill/sdk/wire"
)

// handed is what a job has handed over to the host.
type handed struct {
	mu    sync.Mutex
	ids   map[string]bool // outputs
	taken map[string]bool // files, by path
	kept  wire.Values     // where nobody takes outputs before the end
}

// Why an output cannot be handed over.
var (
	errEarly    = errors.New("was handed over already")
	errNoOutput = errors.New("the process has none of this name")
)

// Output hands over an output before the function returns, so that it need not be
// kept until then: a file is the host's at once. v is what the field of that name
// has in the outputs of the function, which is then left as it is; of a process
// made by Raw it is a Value. The host keeps the output if the job succeeds. An
// output that is not wanted is passed over.
func (j *Job) Output(id string, v any) error {
	if !j.Wants(id) {
		return nil
	}
	if err := j.output(id, v); err != nil {
		return fmt.Errorf("output %s: %w", id, err)
	}
	return nil
}

func (j *Job) output(id string, v any) error {
	value, err := j.encode(id, v)
	if err != nil {
		return err
	}
	h := &j.handed
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ids[id] {
		return errEarly
	}
	named := wire.Named{ID: id, Value: value.wire}
	if err := j.place(&named); err != nil {
		return err
	}
	if sender, ok := j.events.(wire.Sender); ok {
		if err := sender.Send(named); err != nil {
			return err
		}
	} else {
		h.kept = append(h.kept, named)
	}
	if h.ids == nil {
		h.ids = map[string]bool{}
	}
	h.ids[id] = true
	return nil
}

// place brings the file of an output to where the host can take it. Job.handed is
// locked.
func (j *Job) place(v *wire.Named) (err error) {
	if v.File == "" {
		return nil
	}
	if j.handed.taken == nil {
		j.handed.taken = map[string]bool{}
	}
	v.File, err = adopt(j, v.ID, v.File, j.handed.taken)
	return err
}

// has reports whether an output was handed over.
func (h *handed) has(id string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ids[id]
}

// encodeTyped makes an output of the value of its field.
func encodeTyped(fields []field) func(id string, v any) (Value, error) {
	return func(id string, v any) (Value, error) {
		for i := range fields {
			f := &fields[i]
			if f.Name != id {
				continue
			}
			given := reflect.ValueOf(v)
			if want := f.Field.Type; !given.IsValid() || given.Type() != want && reflect.PointerTo(given.Type()) != want {
				return Value{}, fmt.Errorf("is a %T, not a %s", v, want)
			}
			return encodeOutput(f, given)
		}
		return Value{}, errNoOutput
	}
}

// encodeRaw takes an output as it is.
func encodeRaw(outputs map[string]ogc.Output) func(id string, v any) (Value, error) {
	return func(id string, v any) (Value, error) {
		value, ok := v.(Value)
		if !ok {
			return Value{}, fmt.Errorf("is a %T, not a Value", v)
		}
		if _, known := outputs[id]; !known {
			return Value{}, errNoOutput
		}
		return value, nil
	}
}
