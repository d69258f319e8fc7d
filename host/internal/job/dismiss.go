package job

import (
	"context"
	"errors"
	"time"

	"geomill/sdk/ogc"
)

// settleWait is how long Dismiss waits for the owner of a job to write that it
// is dismissed.
const settleWait = 10 * time.Second

// Dismiss ends an active job, or removes a finished one with its results (spec
// 5.4). It returns the job with status dismissed: its work ends within the grace
// time. A job that ends by itself in the same moment counts as finished before.
// It fails with ErrNoSuchJob or ErrGone, and with ErrStopping when the job goes
// on stopping beyond settleWait.
func (s *Service) Dismiss(ctx context.Context, id string) (Job, error) {
	for {
		j, err := s.Store.Get(ctx, id)
		if err != nil {
			return Job{}, err
		}
		u := s.live.get(id)
		switch {
		case j.Status.Final():
			err = s.remove(ctx, j)
		case u != nil:
			if j, err = s.cancel(ctx, j, u); err == nil && j.Status != ogc.Dismissed {
				continue // it has ended, or was not started
			}
		default:
			j, err = s.revoke(ctx, j)
		}
		if errors.Is(err, ErrConflict) || errors.Is(err, ErrNoSuchJob) {
			continue // it was started, ended or removed meanwhile
		}
		j.Status = ogc.Dismissed
		return j, err
	}
}

// cancel stops a running job and waits for its owner to write the status. It
// returns the job as the owner left it: by now it may be removed.
func (s *Service) cancel(ctx context.Context, j Job, u *running) (Job, error) {
	u.cancel(ErrDismissed)
	timer := time.NewTimer(settleWait)
	defer timer.Stop()
	select {
	case <-u.settled:
		return u.last, nil
	case <-timer.C:
		return j, ErrStopping
	case <-ctx.Done():
		return j, context.Cause(ctx)
	}
}

// revoke dismisses a job that nobody runs. Whoever claims it later finds that.
func (s *Service) revoke(ctx context.Context, j Job) (Job, error) {
	j.Message = "dismissed by the client"
	j, err := s.change(ctx, j, ogc.Dismissed, nil)
	if err != nil {
		return j, err
	}
	s.removeDir(j.ID)
	if _, err := s.Queue.Cancel(ctx, j.ID); err != nil {
		s.Logger.Warn("dismissed job keeps its place in the queue", "job", j.ID, "error", err)
	}
	return j, nil
}

// remove deletes a finished job and what it left.
func (s *Service) remove(ctx context.Context, j Job) error {
	if err := s.removeLog(ctx, j.ID); err != nil {
		return err
	}
	if err := s.Store.Delete(ctx, j.ID, j.Revision); err != nil {
		return err
	}
	s.removeTraces(j.ID)
	if s.retaining.full.Load() {
		s.checkQuota()
	}
	return nil
}

// removeTraces removes what a job whose record is gone has left outside the
// store. Every removal of a job ends with it.
func (s *Service) removeTraces(id string) {
	s.removeDir(id)
}
