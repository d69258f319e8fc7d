package job

import (
	"context"
	"encoding/json"
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

	onProgress func() // nil when no subscriber waits for it; set before the attempt

	job   *Job                  // as of its start; set before the attempt
	topic atomic.Pointer[topic] // nil when nobody listens to the job
}

type report struct {
	progress int
	message  string
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
func (r *registry) overlay(j Job) Job {
	if j.Status != ogc.Running {
		return j
	}
	if u := r.get(j.ID); u != nil {
		if p := u.report.Load(); p != nil {
			j.Progress, j.Message = p.progress, p.message
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

// Progress keeps the newest progress, never falling and below 100 until the
// job has succeeded.
func (u *running) Progress(percent float64, message string) {
	p := 0
	if percent > 0 { // not so for NaN
		p = int(min(percent, 99))
	}
	old := u.report.Load()
	if old != nil {
		p = max(p, old.progress)
		if message == "" {
			message = old.message
		}
	}
	next := &report{progress: p, message: message}
	u.report.Store(next)
	if old != nil && *old == *next {
		return
	}
	if t := u.topic.Load(); t != nil {
		t.report(*u.job, p, message)
	}
	if u.onProgress != nil {
		u.onProgress()
	}
}

// Log passes a line of the process on to the host's log, and to those who listen
// to the job.
func (u *running) Log(level slog.Level, message string, fields json.RawMessage) {
	if t := u.topic.Load(); t != nil {
		t.log(*u.job, LogLine{Time: time.Now(), Level: level, Source: "process", Attempt: u.job.Attempt, Message: message, Fields: fields})
	}
	if fields == nil {
		u.log.Log(context.Background(), level, message, "job", u.id)
		return
	}
	u.log.Log(context.Background(), level, message, "job", u.id, "fields", string(fields))
}
