package wire

import (
	"context"
	"runtime"
	"sync"

	"geomill/proto/processv1"
)

// maxWaiting is how many jobs, ended or refused ones included, may wait for the
// writer before no more are taken from the host.
const maxWaiting = 2 * maxJobs

// outbox is the way out of the plugin: a list of the jobs whose mailboxes
// have something, and one goroutine that empties them into frames.
type outbox struct {
	send    func(*processv1.SessionResponse) error
	release func(ended int)
	wake    chan struct{} // holds one; only sent to when parked
	room    chan struct{} // holds one

	mu      sync.Mutex
	waiting []*serverJob
	spare   []*serverJob
	parked  bool // the writer waits for wake
	closed  bool
}

func newOutbox(send func(*processv1.SessionResponse) error, release func(ended int)) *outbox {
	return &outbox{
		send:    send,
		release: release,
		wake:    make(chan struct{}, 1),
		room:    make(chan struct{}, 1),
	}
}

// push lists a job whose mailbox has something. It reports false when the
// writer is gone.
func (o *outbox) push(j *serverJob) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return false
	}
	if !j.listed {
		j.listed = true
		o.waiting = append(o.waiting, j)
	}
	if o.parked {
		o.parked = false
		o.wake <- struct{}{}
	}
	return true
}

// admit waits until not too much waits for the writer.
func (o *outbox) admit(ctx context.Context) error {
	for {
		o.mu.Lock()
		full := len(o.waiting) >= maxWaiting
		o.mu.Unlock()
		if !full {
			return nil
		}
		select {
		case <-o.room:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// run writes until ctx ends or the stream breaks.
func (o *outbox) run(ctx context.Context) {
	defer o.close()
	for {
		jobs := o.take()
		if jobs == nil {
			select {
			case <-o.wake:
			case <-ctx.Done():
				return
			}
			// Whoever is ready to run may have something for the same frame.
			runtime.Gosched()
			continue
		}
		if o.flush(jobs) != nil {
			return
		}
	}
}

// take returns the jobs that wait, or nil when the writer is to park.
func (o *outbox) take() []*serverJob {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.waiting) == 0 {
		o.parked = true
		return nil
	}
	jobs := o.waiting
	o.waiting, o.spare = o.spare[:0], jobs
	for _, j := range jobs {
		j.listed = false
	}
	select {
	case o.room <- struct{}{}:
	default:
	}
	return jobs
}

// flush sends what is in the mailboxes of the jobs. After an error it only
// gives the slots of those that ended back.
func (o *outbox) flush(jobs []*serverJob) (err error) {
	list := make([]*processv1.PluginMessage, 0, 2*len(jobs))
	size, ended := 0, 0
	for i, j := range jobs {
		jobs[i] = nil
		before := len(list)
		var n int
		list, n = j.box.take(list)
		size += n
		if j.admitted && len(list) > before && isEnd(list[len(list)-1]) {
			ended++
		}
		if len(list) == 0 || (size < frameBytes && i < len(jobs)-1) {
			continue
		}
		// The host may send the next job as soon as it has the end of one.
		o.release(ended)
		if err == nil {
			err = o.send(&processv1.SessionResponse{Messages: list})
		}
		list, size, ended = nil, 0, 0
	}
	return err
}

// close makes push refuse and gives the slots of ended jobs back.
func (o *outbox) close() {
	o.mu.Lock()
	o.closed = true
	jobs := o.waiting
	o.waiting, o.spare = nil, nil
	o.mu.Unlock()
	o.send = func(*processv1.SessionResponse) error { return nil }
	_ = o.flush(jobs) // sends nothing
}

func isEnd(m *processv1.PluginMessage) bool {
	switch m.GetKind().(type) {
	case *processv1.PluginMessage_Succeeded, *processv1.PluginMessage_Failed, *processv1.PluginMessage_Cancelled:
		return true
	default:
		return false
	}
}
