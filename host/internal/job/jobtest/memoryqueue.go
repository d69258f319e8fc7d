package jobtest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"geomill/host/internal/job"
)

// MemoryQueue implements job.Queue in the simplest way that is right: every
// question goes through all tickets.
type MemoryQueue struct {
	limit int
	lease time.Duration

	mu      sync.Mutex
	tickets []*memoryTicket // in the order they began to wait
	turns   map[share]int   // of callers with tickets that are due
	turn    int             // the last that was given
	passes  map[job.Priority]int
	passed  int           // pass of the priority that was served last
	changed chan struct{} // closed at the next change
}

// share is what takes turns within a priority.
type share struct {
	priority job.Priority
	caller   string
}

type memoryTicket struct {
	job.Ticket
	due       time.Time
	until     time.Time    // end of the lease
	holder    *memoryLease // nil while it waits
	cancelled bool
}

var _ job.Queue = (*MemoryQueue)(nil)

// NewMemoryQueue returns an empty queue for at most limit waiting tickets.
func NewMemoryQueue(limit int, lease time.Duration) *MemoryQueue {
	return &MemoryQueue{limit: limit, lease: lease, turns: map[share]int{}, passes: map[job.Priority]int{}, changed: make(chan struct{})}
}

// begin locks the queue, puts back what is leased for too long and gives those
// a turn that have something due.
func (q *MemoryQueue) begin() time.Time {
	q.mu.Lock()
	now := time.Now()
	q.tickets = slices.DeleteFunc(q.tickets, func(t *memoryTicket) bool {
		expired := t.holder != nil && !now.Before(t.until)
		if expired {
			t.holder, t.due = nil, t.until
		}
		return expired && t.cancelled
	})
	slices.SortStableFunc(q.tickets, func(a, b *memoryTicket) int { return a.due.Compare(b.due) })
	due := map[share]bool{}
	for _, t := range q.tickets {
		if t.holder != nil || t.due.After(now) {
			continue
		}
		due[t.share()] = true
		if q.turns[t.share()] == 0 {
			q.turn++
			q.turns[t.share()] = q.turn
		}
	}
	maps.DeleteFunc(q.turns, func(s share, _ int) bool { return !due[s] })
	return now
}

func (t *memoryTicket) share() share {
	s := share{t.Priority, t.Caller}
	if s.priority == "" {
		s.priority = job.Normal
	}
	return s
}

func (q *MemoryQueue) wake() {
	close(q.changed)
	q.changed = make(chan struct{})
}

func (q *MemoryQueue) depth() (n int) {
	for _, t := range q.tickets {
		if t.holder == nil {
			n++
		}
	}
	return n
}

// Enqueue implements job.Queue.
func (q *MemoryQueue) Enqueue(ctx context.Context, t job.Ticket) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	now := q.begin()
	defer q.mu.Unlock()
	if slices.ContainsFunc(q.tickets, func(m *memoryTicket) bool { return m.JobID == t.JobID }) {
		return nil
	}
	if !t.Readmit && q.depth() >= q.limit {
		return job.ErrBusy
	}
	m := &memoryTicket{Ticket: t, due: now}
	if t.NotBefore.After(now) {
		m.due = t.NotBefore
	}
	q.tickets = append(q.tickets, m)
	q.wake()
	return nil
}

