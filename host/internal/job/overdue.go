package job

import (
	"container/heap"
	"context"
	"errors"
	"sync"
	"time"

	"geomill/sdk/ogc"
)

// overdue knows until when waiting jobs must have started, those that have such a
// time. It goes by Config.Elapsed: what is done to the wall clock while the host
// runs neither lets a job wait for longer nor fails it early.
type overdue struct {
	mu      sync.Mutex
	jobs    map[string]*deadline
	byTime  deadlines
	earlier chan struct{} // gets one when the first deadline has changed
}

type deadline struct {
	id    string
	at    time.Duration
	place int
}

func newOverdue() *overdue {
	return &overdue{jobs: map[string]*deadline{}, earlier: make(chan struct{}, 1)}
}

// limitWait is told of each change of a job: it fails at its StartBy if it is
// still waiting for its first start then.
func (s *Service) limitWait(j Job) {
	switch {
	case j.StartBy.IsZero():
	case j.waits():
		s.overdue.watch(j.ID, s.Elapsed()+j.StartBy.Sub(s.Now()))
	default:
		s.overdue.forget(j.ID)
	}
}

// waits reports whether a job waits for its first start.
func (j Job) waits() bool { return j.Status == ogc.Accepted && j.Attempt == 0 }

func (o *overdue) watch(id string, at time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.jobs[id] != nil {
		return
	}
	d := &deadline{id: id, at: at}
	o.jobs[id] = d
	heap.Push(&o.byTime, d)
	if d.place == 0 {
		select {
		case o.earlier <- struct{}{}:
		default:
		}
	}
}

func (o *overdue) forget(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if d := o.jobs[id]; d != nil {
		heap.Remove(&o.byTime, d.place)
		delete(o.jobs, id)
	}
}

// passed reports whether the time of a waiting job has come.
func (o *overdue) passed(id string, now time.Duration) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	d := o.jobs[id]
	return d != nil && now >= d.at
}

// next returns the deadline of a job whose time has come, or how long none will be.
func (o *overdue) next(now time.Duration) (d *deadline, wait time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.byTime) == 0 {
		return nil, clockPatience
	}
	first := o.byTime[0]
	if wait := first.at - now; wait > 0 {
		return nil, min(wait, clockPatience)
	}
	return first, 0
}

// settle forgets a deadline, or postpones it, unless that was done meanwhile.
func (o *overdue) settle(d *deadline, again time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.jobs[d.id] != d:
	case again > 0:
		d.at = again
		heap.Fix(&o.byTime, d.place)
	default:
		heap.Remove(&o.byTime, d.place)
		delete(o.jobs, d.id)
	}
}

const (
	// clockPatience is how long expire sleeps before it looks at the clock again,
	// which may have gone on while the machine slept.
	clockPatience = time.Minute
	// expireAgain is when a job that could not be failed is looked at again.
	expireAgain = 10 * time.Second
)

// expire fails the jobs that waited for too long, until ctx ends.
func (s *Service) expire(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		d, wait := s.overdue.next(s.Elapsed())
		if d != nil {
			var again time.Duration
			if err := s.expireJob(ctx, d.id); err != nil {
				s.Logger.Error("job that waited too long", "job", d.id, "error", err)
				again = s.Elapsed() + expireAgain
			}
			s.overdue.settle(d, again)
			continue
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-s.overdue.earlier:
		case <-ctx.Done():
		}
	}
}

// expireJob fails a job that has not started. One that starts at this very moment
// goes on.
func (s *Service) expireJob(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeDeadline)
	defer cancel()
	j, err := s.Store.Get(ctx, id)
	if errors.Is(err, ErrNoSuchJob) || errors.Is(err, ErrGone) || err == nil && !j.waits() {
		return nil
	}
	if err != nil {
		return err
	}
	return s.failLate(ctx, j)
}

func (s *Service) failLate(ctx context.Context, j Job) error {
	since := j.Created
	if j.NotBefore.After(since) {
		since = j.NotBefore
	}
	j.Exception = j.exception(&Failure{Kind: WaitedTooLong, Detail: "the job did not start within the " + j.StartBy.Sub(since).String() + " that it may wait in the queue"})
	j.Message = j.Exception.Detail
	j, err := s.change(ctx, j, ogc.Failed, nil)
	if lost(err) {
		return nil // it was started or dismissed meanwhile
	}
	if err != nil {
		return err
	}
	s.cleanUp(j)
	_, err = s.Queue.Cancel(ctx, j.ID)
	return err
}

// deadlines implements heap.Interface.
type deadlines []*deadline

func (d deadlines) Len() int { return len(d) }

func (d deadlines) Less(i, j int) bool { return d[i].at < d[j].at }

func (d deadlines) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].place, d[j].place = i, j
}

// Push implements heap.Interface.
func (d *deadlines) Push(x any) {
	v := x.(*deadline)
	v.place = len(*d)
	*d = append(*d, v)
}

// Pop implements heap.Interface.
func (d *deadlines) Pop() any {
	old := *d
	last := len(old) - 1
	v := old[last]
	old[last] = nil
	*d = old[:last]
	return v
}
