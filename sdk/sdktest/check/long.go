package check

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"geomill/proto/processv1"
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

// runsOn waits until a job has begun, and fails when it ends. On a busy machine it
// takes longer to begin, which the plugin says.
func (s *session) runsOn(r *run) error {
	end := time.Now().Add(s.probe.within(s.probe.Times.Settle))
	for pause := s.probe.Times.Settle; ; pause = s.probe.Times.Settle / 10 {
		select {
		case <-r.ended:
			return fmt.Errorf("process %s was to run for some seconds: %s", r.process.id(), outcome(r.end))
		case <-s.over:
			return s.lostError()
		case <-time.After(pause):
		}
		if time.Now().After(end) || s.busy() {
			return nil
		}
	}
}

// busy reports whether the plugin says that a job is in flight.
func (s *session) busy() bool {
	ctx, cancel := context.WithTimeout(s.probe.ctx, s.probe.Times.Call)
	defer cancel()
	answer, err := control(s.in).Check(ctx, &processv1.CheckRequest{})
	return err == nil && answer.GetInFlight() > 0
}
