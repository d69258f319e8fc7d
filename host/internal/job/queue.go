package job

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"geomill/sdk/ogc"
)

// Recover settles what the last run of the host left: accepted jobs are queued
// again, running ones too if they may run again, else they fail. Call it once,
// before Run and before requests are served.
func (s *Service) Recover(ctx context.Context) error {
	tickets, err := s.unfinished(ctx)
	if err != nil {
		return err
	}
	for _, t := range slices.Backward(tickets) { // the list is newest first
		if err := s.Queue.Enqueue(ctx, t); err != nil {
			return fmt.Errorf("queue job %s again: %w", t.JobID, err)
		}
	}
	if x, ok := s.Executor.(Resumer); ok {
		x.Abandon()
	}
	return s.sweep(ctx)
}

// unfinished returns tickets for the jobs to be run, newest first.
func (s *Service) unfinished(ctx context.Context) ([]Ticket, error) {
	var tickets []Ticket
	f := Filter{Statuses: []ogc.Status{ogc.Accepted, ogc.Running}, Now: s.Now()}
	for c := (Cursor{}); ; {
		page, err := s.Store.List(ctx, f, c, 1000)
		if err != nil {
			return nil, fmt.Errorf("list unfinished jobs: %w", err)
		}
		for _, j := range page.Jobs {
			c.After = j.ID
			if s.resumes(j) {
				continue
			}
			if j.Status == ogc.Running || j.Sync {
				if j, err = s.settleCrashed(ctx, j); err != nil {
					return nil, fmt.Errorf("settle job %s: %w", c.After, err)
				}
			}
			if j.Status == ogc.Accepted {
				s.takeBack(j.ID)
				t := j.ticket()
				t.Readmit = true
				tickets = append(tickets, t)
				s.limitWait(j)
			}
		}
		if !page.Older || len(page.Jobs) == 0 {
			return tickets, nil
		}
	}
}

// settleCrashed decides on a job that was running when the host died.
func (s *Service) settleCrashed(ctx context.Context, j Job) (Job, error) {
	crash := &Failure{Kind: HostDied, Detail: "the server crashed while the process ran"}
	if j = j.counted(crash); !j.Sync && j.again(crash) {
		j.Message = "will run again: " + crash.Detail
		if g := s.newJournal(j); g != nil {
			g.again(j.Message)
		}
		return s.change(ctx, j, ogc.Accepted, nil)
	}
	j.Exception = j.exception(j.verdict(crash))
	j.Message = j.Exception.Detail
	return s.change(ctx, j, ogc.Failed, nil)
}

// sweep removes the directories that no job needs any more.
func (s *Service) sweep(ctx context.Context) error {
	entries, err := os.ReadDir(s.Dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("sweep job directories: %w", err)
	}
	for _, e := range entries {
		if s.live.holds(e.Name()) {
			continue
		}
		j, err := s.Store.Get(ctx, e.Name())
		switch {
		case errors.Is(err, ErrNoSuchJob), errors.Is(err, ErrGone), err == nil && j.Status.Final():
			s.removeDir(e.Name())
		case err != nil:
			return fmt.Errorf("sweep job directory %s: %w", e.Name(), err)
		}
	}
	return nil
}