// Claim implements job.Queue.
func (q *MemoryQueue) Claim(ctx context.Context, free int, room func(string) int) ([]job.Lease, error) {
	if free <= 0 {
		return nil, fmt.Errorf("claim: %d free slots", free)
	}
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		leases, wait, changed := q.take(free, room)
		if len(leases) > 0 {
			return leases, nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// take leases what is next, or says how long nothing will be unless something
// changes.
func (q *MemoryQueue) take(free int, room func(string) int) (leases []job.Lease, wait time.Duration, changed <-chan struct{}) {
	defer func() { q.mu.Unlock() }()
	for now := q.begin(); len(leases) < free; now = q.again() {
		t := q.next(now, room)
		if t == nil {
			break
		}
		s := t.share()
		q.passed = max(q.passed, q.passes[s.priority])
		q.passes[s.priority] = q.passed + job.High.Weight()/s.priority.Weight()
		q.turn++
		q.turns[s] = q.turn
		t.holder, t.until = &memoryLease{queue: q, ticket: t}, now.Add(q.lease)
		leases = append(leases, t.holder)
	}
	wait = time.Minute
	for _, t := range q.tickets {
		switch now := time.Now(); {
		case t.holder != nil:
			wait = min(wait, t.until.Sub(now))
		case t.due.After(now):
			wait = min(wait, t.due.Sub(now))
		}
	}
	return leases, wait, q.changed
}

// again is begin within a call.
func (q *MemoryQueue) again() time.Time {
	q.mu.Unlock()
	return q.begin()
}

// next returns the ticket whose turn it is among those whose process has room.
func (q *MemoryQueue) next(now time.Time, room func(string) int) (best *memoryTicket) {
	leased := map[string]int{}
	for _, t := range q.tickets {
		if t.holder != nil {
			leased[t.ProcessID]++
		}
	}
	pass := func(t *memoryTicket) int { return max(q.passed, q.passes[t.share().priority]) }
	for _, p := range job.Priorities() {
		for _, t := range q.tickets {
			if t.holder != nil || t.due.After(now) || t.share().priority != p {
				continue
			}
			if room != nil && room(t.ProcessID) > 0 && leased[t.ProcessID] >= room(t.ProcessID) {
				continue
			}
			if best == nil || pass(t) < pass(best) || best.share().priority == p && q.turns[t.share()] < q.turns[best.share()] {
				best = t
			}
		}
	}
	return best
}

// Cancel implements job.Queue.
func (q *MemoryQueue) Cancel(ctx context.Context, id string) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	q.begin()
	defer q.mu.Unlock()
	at := slices.IndexFunc(q.tickets, func(t *memoryTicket) bool { return t.JobID == id })
	switch {
	case at < 0:
		return false, nil
	case q.tickets[at].holder != nil:
		q.tickets[at].cancelled = true
		return false, nil
	}
	q.tickets = slices.Delete(q.tickets, at, at+1)
	return true, nil
}

// Depth implements job.Queue.
func (q *MemoryQueue) Depth(ctx context.Context, caller string) (all, callers int, err error) {
	if err := ctx.Err(); err != nil {
		return 0, 0, err
	}
	q.begin()
	defer q.mu.Unlock()
	for _, t := range q.tickets {
		if t.holder == nil && t.Caller == caller {
			callers++
		}
	}
	return q.depth(), callers, nil
}

// Standing implements job.Queue: so many tickets are served in full rounds of the
// callers, so many in the last one, and their share of the other priorities.
func (q *MemoryQueue) Standing(ctx context.Context, id string) (p job.Standing, err error) {
	if err := ctx.Err(); err != nil {
		return p, err
	}
	now := q.begin()
	defer q.mu.Unlock()
	at := slices.IndexFunc(q.tickets, func(t *memoryTicket) bool { return t.JobID == id && t.holder == nil })
	if at < 0 {
		return p, nil
	}
	mine := q.tickets[at]
	if mine.due.After(now) {
		return job.Standing{Due: mine.due}, nil
	}
	has, due, round := map[share]int{}, map[job.Priority]int{}, 1
	for k, t := range q.tickets {
		if t.holder != nil || t.due.After(now) {
			continue
		}
		p.Of++
		due[t.share().priority]++
		has[t.share()]++
		if k < at && t.share() == mine.share() {
			round++
		}
	}
	p.Position = 1
	for s, n := range has {
		if s.priority != mine.share().priority || s == mine.share() {
			continue
		}
		if p.Position += min(n, round-1); n >= round && q.turns[s] < q.turns[mine.share()] {
			p.Position++
		}
	}
	p.Position += round - 1
	served := p.Position
	for priority, n := range due {
		if priority != mine.share().priority {
			p.Position += min(n, served*priority.Weight()/mine.Priority.Weight())
		}
	}
	return p, nil
}

type memoryLease struct {
	queue  *MemoryQueue
	ticket *memoryTicket
}

func (l *memoryLease) Ticket() job.Ticket { return l.ticket.Ticket }

// hold locks the queue if the lease is still good.
func (l *memoryLease) hold(ctx context.Context) (time.Time, error) {
	if err := ctx.Err(); err != nil {
		return time.Time{}, err
	}
	now := l.queue.begin()
	if l.ticket.holder != l {
		l.queue.mu.Unlock()
		return now, job.ErrLost
	}
	return now, nil
}

func (l *memoryLease) Heartbeat(ctx context.Context) error {
	now, err := l.hold(ctx)
	if err != nil {
		return err
	}
	defer l.queue.mu.Unlock()
	if l.ticket.cancelled {
		return job.ErrCancelled
	}
	l.ticket.until = now.Add(l.queue.lease)
	return nil
}

func (l *memoryLease) Done(ctx context.Context) error {
	if _, err := l.hold(ctx); err != nil {
		return err
	}
	defer l.queue.mu.Unlock()
	l.drop()
	return nil
}

func (l *memoryLease) drop() {
	l.queue.wake() // its process has room for another
	l.ticket.holder = nil
	l.queue.tickets = slices.DeleteFunc(l.queue.tickets, func(t *memoryTicket) bool { return t == l.ticket })
}

func (l *memoryLease) Release(ctx context.Context, delay time.Duration) error {
	now, err := l.hold(ctx)
	if err != nil {
		return err
	}
	defer l.queue.mu.Unlock()
	if l.ticket.cancelled {
		l.drop()
		return nil
	}
	l.ticket.holder, l.ticket.due = nil, now.Add(max(delay, 0))
	// It goes behind those that are due at the same moment.
	l.queue.tickets = append(slices.DeleteFunc(l.queue.tickets, func(t *memoryTicket) bool { return t == l.ticket }), l.ticket)
	l.queue.wake()
	return nil
}
