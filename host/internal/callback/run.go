package callback

import (
	"context"
	"slices"
	"sync"
	"time"

	"geomill/host/internal/job"
)

const (
	pageHosts = 64          // hosts read from the outbox at a time
	pageEach  = 16          // deliveries of each
	patience  = time.Second // before the outbox is read again after an error
)

// run is a Caller at work. Only the goroutine of Run touches its fields.
type run struct {
	*Caller
	documents Documents
	ctx       context.Context // of the tries
	tries     sync.WaitGroup
	landed    chan flight // tries that have ended; never full

	flying map[flight]bool
	hosts  map[string]int // tries under way, by host
	// ready holds deliveries that are due, of the hosts up to after.
	ready []job.Delivery
	after string
}

// flight names a delivery.
type flight struct {
	job   string
	event job.Event
	host  string
}

// Run delivers callbacks until ctx ends. Then it starts no more tries and gives
// those under way the drain time; what was not delivered stays in the outbox.
func (c *Caller) Run(ctx context.Context, documents Documents) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	r := &run{
		Caller: c, documents: documents, ctx: work, landed: make(chan flight, c.Parallel),
		flying: map[flight]bool{}, hosts: map[string]int{},
	}
	for ctx.Err() == nil {
		r.wait(ctx, r.startAll(ctx))
	}
	idle := make(chan struct{})
	go func() { r.tries.Wait(); close(idle) }()
	drain := time.NewTimer(c.Drain)
	defer drain.Stop()
	select {
	case <-idle:
	case <-drain.C:
		cancel()
		<-idle // bounded: Do ends with its context, writing has a deadline
	}
	return nil
}

// wait returns when there may be something to do, at the latest at next.
func (r *run) wait(ctx context.Context, next time.Time) {
	var due <-chan time.Time
	if !next.IsZero() {
		timer := time.NewTimer(next.Sub(r.Now()))
		defer timer.Stop()
		due = timer.C
	}
	select {
	case f := <-r.landed:
		delete(r.flying, f)
		if r.hosts[f.host]--; r.hosts[f.host] == 0 {
			delete(r.hosts, f.host)
		}
	case <-r.wake:
	case <-due:
	case <-ctx.Done():
	}
}

// startAll starts the tries that can be started and returns when the next is due,
// or zero. When the slots are taken, the end of a try leads here again.
func (r *run) startAll(ctx context.Context) time.Time {
	r.startReady()
	next, err := r.circle(ctx)
	if err != nil && ctx.Err() == nil {
		r.Logger.Error("callbacks are held up", "error", err)
		next = r.Now().Add(patience)
	}
	return earlier(next, r.startReports())
}

// circle reads the outbox host by host, on from where it stopped, and starts
// what is due until the slots are taken or it has been all around.
func (r *run) circle(ctx context.Context) (next time.Time, err error) {
	first := r.after
	around := first == ""
	for len(r.flying) < r.Parallel {
		page, err := r.Outbox.Pending(ctx, r.after, pageHosts, pageEach)
		if err != nil {
			return next, err
		}
		if len(page) == 0 {
			if around {
				break
			}
			around, r.after = true, ""
			continue
		}
		r.after = page[len(page)-1].Host()
		next = earlier(next, r.sort(page))
		r.startReady()
		if around && first != "" && r.after >= first {
			break
		}
	}
	return next, nil
}

// sort makes the due ones of a page ready, in turns: the first of every host
// come before the second of any. It returns when the next of the others is due.
func (r *run) sort(page []job.Delivery) (next time.Time) {
	now := r.Now()
	turns := make([][]job.Delivery, pageEach)
	host, turn := "", 0
	for _, d := range page {
		f := flightOf(d)
		if f.host != host {
			host, turn = f.host, 0
		}
		switch {
		case r.flying[f]:
		case d.Due.After(now):
			next = earlier(next, d.Due)
		default:
			turns[turn] = append(turns[turn], d)
			turn++
		}
	}
	r.ready = slices.Concat(turns...)
	return next
}

func (r *run) startReady() {
	r.ready = slices.DeleteFunc(r.ready, r.start)
}

// start starts a try if a slot is free, for its host too.
func (r *run) start(d job.Delivery) bool {
	f := flightOf(d)
	if len(r.flying) >= r.Parallel || r.hosts[f.host] >= r.PerHost || r.flying[f] {
		return false
	}
	r.flying[f] = true
	r.hosts[f.host]++
	r.tries.Go(func() {
		r.make(r.ctx, r.documents, d)
		r.landed <- f
	})
	return true
}

func flightOf(d job.Delivery) flight { return flight{job: d.JobID, event: d.Event, host: d.Host()} }
