package plugin

import (
	"context"
	"slices"
	"time"

	"geomill/host/internal/job"
)

// pool is the instances of a plugin for jobs that do not share one. It is used
// by its supervisor, which locks it.
type pool struct {
	reuse bool        // an instance takes one job after the other
	warm  int         // how many are kept started
	free  []*instance // without a job; the last is used first
	lent  int         // to jobs, or on the way to them
	ahead *arrival    // on the way although no job wants it yet
}

// arrival is an instance that is being started for one job alone.
type arrival struct {
	wanted  context.Context // of the job; nil while there is none
	started chan *instance
	failed  chan error
}

// poolOf returns the pool for an isolation that is not shared.
func (s *supervisor) poolOf(i job.Isolation) *pool {
	if i == job.Exclusive {
		return &s.reused
	}
	return &s.fresh
}

// acquireOwn returns an instance for one job alone: a free one, one that is on
// its way for nobody yet, or a new one.
func (s *supervisor) acquireOwn(ctx context.Context, i job.Isolation) (*instance, error) {
	s.mu.Lock()
	p := s.poolOf(i)
	for len(p.free) > 0 {
		last := len(p.free) - 1
		in := p.free[last]
		p.free = slices.Delete(p.free, last, last+1)
		if in.acquire() {
			p.lent++
			s.mu.Unlock()
			return in, nil
		}
	}
	a, err := s.orderLocked(ctx, p)
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	select {
	case in := <-a.started:
		return in, nil
	case err = <-a.failed:
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p.lent--
	return nil, err
}

// orderLocked orders an instance for the job of ctx.
func (s *supervisor) orderLocked(ctx context.Context, p *pool) (*arrival, error) {
	if a := p.ahead; a != nil {
		p.ahead, a.wanted = nil, ctx
		p.lent++
		return a, nil
	}
	pause, err := s.allowLocked()
	if err != nil {
		return nil, err
	}
	p.lent++
	a := newArrival()
	a.wanted = ctx
	s.wg.Go(func() {
		starting, cancel := context.WithCancel(s.ctx)
		defer cancel()
		if !p.reuse { // then nobody else wants it
			defer context.AfterFunc(ctx, cancel)()
		}
		s.deliver(starting, p, a, pause)
	})
	return a, nil
}

// orderAheadLocked orders an instance for nobody yet.
func (s *supervisor) orderAheadLocked(p *pool) error {
	pause, err := s.allowLocked()
	if err != nil {
		return err
	}
	p.ahead = newArrival()
	a := p.ahead
	s.wg.Go(func() { s.deliver(s.ctx, p, a, pause) })
	return nil
}

func newArrival() *arrival {
	return &arrival{started: make(chan *instance), failed: make(chan error, 1)}
}

// deliver starts an instance that was ordered. By the time it is ready, a job
// may want it that did not order it, or the job may be gone that did.
func (s *supervisor) deliver(starting context.Context, p *pool, a *arrival, pause time.Duration) {
	in, err := s.launch(starting, pause)
	wanted := s.place(p, a, in)
	s.stir()
	switch {
	case wanted == nil:
	case err != nil:
		a.failed <- err
	default:
		select {
		case a.started <- in:
		case <-wanted.Done():
			s.mu.Lock()
			defer s.mu.Unlock()
			in.release()
			s.freeLocked(p, in)
		}
	}
}

// place makes an instance live that was ordered; nil: it could not be started.
// It returns the context of the job that it is for, or nil if it is free.
func (s *supervisor) place(p *pool, a *arrival, in *instance) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.ahead == a {
		p.ahead = nil
	}
	if in == nil {
		return a.wanted
	}
	in.solo = true
	if a.wanted != nil {
		in.seize()
	}
	s.runLocked(in)
	if a.wanted == nil {
		s.freeLocked(p, in)
	}
	return a.wanted
}

// giveBack ends the use of an instance by one job.
func (s *supervisor) giveBack(in *instance, i job.Isolation) {
	var worn error
	if i == job.Exclusive {
		worn = in.worn(time.Now())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.poolOf(i)
	in.release()
	in.served.Add(1)
	p.lent--
	switch {
	case !p.reuse:
		in.end(errUsed)
	case worn != nil:
		in.end(worn)
	default:
		s.freeLocked(p, in)
	}
	if len(p.free) < p.warm {
		s.stir()
	}
}

// freeLocked makes an instance free that is alive and of use.
func (s *supervisor) freeLocked(p *pool, in *instance) {
	if _, alive := s.live[in]; !alive || in.serving.Err() != nil {
		return
	}
	if !p.reuse && len(p.free) >= p.warm {
		in.end(errUnused)
		return
	}
	in.freed = time.Now()
	p.free = append(p.free, in)
	s.stirByLocked(in.freed.Add(s.options.idle(s.cfg)))
}

func (p *pool) remove(in *instance) {
	p.free = slices.DeleteFunc(p.free, func(f *instance) bool { return f == in })
}

// size is how many instances count as kept.
func (p *pool) size() int {
	n := len(p.free)
	if p.reuse {
		n += p.lent
	}
	return n
}
