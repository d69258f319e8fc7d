package job

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"

	"geomill/sdk/ogc"
)

const (
	heartbeat     = 5 * time.Second  // between renewals of a lease
	writeDeadline = 30 * time.Second // for writing how a job ended
	syncPatience  = 5 * time.Second  // for a slot of a sync execution

	// Between tries to write a status.
	firstDelay   = 50 * time.Millisecond
	longestDelay = 2 * time.Second
)

// runSync runs a job within the request. Without a record nothing is left of
// it but its results, until they are closed.
func (s *Service) runSync(ctx context.Context, p *Process, id string, o Order) (*Execution, error) {
	if err := s.syncSlot(ctx); err != nil {
		s.removeDir(id)
		return nil, err
	}
	defer func() { <-s.syncSlots }()
	if s.keepsRecord(o) {
		return s.runRecorded(ctx, p, id, o)
	}
	now := s.Now()
	j := Job{ID: id, ProcessID: p.ID, Plugin: p.Plugin, Sync: true, Status: ogc.Running, Attempt: 1, Created: now, Started: now, Updated: now}
	u := &running{id: id, log: s.Logger}
	outputs, err := s.attempt(ctx, j, o, p, u)
	p = u.ranBy(p)
	j.Plugin = p.Plugin
	if err != nil {
		s.removeDir(id)
		return nil, s.syncFailure(ctx, j, err)
	}
	j.Status, j.Progress, j.Finished = ogc.Successful, 100, s.Now()
	r := &Results{Job: j, Order: o, Process: p, Outputs: outputs}
	if hasFile(o.Inputs) || hasFile(outputs) {
		s.live.hold(id)
		r.release = func() { s.removeDir(id); s.live.drop(id) }
	} // else there is hardly ever a directory: sweep finds those that a process made for itself
	return &Execution{Job: j, Results: r}, nil
}

// keepsRecord reports whether a sync execution leaves a record.
func (s *Service) keepsRecord(o Order) bool {
	return s.RecordSync || o.wantsReference() || s.calledBack(o)
}

func hasFile(values map[string]Value) bool {
	for _, v := range values {
		if v.File != "" {
			return true
		}
	}
	return false
}

func (s *Service) syncSlot(ctx context.Context) error {
	select {
	case s.syncSlots <- struct{}{}:
		return nil
	default:
	}
	timer := time.NewTimer(syncPatience)
	defer timer.Stop()
	select {
	case s.syncSlots <- struct{}{}:
		return nil
	case <-timer.C:
		return ErrBusy
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// syncFailure is what a sync request answers when its attempt failed.
func (s *Service) syncFailure(ctx context.Context, j Job, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx) // the client has gone
	}
	var u *UnavailableError
	if errors.As(err, &u) {
		return err
	}
	e := j.exception(err)
	if e.Status >= 500 {
		s.Logger.Warn("sync execution failed", "job", j.ID, "error", err)
	}
	return &FailedError{Exception: *e}
}

// runRecorded runs a job within the request and keeps its record.
func (s *Service) runRecorded(ctx context.Context, p *Process, id string, o Order) (*Execution, error) {
	if err := s.overQuota(); err != nil {
		s.removeDir(id)
		return nil, err
	}
	now := s.Now()
	j, err := s.Store.Create(ctx, Job{
		ID: id, ProcessID: p.ID, Plugin: p.Plugin, Sync: true, Status: ogc.Accepted, Created: now, Updated: now,
		Callback: s.calledBack(o), Digest: o.Digest, InputSize: o.inlineSize(),
	}, o)
	if err != nil {
		s.removeDir(id)
		return nil, fmt.Errorf("record job: %w", err)
	}
	if j = s.own(ctx, j, o, p, nil); j.Status == ogc.Accepted {
		j = s.finish(ctx, j, nil, errors.New("its start is not recorded"))
		s.cleanUp(j)
	}
	if !j.Status.Final() {
		return nil, fmt.Errorf("job %s is %s after its run", id, j.Status)
	}
	return s.recorded(ctx, id)
}

