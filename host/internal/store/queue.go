package store

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"geomill/host/internal/job"
)

// Defaults of QueueConfig.
const (
	DefaultQueueLimit = 10_000
	DefaultLease      = 30 * time.Second
)

// clockPatience is how long a claim sleeps before it looks at the clock again,
// which may have been set meanwhile.
const clockPatience = time.Minute

// QueueConfig bounds a Queue. The zero value is useful.
type QueueConfig struct {
	// Limit is how many tickets may wait. Those that come back from a lease are
	// taken beyond it, since refusing them would lose them.
	Limit int
	Lease time.Duration // between two heartbeats
}

// Queue implements job.Queue in memory. It starts no goroutine: tickets get due
// and leases run out when somebody looks.
type Queue struct {
	limit int
	lease time.Duration

	mu      sync.Mutex
	tickets map[string]*ticket
	callers map[string]int // waiting tickets
	delayed ticketHeap     // by due time
	due     turns
	leased  ticketHeap    // by end of lease
	entered uint64        // tickets that have begun to wait, ever
	changed chan struct{} // closed when there may be more to claim
	closed  bool
}

var _ job.Queue = (*Queue)(nil)

// ticket is in exactly one of delayed, due and leased.
type ticket struct {
	job.Ticket
	holder    *lease // nil while it waits
	cancelled bool

	// Its place in a heap, which goes by at and then by order.
	at    time.Time
	order uint64
	place int

	// Its place in due; line is nil elsewhere.
	line          *line
	before, after *ticket
	number        uint64 // among those of its caller, ever
}

// NewQueue returns an empty queue.
func NewQueue(c QueueConfig) *Queue {
	if c.Limit <= 0 {
		c.Limit = DefaultQueueLimit
	}
	if c.Lease <= 0 {
		c.Lease = DefaultLease
	}
	return &Queue{
		limit: c.Limit, lease: c.Lease, tickets: map[string]*ticket{}, callers: map[string]int{},
		due: newTurns(), changed: make(chan struct{}),
	}
}

// Close ends waiting claims; every later call but those on leases fails with
// ErrClosed.
func (q *Queue) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.wake()
}

// begin is how every method enters: locked, with what ran out put back and what
// got due in line.
func (q *Queue) begin(ctx context.Context) (now time.Time, err error) {
	if err := ctx.Err(); err != nil {
		return now, err
	}
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return now, ErrClosed
	}
	now = time.Now()
	q.advance(now)
	return now, nil
}

// Enqueue implements job.Queue.
func (q *Queue) Enqueue(ctx context.Context, t job.Ticket) error {
	if t.JobID == "" {
		return errors.New("enqueue: ticket has no job id")
	}
	now, err := q.begin(ctx)
	if err != nil {
		return err
	}
	defer q.mu.Unlock()
	if q.tickets[t.JobID] != nil {
		return nil
	}
	if !t.Readmit && q.waiting() >= q.limit {
		return job.ErrBusy
	}
	added := &ticket{Ticket: t}
	q.tickets[t.JobID] = added
	q.wait(added, now, t.NotBefore)
	return nil
}

func (q *Queue) waiting() int { return len(q.delayed) + q.due.size() }

// wait puts a ticket that is in no place among those that wait.
func (q *Queue) wait(t *ticket, now, due time.Time) {
	q.callers[t.Caller]++
	if due.After(now) {
		q.delay(t, now, due)
	} else {
		q.due.join(t)
	}
	q.wake()
}

// delay has a ticket wait until due. A time that a client named is that of a
// clock on the wall; here it becomes one that nobody can set, as the others are.
func (q *Queue) delay(t *ticket, now, due time.Time) {
	q.entered++
	t.at, t.order = now.Add(due.Sub(now)), q.entered
	heap.Push(&q.delayed, t)
}

// drop takes a waiting ticket out of where it waits.
func (q *Queue) drop(t *ticket) {
	if t.line != nil {
		q.due.leave(t)
	} else {
		heap.Remove(&q.delayed, t.place)
	}
	q.gone(t)
}

// gone counts that a ticket waits no more.
func (q *Queue) gone(t *ticket) {
	if q.callers[t.Caller]--; q.callers[t.Caller] == 0 {
		delete(q.callers, t.Caller)
	}
}

func (q *Queue) wake() {
	close(q.changed)
	q.changed = make(chan struct{})
}

