package jobtest

import (
	"context"
	"fmt"
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
	changed chan struct{}   // closed at the next change
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
	return &MemoryQueue{limit: limit, lease: lease, changed: make(chan struct{})}
}

// begin locks the queue and puts back what is leased for too long.
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
	return now
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
	if q.depth() >= q.limit {
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
func (q *MemoryQueue) Claim(ctx context.Context, free int) ([]job.Lease, error) {
	if free <= 0 {
		return nil, fmt.Errorf("claim: %d free slots", free)
	}
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		leases, wait, changed := q.take(free)
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

// take leases what is due, or says how long nothing will be unless something
// changes.
func (q *MemoryQueue) take(free int) (leases []job.Lease, wait time.Duration, changed <-chan struct{}) {
	now := q.begin()
	defer q.mu.Unlock()
	slices.SortStableFunc(q.tickets, func(a, b *memoryTicket) int { return a.due.Compare(b.due) })
	wait = time.Minute
	for _, t := range q.tickets {
		switch {
		case t.holder != nil:
			wait = min(wait, t.until.Sub(now))
		case t.due.After(now):
			wait = min(wait, t.due.Sub(now))
		case len(leases) < free:
			t.holder, t.until = &memoryLease{queue: q, ticket: t}, now.Add(q.lease)
			leases = append(leases, t.holder)
		}
	}
	return leases, wait, q.changed
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
func (q *MemoryQueue) Depth(ctx context.Context) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	q.begin()
	defer q.mu.Unlock()
	return q.depth(), nil
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
