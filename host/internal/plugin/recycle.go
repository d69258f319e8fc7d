package plugin

import "time"

// weighEvery is how often the memory of an instance is looked at, at most.
const weighEvery = time.Second

// Recycle is when an instance is replaced. A shared one then goes on until the
// new one is ready and its jobs have ended; another one ends with its job. What
// is 0 is no reason.
type Recycle struct {
	Jobs   int           // after so many
	Age    time.Duration // since its start
	Memory int64         // resident, in bytes, when a job has ended
}

// worn returns why an instance that ends a job is to be replaced, or nil.
func (in *instance) worn(now time.Time) error {
	r := in.conn.options.Recycle
	switch {
	case r.Jobs > 0 && in.served.Load()+1 >= int64(r.Jobs):
		return errMany
	case r.Age > 0 && now.Sub(in.since) >= r.Age:
		return errAged
	case r.Memory > 0 && in.weigh(now) >= r.Memory:
		return errSwollen
	}
	return nil
}

// weigh returns the resident memory of the instance, in bytes; 0 when it was
// looked at a moment ago, or cannot be.
func (in *instance) weigh(now time.Time) int64 {
	last := in.measured.Load()
	if now.UnixNano()-last < int64(weighEvery) || !in.measured.CompareAndSwap(last, now.UnixNano()) {
		return 0
	}
	return footprintOf(in.conn.child.pid()).Memory
}

// giveBackShared ends the use of a shared instance by one job.
func (s *supervisor) giveBackShared(in *instance) {
	var worn error
	if s.options.Recycle != (Recycle{}) {
		worn = in.worn(time.Now())
	}
	in.served.Add(1)
	in.release()
	if worn != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.replaceLocked(in, worn)
	}
}

// replaceLocked starts a new shared instance in the place of one that is to end
// for a reason. While the plugin is held back, the old one goes on.
func (s *supervisor) replaceLocked(in *instance, why error) {
	if s.shared.Load() != in || s.starting != nil || s.gate.wait(time.Now()) > 0 {
		return
	}
	_, _ = s.startSharedLocked(why) // only a closed supervisor does not
}
