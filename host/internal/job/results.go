package job

import (
	"context"
	"errors"
	"fmt"
	"time"

	"geomill/sdk/ogc"
)

// settleWait is how long Dismiss waits for the owner of a job to write that it
// is dismissed.
const settleWait = 10 * time.Second

// Results returns the outputs of a successful job. It fails with ErrNotReady
// before the job has ended, with ErrNotAvailable when it has none to offer or
// was dismissed, and with a *FailedError when it failed (spec 5.3).
func (s *Service) Results(ctx context.Context, id string) (*Results, error) {
	j, err := s.Store.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	switch j.Status {
	case ogc.Successful:
	case ogc.Failed:
		return nil, &FailedError{Exception: *j.Exception}
	case ogc.Dismissed:
		return nil, ErrNotAvailable
	default:
		return nil, ErrNotReady
	}
	o, err := s.Store.Order(ctx, id)
	if err != nil {
		return nil, err
	}
	if o.Outputs != nil && len(o.Outputs) == 0 {
		return nil, ErrNotAvailable
	}
	r := &Results{Job: j, Order: o, Outputs: make(map[string]Value, len(j.Outputs))}
	if err := s.Catalog.Await(ctx, j.ProcessID); err != nil {
		return nil, err
	}
	if p, err := s.Catalog.Process(j.ProcessID); err == nil {
		r.Process = p
	}
	for name := range j.Outputs {
		if r.Outputs[name], err = s.Store.Output(ctx, id, name); err != nil {
			return nil, fmt.Errorf("read output %s: %w", name, err)
		}
	}
	return r, nil
}

// Dismiss ends an active job, or removes a finished one with its results (spec
// 5.4). It returns the job with status dismissed. It fails with ErrNoSuchJob or
// ErrGone, and with ErrStopping when the job goes on stopping beyond settleWait.
func (s *Service) Dismiss(ctx context.Context, id string) (Job, error) {
	for {
		j, err := s.Store.Get(ctx, id)
		if err != nil {
			return Job{}, err
		}
		switch {
		case j.Status.Final():
			err = s.remove(ctx, j)
		case s.live.get(id) != nil:
			return s.cancel(ctx, j, s.live.get(id))
		default:
			j.Message = "dismissed by the client"
			if j, err = s.change(ctx, j, ogc.Dismissed, nil); err == nil {
				_, err = s.Queue.Cancel(ctx, id)
				s.removeDir(id)
			}
		}
		if errors.Is(err, ErrConflict) || errors.Is(err, ErrNoSuchJob) {
			continue // it was started, ended or removed meanwhile
		}
		j.Status = ogc.Dismissed
		return j, err
	}
}

// cancel stops a running job and waits for its owner to write the status.
func (s *Service) cancel(ctx context.Context, j Job, u *running) (Job, error) {
	if u != nil {
		u.cancel(ErrDismissed)
		timer := time.NewTimer(settleWait)
		defer timer.Stop()
		select {
		case <-u.settled:
		case <-timer.C:
			return j, ErrStopping
		case <-ctx.Done():
			return j, context.Cause(ctx)
		}
	}
	j, err := s.Store.Get(ctx, j.ID)
	if err != nil {
		return Job{}, err
	}
	if j.Status == ogc.Accepted || j.Status == ogc.Running {
		return s.Dismiss(ctx, j.ID)
	}
	return j, nil
}

// remove deletes a finished job and what it left.
func (s *Service) remove(ctx context.Context, j Job) error {
	if err := s.Store.Delete(ctx, j.ID, j.Revision); err != nil {
		return err
	}
	s.removeDir(j.ID)
	return nil
}
