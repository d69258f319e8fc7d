package callback

import (
	"sync"
	"time"

	"geomill/host/internal/job"
)

// maxReports bounds the jobs whose progress is reported at a time.
const maxReports = 10_000

// reports knows the running jobs whose progress is to be told. Nothing of a
// report is kept but that there is one: what is sent is how the job is by then.
type reports struct {
	mu   sync.Mutex
	jobs map[string]*report
}

type report struct {
	delivery job.Delivery
	fresh    bool      // there is news that was not sent
	sent     time.Time // the last one
}

// Progress implements job.Callbacks.
func (c *Caller) Progress(d job.Delivery) {
	c.reports.mu.Lock()
	defer c.reports.mu.Unlock()
	r := c.reports.jobs[d.JobID]
	if r == nil {
		if len(c.reports.jobs) >= maxReports {
			return
		}
		r = &report{}
		c.reports.jobs[d.JobID] = r
	}
	if r.delivery = d; !r.fresh {
		r.fresh = true
		c.poke()
	}
}

// startReports starts the reports that may be sent now and returns when the next
// may be, or zero. It forgets jobs of which nothing was heard for a while.
func (r *run) startReports() (next time.Time) {
	now := r.Now()
	r.reports.mu.Lock()
	defer r.reports.mu.Unlock()
	for id, p := range r.reports.jobs {
		switch due := p.sent.Add(r.ProgressEvery); {
		case due.After(now):
			next = earlier(next, due)
		case !p.fresh:
			delete(r.reports.jobs, id)
		case r.start(p.delivery):
			p.fresh, p.sent = false, now
			next = earlier(next, now.Add(r.ProgressEvery))
		}
	}
	return next
}

// earlier returns the earlier of two times, where zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
