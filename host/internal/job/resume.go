package job

import (
	"context"
	"errors"

	"geomill/sdk/ogc"
)

// resumed is a running job of an earlier host whose attempt has gone on.
type resumed struct {
	id string
	*Resumption
}

// resumes reports whether a job goes on as it is, rather than being settled as
// one whose host has died. Run then takes it over.
func (s *Service) resumes(j Job) bool {
	x, ok := s.Executor.(Resumer)
	if !ok || j.Status != ogc.Running || j.Sync {
		return false
	}
	r := x.Resumable(j.ID, j.Attempt)
	if r != nil {
		s.resumed = append(s.resumed, resumed{j.ID, r})
	}
	return r != nil
}

// resume takes an attempt over, from where it is by now to its end.
func (s *Service) resume(ctx context.Context, r resumed) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	u := s.live.add(r.id, cancel, s.Logger)
	j, o, err := s.jobAndOrder(ctx, r.id)
	gone := errors.Is(err, ErrNoSuchJob) || errors.Is(err, ErrGone)
	switch {
	case gone || err == nil && j.Status != ogc.Running: // dismissed since Recover
		cancel(ErrDismissed)
	case err != nil:
		s.Logger.Error("a job that goes on is left to the next start", "job", r.id, "error", err)
		s.live.settle(u, j)
		return
	}
	s.observe(u, j, false)
	done := s.begin(j, o, u, func() (map[string]Value, error) { return s.takeOver(ctx, j, o, r, u) })
	if gone || j.Status != ogc.Running {
		<-done
		s.live.settle(u, j)
		s.removeDir(j.ID)
		s.forget(u)
		return
	}
	if j = s.follow(ctx, cancel, j, u, done, nil); j.Status == ogc.Accepted {
		s.queueAgain(ctx, j)
	}
}

func (s *Service) jobAndOrder(ctx context.Context, id string) (Job, Order, error) {
	j, err := s.Store.Get(ctx, id)
	if err != nil {
		return Job{ID: id}, Order{}, err
	}
	o, err := s.Store.Order(ctx, id)
	return j, o, err
}

// takeOver is attempt for one that has begun. Its time counts from there.
func (s *Service) takeOver(ctx context.Context, j Job, o Order, r resumed, u *running) (map[string]Value, error) {
	timeout := s.timeLimit(r.Process.Policy, o.Timeout)
	ctx, cancel := context.WithDeadlineCause(ctx, r.Began.Add(timeout), ErrTimeout)
	defer cancel()
	a := s.attemptOf(j, o, r.Process, u)
	a.Inputs, a.Leave, u.detached = o.lent(a.Dir), s.leaving, true
	outputs, err := s.Executor.(Resumer).Resume(ctx, a, u)
	return o.outcome(outputs, err, timeout)
}

// queueAgain queues a job that has no lease and is to run again.
func (s *Service) queueAgain(ctx context.Context, j Job) {
	t := j.ticket()
	t.NotBefore, t.Readmit = s.Now().Add(j.delay()), true
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeDeadline)
	defer cancel()
	if err := s.Queue.Enqueue(ctx, t); err != nil && !errors.Is(err, context.Canceled) {
		s.Logger.Error("a job that is to run again is queued at the next start only", "job", j.ID, "error", err)
	}
}

// clear is cleanUp after an attempt.
func (s *Service) clear(j Job, u *running) {
	s.cleanUp(j)
	if j.Status != ogc.Running { // else its end is not on disk: the next host settles it
		s.forget(u)
	}
}

func (s *Service) forget(u *running) {
	if x, ok := s.Executor.(Resumer); ok && u.detached {
		x.Forget(u.id)
	}
}

// leaveRunning ends the care of this host for a job whose attempt goes on.
func (s *Service) leaveRunning(ctx context.Context, j Job, u *running) Job {
	j = s.keep(context.WithoutCancel(ctx), j, u)
	if g := u.journal.Load(); g != nil {
		g.close()
	}
	s.live.settle(u, j)
	return j
}
