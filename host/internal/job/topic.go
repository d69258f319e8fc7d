package job

import (
	"sync"
	"sync/atomic"
	"time"

	"geomill/sdk/ogc"
)

const (
	// breath is the least time between two times that the listeners of a topic
	// are woken; what comes in between is told together.
	breath = 25 * time.Millisecond
	// soonProgress is how many reports of progress are told in one breath; of
	// more, the last replaces the one before.
	soonProgress = 4
	// Of more notices, or bytes of them, a topic keeps the newest half.
	topicNotices = 512
	topicBytes   = 1 << 20
)

// topic is what listeners to one job, or to all, share: the last notices in their
// order. Who adds one waits for nobody; listeners read at their own speed, without
// a lock, and find out when they were too slow.
type topic struct {
	jobID     string // empty: all jobs
	listeners int    // guarded by the registry's lock

	mu       sync.Mutex
	job      Job // as last told
	place    Place
	unlogged uint64
	logged   bool      // a line was told
	pending  []*Notice // not yet to be seen
	progress int       // reports of progress among them
	size     int       // of all notices, in bytes
	ended    bool
	unseen   bool // listeners are to be woken
	due      bool // the timer runs
	timer    *time.Timer
	told     time.Time // when listeners were last woken

	view atomic.Pointer[view]
}

// view is a topic at a moment.
type view struct {
	base    uint64 // number of the first of notices, from 1
	notices []*Notice
	dropped Place // of a listener that has all before base
	place   Place // of one that has all
	// unlogged is the number before that of the first line: those up to it are
	// in the log only.
	unlogged uint64
	// status and progress are the newest of their kind, wherever they are.
	status, progress numbered
	ended            bool
	more             chan struct{} // closed when there is a newer view
}

type numbered struct {
	number uint64
	notice *Notice
}

func (v *view) end() uint64 { return v.base + uint64(len(v.notices)) }

// newTopic begins at a place: its listeners are told what comes after it.
func newTopic(jobID string, at Place) *topic {
	t := &topic{jobID: jobID, place: at}
	t.view.Store(&view{base: 1, dropped: at, place: at, more: make(chan struct{})})
	return t
}

// begun says whether it is known how many lines the log has.
func (t *topic) begun() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.place.Line != 0
}

// begin says how many lines the log of the job has already, unless the topic was
// told one since.
func (t *topic) begin(line uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.place.Line != 0 {
		return
	}
	t.place.Line, t.unlogged = line, line
	t.publish(t.view.Load().more)
}

// offer tells the status of a job, unless it was told or is no news: a running
// job of which only the progress was written.
func (t *topic) offer(j Job) (ended bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.offerLocked(j)
	return t.ended
}

func (t *topic) offerLocked(j Job) {
	if t.ended || j.Revision <= t.job.Revision {
		return
	}
	news := !runsOn(t.job, j)
	t.job = j
	if !news {
		return
	}
	t.place.Revision = j.Revision
	t.add(&Notice{Kind: StatusNotice, Job: j})
	t.ended = j.Status.Final()
}

// runsOn says that between two records of a job it only got on.
func runsOn(before, after Job) bool {
	return before.Status == ogc.Running && after.Status == ogc.Running && before.Attempt == after.Attempt
}

// remove tells that the job is gone.
func (t *topic) remove(j Job, revision uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return
	}
	t.place.Revision = revision
	t.add(&Notice{Kind: RemovedNotice, Job: j})
	t.ended = true
}

// report tells the progress of a running job, after its status.
func (t *topic) report(j Job, percent int, message string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.offerLocked(j); t.ended {
		return
	}
	n := &Notice{Kind: ProgressNotice, Percent: percent, Message: message}
	if last := len(t.pending) - 1; t.progress >= soonProgress && t.pending[last].Kind == ProgressNotice {
		n.Place = t.place
		t.pending[last] = n
		return
	}
	t.progress++
	t.add(n)
}

// log tells a line of the log of a running job, after its status. A line without
// a number gets the next.
func (t *topic) log(j Job, line LogLine) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.offerLocked(j); t.ended {
		return
	}
	if line.Seq == 0 {
		if t.place.Line == 0 {
			t.unlogged = uint64(line.Time.UnixMicro()) // above those of another run of the host
			t.place.Line = t.unlogged
		}
		line.Seq = t.place.Line + 1
	} else if !t.logged {
		t.unlogged = line.Seq - 1
	}
	t.place.Line, t.logged = line.Seq, true
	t.add(&Notice{Kind: LogNotice, Line: line})
}

// change tells a topic of all jobs of one of them.
func (t *topic) change(n *Notice, revision uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if revision <= t.place.Revision || t.ended {
		return
	}
	t.place.Revision = revision
	t.add(n)
}

// add lets listeners see a notice soon.
func (t *topic) add(n *Notice) {
	n.Place = t.place
	t.pending, t.unseen = append(t.pending, n), true
	if len(t.pending) >= topicNotices {
		t.publish(t.view.Load().more)
	}
	if t.due {
		return
	}
	t.due = true
	wait := max(0, breath-time.Since(t.told))
	if t.timer == nil {
		t.timer = time.AfterFunc(wait, t.flush)
	} else {
		t.timer.Reset(wait)
	}
}

// flush lets listeners see what is pending, and wakes them.
func (t *topic) flush() {
	t.mu.Lock()
	t.due = false
	woken := t.wake()
	t.mu.Unlock()
	if woken != nil {
		close(woken) // takes longer the more wait: whoever tells something does not
	}
}

// wake publishes what is pending and returns what listeners wait for, or nil when
// they know all. The lock is held.
func (t *topic) wake() chan struct{} {
	if !t.unseen {
		return nil
	}
	woken := t.view.Load().more
	t.unseen, t.told = false, time.Now()
	t.publish(make(chan struct{}))
	return woken
}

// open returns the topic as it now is, and its job.
func (t *topic) open() (*view, Job) {
	t.mu.Lock()
	woken := t.wake()
	v, j := t.view.Load(), t.job
	t.mu.Unlock()
	if woken != nil {
		close(woken)
	}
	return v, j
}

// now returns the job as it was last told.
func (t *topic) now() Job {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.job
}

// publish makes a view with what is pending.
func (t *topic) publish(more chan struct{}) {
	v := *t.view.Load()
	number := v.end()
	for _, n := range t.pending {
		switch n.Kind {
		case StatusNotice:
			v.status = numbered{number, n}
		case ProgressNotice:
			v.progress = numbered{number, n}
		}
		t.size += n.size()
		number++
	}
	old := len(v.notices)
	v.notices = append(v.notices, t.pending...) // beyond what earlier views see
	clear(t.pending)
	t.pending, t.progress = t.pending[:0], 0
	if len(v.notices) > topicNotices || t.size > topicBytes {
		t.drop(&v, old)
	}
	v.place, v.unlogged, v.ended, v.more = t.place, t.unlogged, t.ended, more
	t.view.Store(&v)
}

// drop leaves the newest half of what a topic keeps, and as a rule what has come
// since the old notices, which listeners can have.
func (t *topic) drop(v *view, old int) {
	k := 0
	for ; k < len(v.notices) && (k < old && len(v.notices)-k > topicNotices/2 || t.size > topicBytes/2); k++ {
		t.size -= v.notices[k].size()
	}
	v.base += uint64(k)
	v.dropped = v.notices[k-1].Place
	v.notices = append([]*Notice(nil), v.notices[k:]...)
}

// end lets listeners go, without a last notice.
func (t *topic) end() {
	t.mu.Lock()
	t.ended, t.unseen = true, true
	t.mu.Unlock()
	t.flush()
}