// sweeper sweeps from time to time, until ctx ends.
func (s *Service) sweeper(ctx context.Context) {
	t := time.NewTicker(s.SweepEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			if err := s.sweep(ctx); err != nil && ctx.Err() == nil {
				s.Logger.Warn("job directories stay behind", "error", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

// Run runs queued jobs until ctx ends. Then it claims no more, gives running
// jobs the drain time and stops the rest; what is still queued stays on disk.
func (s *Service) Run(ctx context.Context) error {
	base, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	giveUp := sync.OnceFunc(func() { close(s.quit) })
	defer giveUp()
	var workers sync.WaitGroup
	workers.Go(func() { s.sweeper(ctx) })
	workers.Go(func() { s.retainer(ctx) })
	workers.Go(func() { s.expire(ctx) })
	defer context.AfterFunc(ctx, func() { close(s.leaving) })()
	for _, r := range s.resumed {
		workers.Go(func() { s.resume(base, r) })
	}
	s.claim(ctx, base, &workers)

	idle := make(chan struct{})
	go func() { workers.Wait(); close(idle) }()
	drain := time.NewTimer(s.Drain)
	defer drain.Stop()
	select {
	case <-idle:
	case <-drain.C:
		stop(ErrShuttingDown)
		giveUp()
		<-idle // bounded: Execute returns soon after its context ends
	}
	return nil
}

// claim hands tickets to workers, never more than there are free slots.
func (s *Service) claim(ctx, base context.Context, workers *sync.WaitGroup) {
	slots := make(chan struct{}, s.Slots)
	for {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		free := 1 + cap(slots) - len(slots)
		leases, err := s.Queue.Claim(ctx, free, s.room)
		if ctx.Err() != nil && len(leases) == 0 {
			return
		}
		if err != nil {
			s.Logger.Error("claim jobs", "error", err)
			<-slots
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
			continue
		}
		for i, l := range leases {
			if i > 0 {
				slots <- struct{}{} // free: only this goroutine fills slots
			}
			workers.Go(func() {
				defer func() { <-slots }()
				s.work(base, l)
			})
		}
	}
}

// work runs the job of one lease.
func (s *Service) work(ctx context.Context, l Lease) {
	id := l.Ticket().JobID
	delay, err := s.workOn(ctx, l)
	if err != nil {
		s.Logger.Error("queued job cannot run", "job", id, "error", err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeDeadline)
	defer cancel()
	if delay > 0 {
		if err = l.Release(ctx, delay); errors.Is(err, ErrLost) { // the ticket may be gone
			t := l.Ticket()
			t.NotBefore, t.Readmit = s.Now().Add(delay), true
			err = s.Queue.Enqueue(ctx, t)
		}
	} else {
		s.ends.add(s.Now())
		err = l.Done(ctx)
	}
	if err != nil && !errors.Is(err, ErrLost) && !errors.Is(err, ErrCancelled) {
		s.Logger.Error("end of a lease", "job", id, "error", err)
	}
}

// workOn runs the job and returns after which delay it is due again; zero when
// its ticket has served.
func (s *Service) workOn(ctx context.Context, l Lease) (time.Duration, error) {
	id := l.Ticket().JobID
	j, err := s.Store.Get(ctx, id)
	if errors.Is(err, ErrNoSuchJob) || errors.Is(err, ErrGone) {
		return 0, nil // dismissed and removed
	}
	if err != nil {
		return time.Second, err
	}
	if j.Status != ogc.Accepted {
		return 0, nil // dismissed meanwhile
	}
	if !j.StartBy.IsZero() && s.overdue.passed(id, s.Elapsed()) {
		return 0, s.failLate(ctx, j)
	}
	var unavailable *UnavailableError
	p, err := s.Catalog.Process(j.ProcessID)
	if errors.As(err, &unavailable) {
		return max(time.Second, unavailable.RetryAfter), nil
	}
	if err != nil {
		return s.outgrown(ctx, j, &Failure{Kind: Vanished, Detail: "the process " + j.ProcessID + " is no longer offered"})
	}
	o, err := s.Store.Order(ctx, id)
	if err != nil {
		return time.Second, err
	}
	begun := j.Attempt
	if p.Plugin.Hash != j.Plugin.Hash {
		if err := p.takes(&o); err != nil {
			return s.outgrown(ctx, j, err)
		}
	}
	if j = s.own(ctx, j, o, p, l); j.Status != ogc.Accepted {
		return 0, nil
	}
	if j.Attempt > begun {
		return j.delay(), nil
	}
	return time.Second, nil // the attempt could not begin
}

// outgrown fails a job that its process cannot run any more. It returns as
// workOn does.
func (s *Service) outgrown(ctx context.Context, j Job, why error) (time.Duration, error) {
	j.Exception = j.exception(why)
	j.Message = j.Exception.Detail
	j, err := s.change(ctx, j, ogc.Failed, nil)
	if err != nil && j.Status == ogc.Accepted {
		return time.Second, err // it has to end some day
	}
	s.cleanUp(j)
	return 0, err
}