// recorded is the outcome of a job that has ended and has a record, unless
// somebody has removed that: then it fails with ErrDismissed.
func (s *Service) recorded(ctx context.Context, id string) (*Execution, error) {
	j, err := s.Job(ctx, id)
	if errors.Is(err, ErrGone) || err == nil && j.Status == ogc.Dismissed {
		return nil, ErrDismissed
	}
	if err != nil {
		return nil, err
	}
	r, err := s.Results(ctx, id)
	if errors.Is(err, ErrGone) {
		return nil, ErrDismissed
	}
	if errors.Is(err, ErrNotAvailable) && j.Status == ogc.Successful {
		r, err = &Results{Job: j, Order: Order{Outputs: map[string]ogc.OutputSelection{}}}, nil
	}
	if err != nil {
		return nil, err
	}
	return &Execution{Job: j, Recorded: true, Results: r}, nil
}

// attempt runs the executor once, within the time the process is allowed.
func (s *Service) attempt(ctx context.Context, j Job, o Order, p *Process, u *running) (map[string]Value, error) {
	timeout := s.timeLimit(p.Policy, o.Timeout)
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, ErrTimeout)
	defer cancel()
	a := s.attemptOf(j, o, p, u)
	var err error
	if a.Inputs, err = s.lendInputs(o, a.Dir); err != nil {
		return nil, err
	}
	if a.Inputs == nil {
		a.Inputs = map[string]Value{} // Moved may add to them
	}
	u.order = o
	u.order.Inputs = a.Inputs
	outputs, err := s.Executor.Execute(ctx, a, u)
	return o.outcome(outputs, err, timeout)
}

// lendInputs moves the files of an order into the directory of an attempt.
func (s *Service) lendInputs(o Order, dir string) (map[string]Value, error) {
	for _, v := range o.Inputs {
		if v.File == "" {
			continue
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("make attempt directory: %w", err)
		}
		if err := os.Rename(filepath.Dir(v.File), filepath.Join(dir, inputsDir)); err != nil {
			return nil, fmt.Errorf("lend inputs: %w", err)
		}
		break // all of them are there
	}
	return o.lent(dir), nil
}

// lent returns the inputs as an attempt has them.
func (o Order) lent(dir string) map[string]Value {
	if !hasFile(o.Inputs) {
		return o.Inputs
	}
	moved := maps.Clone(o.Inputs)
	for id, v := range moved {
		if v.File != "" {
			v.File = filepath.Join(dir, inputsDir, filepath.Base(v.File))
			moved[id] = v
		}
	}
	return moved
}

// wanted is the selection of outputs as an Attempt takes it.
func (o Order) wanted() map[string]string {
	if o.Outputs == nil {
		return nil
	}
	w := make(map[string]string, len(o.Outputs))
	for id, sel := range o.Outputs {
		w[id] = ""
		if sel.Format != nil {
			w[id] = sel.Format.MediaType
		}
	}
	return w
}

func (o Order) wantsReference() bool {
	for _, s := range o.Outputs {
		if s.TransmissionMode == "reference" {
			return true
		}
	}
	return false
}

// outcome is what an attempt came to.
type outcome struct {
	outputs map[string]Value
	err     error
}

// begin starts an attempt of a job that is recorded as running, or takes it over.
// The outcome has to be awaited.
func (s *Service) begin(j Job, o Order, u *running, attempt func() (map[string]Value, error)) <-chan outcome {
	u.job = &j
	if u.onProgress = s.onProgress(j, o); u.onProgress != nil {
		u.onProgress()
	}
	done := make(chan outcome, 1)
	go func() {
		outputs, err := attempt()
		done <- outcome{outputs, err}
	}()
	return done
}

// own runs one attempt of a recorded job, from accepted on, and writes how it
// ended. It returns the job as it then is.
func (s *Service) own(ctx context.Context, j Job, o Order, p *Process, l Lease) Job {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	u := s.live.add(j.ID, cancel, s.Logger)
	if u == nil {
		return j
	}
	j.Plugin = p.Plugin
	j, err := s.change(ctx, j, ogc.Running, nil)
	if err != nil { // dismissed meanwhile, or not on disk: then it stays accepted
		s.live.settle(u, j)
		return j
	}
	s.observe(u, j, j.Attempt > 1)
	done := s.begin(j, o, u, func() (map[string]Value, error) { return s.attempt(ctx, j, o, p, u) })
	return s.follow(ctx, cancel, j, u, done, l)
}