// advance puts in line what got due, and back what is leased for longer than its
// holder has renewed.
func (q *Queue) advance(now time.Time) {
	for len(q.delayed) > 0 && !now.Before(q.delayed[0].at) {
		if t := heap.Pop(&q.delayed).(*ticket); t.NotBefore.After(now) { // the clock was set back
			q.delay(t, now, t.NotBefore)
		} else {
			q.due.join(t)
		}
	}
	for len(q.leased) > 0 && !now.Before(q.leased[0].at) {
		t := heap.Pop(&q.leased).(*ticket)
		q.end(t)
		if t.cancelled {
			delete(q.tickets, t.JobID)
			continue
		}
		q.wait(t, now, now)
	}
}

// end notes the end of a lease, which makes room for another of its process.
func (q *Queue) end(t *ticket) {
	t.holder = nil
	q.due.release(t.ProcessID)
	q.wake()
}

// Claim implements job.Queue.
func (q *Queue) Claim(ctx context.Context, free int, room func(processID string) int) ([]job.Lease, error) {
	if free <= 0 {
		return nil, fmt.Errorf("claim: %d free slots", free)
	}
	for {
		now, err := q.begin(ctx)
		if err != nil {
			return nil, err
		}
		leases := q.take(now, free, room)
		next, changed := q.nextEvent(), q.changed
		q.mu.Unlock()
		if len(leases) > 0 {
			return leases, nil
		}
		if err := await(ctx, changed, next); err != nil {
			return nil, err
		}
	}
}

func (q *Queue) take(now time.Time, free int, room func(string) int) (leases []job.Lease) {
	for len(leases) < free {
		t := q.due.claim(room)
		if t == nil {
			break
		}
		q.gone(t)
		t.holder = &lease{queue: q, ticket: t}
		t.at = now.Add(q.lease)
		heap.Push(&q.leased, t)
		leases = append(leases, t.holder)
	}
	return leases
}

// nextEvent returns when a ticket gets due or a lease ends; zero for never.
func (q *Queue) nextEvent() (next time.Time) {
	for _, h := range []ticketHeap{q.delayed, q.leased} {
		if len(h) > 0 && (next.IsZero() || h[0].at.Before(next)) {
			next = h[0].at
		}
	}
	return next
}

func await(ctx context.Context, changed <-chan struct{}, next time.Time) error {
	var due <-chan time.Time
	if !next.IsZero() {
		timer := time.NewTimer(min(time.Until(next), clockPatience))
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-changed:
	case <-due:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// Cancel implements job.Queue. A cancelled ticket is not claimed again, however
// its lease ends.
func (q *Queue) Cancel(ctx context.Context, id string) (bool, error) {
	if _, err := q.begin(ctx); err != nil {
		return false, err
	}
	defer q.mu.Unlock()
	t := q.tickets[id]
	switch {
	case t == nil:
		return false, nil
	case t.holder != nil:
		t.cancelled = true
		return false, nil
	}
	q.drop(t)
	delete(q.tickets, id)
	return true, nil
}

// Depth implements job.Queue.
func (q *Queue) Depth(ctx context.Context, caller string) (all, callers int, err error) {
	if _, err := q.begin(ctx); err != nil {
		return 0, 0, err
	}
	defer q.mu.Unlock()
	return q.waiting(), q.callers[caller], nil
}

// Standing implements job.Queue.
func (q *Queue) Standing(ctx context.Context, id string) (job.Standing, error) {
	if _, err := q.begin(ctx); err != nil {
		return job.Standing{}, err
	}
	defer q.mu.Unlock()
	t := q.tickets[id]
	switch {
	case t == nil || t.holder != nil:
		return job.Standing{}, nil
	case t.line == nil:
		return job.Standing{Due: t.at}, nil
	}
	return q.due.place(t), nil
}

// ticketHeap implements heap.Interface.
type ticketHeap []*ticket

func (h ticketHeap) Len() int { return len(h) }

func (h ticketHeap) Less(i, j int) bool {
	if !h[i].at.Equal(h[j].at) {
		return h[i].at.Before(h[j].at)
	}
	return h[i].order < h[j].order
}

func (h ticketHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

// Push implements heap.Interface.
func (h *ticketHeap) Push(x any) {
	t := x.(*ticket)
	t.place = len(*h)
	*h = append(*h, t)
}

// Pop implements heap.Interface.
func (h *ticketHeap) Pop() any {
	old := *h
	last := len(old) - 1
	t := old[last]
	old[last] = nil
	*h = old[:last]
	return t
}
