package check

import (
	"errors"
	"fmt"
	"time"

	"geomill/proto/processv1"
)

// health asks the plugin whether it works.
func (p *probe) health(in *instance) (*processv1.CheckResponse, error) {
	ctx, cancel := p.patient(p.Times.Call)
	defer cancel()
	answer, err := control(in).Check(ctx, &processv1.CheckRequest{})
	if err != nil {
		return nil, fmt.Errorf("Check: %s", plain(err))
	}
	return answer, nil
}

func checkCheck(p *probe) verdict {
	s, proc, v := p.ready(usual)
	if s == nil {
		return v
	}
	r, err := s.occupy()
	if err != nil && !errors.Is(err, errNoLong) {
		return failed("%v", err)
	}
	busy := 1
	var short []*run
	if r == nil {
		busy = 0
		if short, err = s.startMany(proc, manyJobs); err != nil {
			return failed("%v", err)
		}
	}
	answer, err := p.counted(s.in, busy)
	switch {
	case err != nil:
		return failed("while jobs run: %v", err)
	case !answer.GetReady():
		return failed("it is not ready (%q), and nobody told it to drain", answer.GetMessage())
	case int(answer.GetInFlight()) < busy:
		return failed("in_flight is %d while a job runs", answer.GetInFlight())
	}
	if r != nil {
		if err := s.stop(r); err != nil {
			return failed("%v", err)
		}
	}
	for _, r := range short {
		if _, err := s.await(r, p.Times.Job); err != nil {
			return failed("%v", err)
		}
	}
	if _, err := p.settled(s.in, 0); err != nil {
		return failed("when no job was left: %v", err)
	}
	return passed("")
}

// counted waits until as many jobs are in flight, for the plugin may not have read
// of them yet, and returns the last answer.
func (p *probe) counted(in *instance, n int) (*processv1.CheckResponse, error) {
	for end := time.Now().Add(p.within(p.Times.Call)); ; time.Sleep(10 * time.Millisecond) {
		answer, err := p.health(in)
		if err != nil || !answer.GetReady() || int(answer.GetInFlight()) >= n || time.Now().After(end) {
			return answer, err
		}
	}
}

// settled waits until no more than n jobs are in flight.
func (p *probe) settled(in *instance, n int) (*processv1.CheckResponse, error) {
	ctx, cancel := p.patient(p.Times.Job)
	defer cancel()
	for {
		answer, err := p.health(in)
		if err != nil || int(answer.GetInFlight()) <= n {
			return answer, err
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return nil, fmt.Errorf("in_flight stays at %d", answer.GetInFlight())
		}
	}
}

