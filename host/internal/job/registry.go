package job

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"geomill/sdk/ogc"
)

// registry knows the recorded jobs that run in this host, who waits for the end
// of a job, and whose directories are in use.
type registry struct {
	mu      sync.Mutex
	running map[string]*running
	waiting map[string][]chan struct{}
	held    map[string]int

	audience
}

// running is a job under way. It is the Events of its attempt.
type running struct {
	id      string
	cancel  context.CancelCauseFunc
	settled chan struct{} // closed when the owner has written the job's status
	last    Job           // as the owner then left it; valid after settled
	report  atomic.Pointer[report]
	log     *slog.Logger

	order Order                   // of the attempt; set before it
	moved atomic.Pointer[Process] // not nil: what runs the attempt rather than what it was begun for

	onProgress func() // nil when no subscriber waits for it; set before the attempt

	detached bool // its attempt may go on without the host; set by that

	job   *Job                  // as of its start; set before the attempt
	topic atomic.Pointer[topic] // nil when nobody listens to the job

	// What keeps the reports of an attempt of a recorded job; see observe.
	journal  atomic.Pointer[journal] // nil when it has no log
	news     chan struct{}           // holds one: there is something to keep
	now      func() time.Time
	doubtful bool // the revision in the store may be another; the owner's
}

func newRegistry() *registry {
	return &registry{running: make(map[string]*running), waiting: make(map[string][]chan struct{}), held: make(map[string]int)}
}

// hold keeps the directory of a job from being swept, until as many drops.
func (r *registry) hold(id string) {
	r.mu.Lock()
	r.held[id]++
	r.mu.Unlock()
}

func (r *registry) drop(id string) {
	r.mu.Lock()
	if r.held[id]--; r.held[id] == 0 {
		delete(r.held, id)
	}
	r.mu.Unlock()
}

// holds reports whether a job's directory is in use.
func (r *registry) holds(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.held[id] > 0 || r.running[id] != nil
}

// add notes that a job is run here. It returns nil when it is already: its ticket
// was claimed twice, and the other's entry has to stay, so that a dismissal finds
// it.
func (r *registry) add(id string, cancel context.CancelCauseFunc, log *slog.Logger) *running {
	u := &running{id: id, cancel: cancel, settled: make(chan struct{}), log: log}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running[id] != nil {
		return nil
	}
	r.running[id] = u
	u.topic.Store(r.topics[id])
	return u
}

// settle tells that the owner of the job has written its status: j.
func (r *registry) settle(u *running, j Job) {
	u.last = j
	r.mu.Lock()
	if r.running[u.id] == u {
		delete(r.running, u.id)
		r.retire(u.topic.Load())
	}
	r.mu.Unlock()
	close(u.settled)
}

func (r *registry) get(id string) *running {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.running[id]
}

// overlay adds to a record what its running attempt has reported since.
func (r *registry) overlay(j Job, now time.Time) Job {
	if j.Status != ogc.Running {
		return j
	}
	if u := r.get(j.ID); u != nil {
		if p := u.report.Load(); p != nil {
			j.Progress, j.Message = p.progress, p.message
			j.Estimated = p.estimate(j.Updated, now)
		}
	}
	return j
}

// await returns a channel that is closed when the job has ended.
func (r *registry) await(id string) <-chan struct{} {
	c := make(chan struct{})
	r.mu.Lock()
	r.waiting[id] = append(r.waiting[id], c)
	r.mu.Unlock()
	return c
}

// forget ends an await that gave up.
func (r *registry) forget(id string, c <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	left := r.waiting[id][:0]
	for _, w := range r.waiting[id] {
		if w != c {
			left = append(left, w)
		}
	}
	if len(left) == 0 {
		delete(r.waiting, id)
	} else {
		r.waiting[id] = left
	}
}

// ended wakes those who wait for the job.
func (r *registry) ended(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.waiting[id] {
		close(c)
	}
	delete(r.waiting, id)
}
