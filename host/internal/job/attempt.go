package job

import (
	"errors"
	"path/filepath"
	"time"
)

// attemptOf returns the current attempt of a job, without its inputs.
func (s *Service) attemptOf(j Job, o Order, p *Process, u *running) Attempt {
	dir := s.attemptDir(j.ID, j.Attempt)
	a := Attempt{JobID: j.ID, Number: j.Attempt, Process: p, Outputs: o.wanted(), JobDir: filepath.Dir(dir), Dir: dir, Grace: s.Grace,
		Console: u.keptConsole()}
	if j.Retries > 0 { // else there is no other attempt to find it
		a.Checkpoint = s.checkpointDir(j.ID)
	}
	if p.Policy.Detached && p.Policy.Isolation == PerJob && !j.Sync {
		a.Leave, u.detached = s.leaving, true
	}
	return a
}

// outcome is what an attempt within a time came to.
func (o Order) outcome(outputs map[string]Value, err error, timeout time.Duration) (map[string]Value, error) {
	if errors.Is(err, ErrTimeout) {
		return nil, timedOut(timeout, err)
	}
	if err != nil {
		return nil, err
	}
	for id := range outputs {
		if _, ok := o.Outputs[id]; o.Outputs != nil && !ok {
			delete(outputs, id)
		}
	}
	return outputs, nil
}
