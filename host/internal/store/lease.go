package store

import (
	"container/heap"
	"context"
	"time"

	"geomill/host/internal/job"
)

// lease implements job.Lease. It is void as soon as its ticket has another
// holder or none.
type lease struct {
	queue  *Queue
	ticket *ticket
}

func (l *lease) Ticket() job.Ticket { return l.ticket.Ticket }

// hold locks the queue if the lease is still good. Leases outlive Queue.Close,
// so that what runs can end in order.
func (l *lease) hold(ctx context.Context) (now time.Time, err error) {
	if err := ctx.Err(); err != nil {
		return now, err
	}
	l.queue.mu.Lock()
	now = time.Now()
	l.queue.advance(now)
	if l.ticket.holder != l || l.queue.tickets[l.ticket.JobID] != l.ticket {
		l.queue.mu.Unlock()
		return now, job.ErrLost
	}
	return now, nil
}

func (l *lease) Heartbeat(ctx context.Context) error {
	now, err := l.hold(ctx)
	if err != nil {
		return err
	}
	defer l.queue.mu.Unlock()
	if l.ticket.cancelled {
		return job.ErrCancelled
	}
	l.ticket.at = now.Add(l.queue.lease)
	heap.Fix(&l.queue.leased, l.ticket.place)
	return nil
}

func (l *lease) Done(ctx context.Context) error {
	if _, err := l.hold(ctx); err != nil {
		return err
	}
	defer l.queue.mu.Unlock()
	l.drop()
	return nil
}

func (l *lease) drop() {
	heap.Remove(&l.queue.leased, l.ticket.place)
	l.queue.end(l.ticket)
	delete(l.queue.tickets, l.ticket.JobID)
}

func (l *lease) Release(ctx context.Context, delay time.Duration) error {
	now, err := l.hold(ctx)
	if err != nil {
		return err
	}
	defer l.queue.mu.Unlock()
	if l.ticket.cancelled {
		l.drop()
		return nil
	}
	heap.Remove(&l.queue.leased, l.ticket.place)
	l.queue.end(l.ticket)
	l.queue.wait(l.ticket, now, now.Add(max(delay, 0)))
	return nil
}
