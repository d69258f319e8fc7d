package plugin

import (
	"slices"
	"time"

	"geomill/host/internal/job"
)

const (
	// stockPause keeps what is started ahead out of the way of the job whose
	// end or beginning made it necessary.
	stockPause = 10 * time.Millisecond
	// tendLeast is how often instances are looked after at most, without a
	// reason.
	tendLeast = 10 * time.Millisecond
)

// keepWarm begins to look after the instances of a version that is served.
func (v *version) keepWarm() {
	s := v.sup
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed != "" {
		return
	}
	own := false
	for _, o := range v.offers {
		switch i := o.process.Policy.Isolation; i {
		case job.Shared:
			s.warm = min(1, s.options.Warm)
		default:
			s.poolOf(i).warm = s.options.Warm
			own = true
		}
	}
	if own || s.warm > 0 || s.options.Recycle.Age > 0 {
		s.wg.Go(s.lookAfter)
	}
}

// stir has the instances looked after soon.
func (s *supervisor) stir() {
	select {
	case s.stirred <- struct{}{}:
	default:
	}
}

// stirByLocked has them looked after at a time at the latest.
func (s *supervisor) stirByLocked(at time.Time) {
	if s.tended.IsZero() || at.Before(s.tended) {
		s.stir()
	}
}

// lookAfter tends to the instances until the supervisor takes no more jobs.
func (s *supervisor) lookAfter() {
	due := time.NewTimer(0)
	defer due.Stop()
	soon := true // jobs that come and go all the time must not put it off
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-s.stirred:
			if !soon {
				due.Reset(stockPause)
				soon = true
			}
		case <-due.C:
			soon = false
			if next := s.tend(time.Now()); next > 0 {
				due.Reset(next)
			}
		}
	}
}

// tend ends the instances that are no longer of use, starts one that is missing,
// and returns after what time to look again; 0: when stirred.
func (s *supervisor) tend(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tended = time.Time{}
	s.trimLocked(&s.reused, now)
	s.trimLocked(&s.fresh, now)
	s.replaceAgedLocked(now)
	if s.launches == 0 { // one after the other, and jobs first
		s.stockLocked(now)
	}
	if s.tended.IsZero() {
		return 0
	}
	return max(tendLeast, s.tended.Sub(now))
}

// dueLocked has tend return by at.
func (s *supervisor) dueLocked(at time.Time) {
	if s.tended.IsZero() || at.Before(s.tended) {
		s.tended = at
	}
}

// trimLocked ends free instances that are too old, or had no job for long and
// are not kept warm.
func (s *supervisor) trimLocked(p *pool, now time.Time) {
	idle, age := s.options.idle(s.cfg), s.options.Recycle.Age
	size := p.size()
	p.free = slices.DeleteFunc(p.free, func(in *instance) bool {
		switch {
		case age > 0 && now.Sub(in.since) >= age:
			in.end(errAged)
		case size > p.warm && now.Sub(in.freed) >= idle:
			in.end(errUnused)
		default:
			if size > p.warm {
				s.dueLocked(in.freed.Add(idle))
			}
			if age > 0 {
				s.dueLocked(in.since.Add(age))
			}
			return false
		}
		size--
		return true
	})
}

// replaceAgedLocked replaces a shared instance that is too old, jobs or not.
func (s *supervisor) replaceAgedLocked(now time.Time) {
	in, age := s.shared.Load(), s.options.Recycle.Age
	if in == nil || age <= 0 {
		return
	}
	if now.Sub(in.since) >= age {
		s.replaceLocked(in, errAged)
	}
	if s.starting == nil {
		due := in.since.Add(age)
		if held := now.Add(s.gate.wait(now)); held.After(due) {
			due = held
		}
		s.dueLocked(due)
	}
}

// stockLocked starts one instance of those that are missing.
func (s *supervisor) stockLocked(now time.Time) {
	shared := s.shared.Load()
	var err error
	switch {
	case s.warm > 0 && shared == nil && s.starting == nil:
		_, err = s.startSharedLocked(nil)
	case s.reused.size() < s.reused.warm:
		err = s.orderAheadLocked(&s.reused)
	case s.fresh.size() < s.fresh.warm:
		err = s.orderAheadLocked(&s.fresh)
	}
	if err != nil { // it crashed
		s.dueLocked(now.Add(s.gate.wait(now)))
	}
}