func checkSecondStart(p *probe) verdict {
	s, proc, v := p.ready(usual)
	if s == nil {
		return v
	}
	r, err := s.occupy()
	if errors.Is(err, errNoLong) {
		return skipped("%v", err)
	}
	if err != nil {
		return failed("%v", err)
	}
	_, values, _ := p.long()
	inputs, err := r.inline(values)
	if err != nil {
		return failed("%v", err)
	}
	s.mu.Lock()
	r.twice = true
	s.mu.Unlock()
	if err := s.send(r.start(inputs)); err != nil {
		return failed("%v", err)
	}
	if err := s.runsOn(r); err != nil {
		return failed("after a second start of a job that runs: %v", err)
	}
	if err := errors.Join(s.stop(r), s.still(proc)); err != nil {
		return failed("after a second start of a job that runs: %v", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.extra > 0 {
		return failed("a job that was started twice sent %s after its end", count(r.extra, "message"))
	}
	return passed("")
}

func checkCancel(p *probe) verdict {
	s, proc, v := p.ready(usual)
	if s == nil {
		return v
	}
	before := len(s.in.family())
	r, err := s.occupy()
	began := time.Now()
	switch {
	case errors.Is(err, errNoLong):
		if err := s.cancelAtOnce(proc); err != nil {
			return failed("%v", err)
		}
		return warned("tried only on a job that had hardly begun: %v", errNoLong)
	case err != nil:
		return failed("%v", err)
	}
	if err := s.stop(r); err != nil {
		p.deaf = true
		return failed("%v", err)
	}
	took := time.Since(began)
	if left := p.left(s.in, before); left > 0 {
		p.litters = true
		p.breach("cancel-children", "of a job of process %s %s left when it had ended", r.process.id(), processes(left))
	}
	p.cancelled = true
	if err := s.still(proc); err != nil {
		return failed("after a job was cancelled: %v", err)
	}
	return passed("a job of process %s ended %s after its cancel", r.process.id(), took.Round(time.Millisecond))
}

func processes(n int) string {
	if n == 1 {
		return "1 process was"
	}
	return fmt.Sprintf("%d processes were", n)
}

func (s *session) cancelAtOnce(proc *process) error {
	r := s.probe.job(proc)
	inputs, err := r.inline(proc.inputs)
	if err != nil {
		return err
	}
	s.expect(r)
	if err := s.send(r.start(inputs), r.cancel("the checker wants to see an end")); err != nil {
		return err
	}
	_, err = s.await(r, s.probe.Times.Grace)
	return err
}

func checkCancelChildren(p *probe) verdict {
	if !p.cancelled {
		return skipped("no long job was cancelled")
	}
	return conduct("cancel-children")(p)
}

func checkMaxConcurrency(p *probe) verdict {
	s, proc, v := p.ready(p.frugal())
	if s == nil {
		return v
	}
	first, err := s.occupy()
	if err != nil && !errors.Is(err, errNoLong) {
		return failed("%v", err)
	}
	var runs []*run
	for range manyJobs {
		one, err := s.startMany(proc, 1)
		if err != nil {
			return failed("%v", err)
		}
		runs = append(runs, one...)
	}
	answer, err := p.health(s.in)
	if err != nil {
		return failed("%v", err)
	}
	if n := answer.GetInFlight(); n > 1 {
		return failed("%d jobs in flight where Limits.max_concurrency is 1", n)
	}
	if first != nil {
		if err := s.overtaken(first, runs); err != nil {
			return failed("%v", err)
		}
		if err := s.stop(first); err != nil {
			return failed("%v", err)
		}
	}
	for _, r := range runs {
		if _, err := s.await(r, p.Times.Job); err != nil {
			return failed("of %d jobs where 1 is allowed, job %s: %v", len(runs), r.id, err)
		}
		f := r.end.GetFailed()
		if f.GetProblem().GetKind() == processv1.ProblemKind_PROBLEM_KIND_BUSY && !f.GetRetryable() {
			return failed("a job was refused as busy without retryable")
		}
	}
	return passed("")
}

// overtaken fails when a job was run beside the only one that is allowed.
func (s *session) overtaken(first *run, runs []*run) error {
	if err := s.runsOn(first); err != nil {
		return err
	}
	for _, r := range runs {
		select {
		case <-r.ended:
			if r.end.GetFailed().GetProblem().GetKind() != processv1.ProblemKind_PROBLEM_KIND_BUSY {
				return fmt.Errorf("a job was run beside another where Limits.max_concurrency is 1: it %s", outcome(r.end))
			}
		default:
		}
	}
	return nil
}

func checkSessionEnd(p *probe) verdict {
	p.retire() // jobs of a check before are none of this one's business
	s, proc, v := p.ready(p.frugal())
	if s == nil {
		return v
	}
	_, err := s.occupy()
	if err != nil && !errors.Is(err, errNoLong) {
		return failed("%v", err)
	}
	in := s.in
	s.close()
	if _, err := p.settled(in, 0); err != nil {
		return failed("after the end of the session: %v", err)
	}
	ctx, cancel := p.patient(p.Times.Call)
	defer cancel()
	for {
		next, err := p.open(in)
		if err == nil {
			err = next.still(proc)
		}
		if err == nil {
			return passed("")
		}
		select {
		case <-time.After(50 * time.Millisecond): // the plugin may not have seen the end yet
		case <-ctx.Done():
			return failed("after the end of a session the next cannot be used: %v", err)
		}
	}
}
