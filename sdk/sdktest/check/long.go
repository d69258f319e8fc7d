package check

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"geomill/sdk/wire"
)

// errNoLong says that nothing could be tried on a job that runs.
var errNoLong = errors.New("no process is known to run for some seconds; name one with --long")

var errDeaf = fmt.Errorf("a job that runs does not end when it is cancelled: %w", errNoLong)

// long returns a process and inputs with which it runs for some seconds.
func (p *probe) long() (*process, wire.Values, error) {
	if p.deaf {
		return nil, nil, errDeaf
	}
	for _, proc := range p.processes {
		if proc.err != nil {
			continue
		}
		inputs, ok := p.Long[proc.id()]
		if !ok {
			inputs, ok = p.guessLong(proc)
		}
		if !ok {
			continue
		}
		values, err := proc.handler.Inputs(Schema, proc.id(), inputs)
		if err != nil && p.Long[proc.id()] != nil {
			return nil, nil, fmt.Errorf("--long for process %s: %w", proc.id(), err)
		}
		if err == nil {
			return proc, values, nil
		}
	}
	return nil, nil, errNoLong
}

// guessLong takes an input that sounds like a time to wait.
func (p *probe) guessLong(proc *process) (map[string]json.RawMessage, bool) {
	base, given := p.Inputs[proc.id()]
	if !given {
		var err error
		if base, err = example(proc.description); err != nil {
			return nil, false
		}
	}
	schemas := make(map[string]json.RawMessage)
	for id, in := range proc.description.Inputs {
		if in.Max() == 1 {
			schemas[id] = in.Schema
		}
	}
	return waiting(base, schemas)
}

// occupy starts a job that runs on. err is errNoLong when there is none.
func (s *session) occupy() (*run, error) {
	proc, values, err := s.probe.long()
	if err != nil {
		return nil, err
	}
	r := s.probe.job(proc)
	inputs, err := r.inline(values)
	if err != nil {
		return nil, err
	}
	s.expect(r)
	if err := s.send(r.start(inputs)); err != nil {
		return nil, err
	}
	return r, s.runsOn(r)
}

// runsOn waits until a job has begun, and fails when it ends.
func (s *session) runsOn(r *run) error {
	timer := time.NewTimer(s.probe.Times.Settle)
	defer timer.Stop()
	select {
	case <-r.ended:
		return fmt.Errorf("process %s was to run for some seconds: %s", r.process.id(), outcome(r.end))
	case <-s.over:
		return s.lostError()
	case <-timer.C:
		return nil
	}
}
