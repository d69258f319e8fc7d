package callback

import (
	"fmt"
	"testing"
	"time"

	"geomill/host/internal/job"
)

func TestProgressIsThinnedAndTheLastIsTold(t *testing.T) {
	t.Parallel()
	v := receive(t, always(200))
	const every = 50 * time.Millisecond
	b := start(t, func(c *Config) { c.ProgressEvery = every })
	began := time.Now()
	d := delivery(create(t, b.store), job.InProgress, v.URL)
	b.Progress(d)
	b.reaches(t, d.JobID, job.Delivered)
	var last time.Time
	for range 1000 {
		b.Progress(d)
		last = time.Now()
	}
	eventually(t, func() bool {
		all, err := b.Deliveries(t.Context(), d.JobID)
		return err == nil && len(all) == 1 && all[0].State == job.Delivered && all[0].Last.After(last)
	}, func() string { return fmt.Sprintf("%d reports", len(v.got())) })
	b.stop()
	if n, most := len(v.got()), 1+int(time.Since(began)/every); n > most {
		t.Errorf("%d reports, want at most %d", n, most)
	}
	first, second := v.got()[0].header.Get("Webhook-Id"), v.got()[1].header.Get("Webhook-Id")
	if first == second {
		t.Errorf("different reports have the same id %s", first)
	}
}

func TestAReportThatFailsIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	v := receive(t, always(500))
	b := start(t)
	d := delivery(create(t, b.store), job.InProgress, v.URL)
	b.Progress(d)
	if got := b.reaches(t, d.JobID, job.GaveUp); got.Fault != "the receiver answered 500" {
		t.Errorf("recorded %+v", got)
	}
	eventually(t, func() bool {
		b.reports.mu.Lock()
		defer b.reports.mu.Unlock()
		return len(b.reports.jobs) == 0
	}, func() string { return "the job is not forgotten" })
	b.stop()
	if n := len(v.got()); n != 1 {
		t.Errorf("%d requests", n)
	}
}

func TestAJobThatRunsNoMoreIsNotReported(t *testing.T) {
	t.Parallel()
	v := receive(t, always(200))
	b := start(t)
	b.documents.empty.Store(true)
	d := delivery(create(t, b.store), job.InProgress, v.URL)
	b.Progress(d)
	eventually(t, func() bool { return b.documents.made.Load() == 1 }, func() string { return "not looked at" })
	b.stop()
	if all, err := b.Deliveries(t.Context(), d.JobID); err != nil || len(all) > 0 || len(v.got()) > 0 {
		t.Errorf("recorded %v, %v", all, err)
	}
}