// follow waits for the outcome of an attempt, keeps what it reports meanwhile, and
// writes how it ended. cancel ends ctx.
func (s *Service) follow(ctx context.Context, cancel context.CancelCauseFunc, j Job, u *running, done <-chan outcome, l Lease) Job {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	news, due := u.news, (<-chan time.Time)(nil)
	for {
		select {
		case r := <-done:
			if errors.Is(r.err, ErrDetached) {
				return s.leaveRunning(ctx, j, u)
			}
			j = s.conclude(ctx, j, u, r.outputs, r.err)
			s.clear(j, u)
			return j
		case <-ctx.Done():
			if dismissal(ctx) { // say so at once; the work is still being stopped
				j = s.conclude(ctx, j, u, nil, context.Cause(ctx))
				<-done
			} else {
				r := <-done
				if errors.Is(r.err, ErrDetached) {
					return s.leaveRunning(ctx, j, u)
				}
				j = s.conclude(ctx, j, u, r.outputs, r.err)
			}
			s.clear(j, u)
			return j
		case <-news:
			news, due = nil, time.After(keepEvery)
		case <-due:
			news, due = u.news, nil
			j = s.keep(ctx, j, u)
		case <-beat.C:
			if l == nil {
				continue
			}
			if err := l.Heartbeat(ctx); errors.Is(err, ErrCancelled) {
				cancel(err)
			} else if errors.Is(err, ErrLost) { // who holds it now leaves a running job alone
				l = nil
			}
		}
	}
}

// dismissal reports whether ctx ended because the client wants no results: a
// DELETE, here or at the queue, or the end of a sync request's connection.
func dismissal(ctx context.Context) bool {
	err := context.Cause(ctx)
	return errors.Is(err, ErrDismissed) || errors.Is(err, ErrCancelled) || errors.Is(err, context.Canceled)
}

// finish writes how an attempt ended. The cause of a cancellation decides. A job
// that is final already stays as it is.
func (s *Service) finish(ctx context.Context, j Job, outputs map[string]Value, err error) Job {
	if j.Status.Final() {
		return j
	}
	to := ogc.Successful
	var unavailable *UnavailableError
	switch {
	case ctx.Err() != nil && dismissal(ctx): // even if the work was done just then
		to, j.Message, outputs = ogc.Dismissed, "dismissed by the client", nil
	case err == nil:
		j.Message, j.Exception, j.Digest = "", nil, s.reusedLater(j)
	case !j.Sync && errors.As(err, &unavailable):
		to, j.Message = ogc.Accepted, "waits: "+unavailable.Reason
		if j.Attempt--; j.Attempt == 0 { // it did not start
			j.Started = time.Time{}
		}
	default:
		if j = j.counted(err); j.again(err) {
			to, j.Message = ogc.Accepted, "will run again: "+exceptionOf(err).Detail
			break
		}
		j.Exception = j.exception(j.verdict(err))
		to, j.Message = ogc.Failed, j.Exception.Detail
		s.Logger.Warn("job failed", "job", j.ID, "process", j.ProcessID, "attempt", j.Attempt, "error", err)
	}
	return s.settle(context.WithoutCancel(ctx), j, to, outputs)
}

// change writes a job with a new status, trying again while the store does not
// take it. When the job was changed by someone else it returns what it is now.
func (s *Service) change(ctx context.Context, j Job, to ogc.Status, outputs map[string]Value) (Job, error) {
	n, err := j.move(to, s.Now())
	if err != nil {
		return j, err
	}
	ctx, cancel := context.WithTimeout(ctx, writeDeadline)
	defer cancel()
	for delay := firstDelay; ; delay = min(2*delay, longestDelay) {
		n, err := s.write(ctx, n, outputs)
		switch {
		case err == nil:
			s.limitWait(n)
			if to.Final() {
				s.live.ended(j.ID)
			}
			return n, nil
		case lost(err):
			if now, e := s.Store.Get(ctx, j.ID); e == nil {
				return now, err
			}
			return j, err
		}
		if delay == firstDelay {
			s.Logger.Warn("status of a job cannot be written yet", "job", j.ID, "status", to, "error", err)
		}
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return j, err
		}
	}
}
