package jobtest

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"geomill/host/internal/job"
)

// machine is one run of a host: a Service between the gates that it lives or dies
// by.
type machine struct {
	*job.Service
	life   *life
	ctx    context.Context
	cancel context.CancelFunc
	ended  chan struct{}

	// turn is held while one of the rest is used or changed, also for as long
	// as a write takes: time goes on while goroutines wait for a channel, other
	// than for a mutex.
	turn   chan struct{}
	dead   bool // nothing it does has an effect any more
	cutOff bool // it gets nothing from the queue any more, but goes on working
	fuse   int  // writes until it dies, if above zero
	lost   bool // whether the last of them is lost too

	extra chan job.Lease // claims besides those of the queue
}

var errDead = errors.New("the host is dead")

// write makes a write unless the host is dead by then, or dies of it.
func (m *machine) write(act func() error) error {
	m.turn <- struct{}{}
	defer func() { <-m.turn }()
	if m.dead {
		return errDead
	}
	last := m.fuse == 1
	if m.fuse > 0 {
		m.fuse--
	}
	if last {
		m.dead = true
		if m.lost {
			return errDead
		}
	}
	err := act()
	if last {
		return errDead
	}
	return err
}

// alive returns errDead for a dead host.
func (m *machine) alive() error {
	m.turn <- struct{}{}
	defer func() { <-m.turn }()
	if m.dead {
		return errDead
	}
	return nil
}

// becomes changes what a host is.
func (m *machine) becomes(change func()) {
	m.turn <- struct{}{}
	defer func() { <-m.turn }()
	change()
}

// gatedStore is the store as a host sees it. Every change goes by the records of
// the life.
type gatedStore struct {
	job.Store
	m *machine
}

func (s gatedStore) Create(ctx context.Context, j job.Job, o job.Order) (created job.Job, err error) {
	err = s.m.write(func() error {
		if created, err = s.Store.Create(ctx, j, o); err == nil {
			s.m.life.created(created)
		}
		return err
	})
	return created, err
}

func (s gatedStore) Update(ctx context.Context, j job.Job, outputs map[string]job.Value) (after job.Job, err error) {
	err = s.m.write(func() error {
		if after, err = s.Store.Update(ctx, j, outputs); err == nil {
			s.m.life.updated(after)
		}
		return err
	})
	return after, err
}

func (s gatedStore) Delete(ctx context.Context, id string, revision uint64) error {
	return s.m.write(func() error {
		err := s.Store.Delete(ctx, id, revision)
		if err == nil {
			s.m.life.deleted(id)
		}
		return err
	})
}

func (s gatedStore) Get(ctx context.Context, id string) (job.Job, error) {
	if err := s.m.alive(); err != nil {
		return job.Job{}, err
	}
	return s.Store.Get(ctx, id)
}

// gatedQueue is the queue as a host sees it.
type gatedQueue struct {
	job.Queue
	m *machine
}

func (q gatedQueue) Enqueue(ctx context.Context, t job.Ticket) error {
	return q.m.write(func() error { return q.Queue.Enqueue(ctx, t) })
}

func (q gatedQueue) Cancel(ctx context.Context, id string) (removed bool, err error) {
	err = q.m.write(func() error {
		removed, err = q.Queue.Cancel(ctx, id)
		return err
	})
	return removed, err
}

// Claim also brings the extra claims.
func (q gatedQueue) Claim(ctx context.Context, free int, room func(string) int) ([]job.Lease, error) {
	outer := ctx
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type claimed struct {
		leases []job.Lease
		err    error
	}
	got := make(chan claimed, 1)
	go func() {
		leases, err := q.Queue.Claim(ctx, free, room)
		got <- claimed{leases, err}
	}()
	select {
	case c := <-got:
		var void bool
		if q.m.becomes(func() { void = q.m.dead || q.m.cutOff }); void { // the answer does not reach it
			<-outer.Done()
			return nil, outer.Err()
		}
		for i, l := range c.leases {
			c.leases[i] = gatedLease{l, q.m}
		}
		return c.leases, c.err
	case l := <-q.m.extra:
		cancel()
		c := <-got
		for _, more := range c.leases { // claimed at the same moment
			_ = more.Release(context.WithoutCancel(ctx), 0)
		}
		return []job.Lease{l}, nil
	}
}

// gatedLease is void for a host that is dead or cut off.
type gatedLease struct {
	job.Lease
	m *machine
}

func (l gatedLease) gate(act func() error) error {
	var void bool
	if l.m.becomes(func() { void = l.m.cutOff }); void {
		return job.ErrLost
	}
	return l.m.write(act)
}

func (l gatedLease) Heartbeat(ctx context.Context) error {
	if err := l.m.alive(); err != nil {
		return err
	}
	return l.Lease.Heartbeat(ctx)
}

func (l gatedLease) Done(ctx context.Context) error {
	return l.gate(func() error { return l.Lease.Done(ctx) })
}

func (l gatedLease) Release(ctx context.Context, delay time.Duration) error {
	return l.gate(func() error { return l.Lease.Release(ctx, delay) })
}

// secondClaim is a lease of a ticket that somebody else may hold.
type secondClaim struct {
	queue  job.Queue
	ticket job.Ticket
}

func (c secondClaim) Ticket() job.Ticket              { return c.ticket }
func (c secondClaim) Heartbeat(context.Context) error { return nil }
func (c secondClaim) Done(context.Context) error      { return nil }

func (c secondClaim) Release(ctx context.Context, delay time.Duration) error {
	t := c.ticket
	t.NotBefore, t.Readmit = time.Now().Add(delay), true
	return c.queue.Enqueue(ctx, t)
}

// trial is one call of the executor, which ends as the test says.
type trial struct {
	job.Attempt
	m        *machine
	events   job.Events
	verdict  chan verdict
	killed   chan struct{} // closed when its host is
	stubborn atomic.Bool   // does not end with its context
	over     atomic.Bool   // it has its verdict, or returned without one
}

type verdict struct {
	outputs map[string]job.Value
	err     error
}

// GoString keeps the log of what was drawn short.
func (t *trial) GoString() string { return t.JobID }

// Execute implements job.Executor.
func (m *machine) Execute(ctx context.Context, a job.Attempt, ev job.Events) (map[string]job.Value, error) {
	t := &trial{Attempt: a, m: m, events: ev, verdict: make(chan verdict, 1), killed: make(chan struct{})}
	m.life.started(t)
	defer t.over.Store(true)
	select {
	case v := <-t.verdict:
		return v.outputs, v.err
	case <-t.killed:
		return nil, errDead
	case <-ctx.Done():
	}
	if t.stubborn.Load() {
		select {
		case v := <-t.verdict:
			return v.outputs, v.err
		case <-t.killed:
		}
	}
	return nil, context.Cause(ctx)
}

// machineCatalog has the processes of the test.
type machineCatalog []*job.Process

func (c machineCatalog) Processes() []*job.Process { return c }

func (c machineCatalog) Process(id string) (*job.Process, error) {
	i := slices.IndexFunc(c, func(p *job.Process) bool { return p.ID == id })
	if i < 0 {
		return nil, job.ErrNoSuchProcess
	}
	return c[i], nil
}

func (machineCatalog) Await(context.Context, string) error { return nil }
