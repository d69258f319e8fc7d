package store

import (
	"slices"
	"testing"
	"time"

	"geomill/host/internal/job"
	"geomill/host/internal/job/jobtest"
	"geomill/sdk/ogc"
)

// The newest jobs are served from memory; what is there must agree with the
// database whatever is deleted.
func TestFirstPageSurvivesDeletions(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	var want []string
	load := func(yield func(job.Job, job.Order) bool) {
		for range 2 * recentSize {
			j := jobtest.NewJob("p")
			want = append(want, j.ID)
			if !yield(j, job.Order{}) {
				return
			}
		}
	}
	if err := s.BulkLoad(ctx(t), load); err != nil {
		t.Fatal(err)
	}
	slices.Reverse(want)
	for len(want) > 0 {
		p, err := s.List(ctx(t), job.Filter{}, job.Cursor{}, 50)
		if err != nil {
			t.Fatal(err)
		}
		n := min(50, len(want))
		var got []string
		for _, j := range p.Jobs {
			got = append(got, j.ID)
		}
		if !slices.Equal(got, want[:n]) || p.Older != (len(want) > n) {
			t.Fatalf("with %d jobs left the first page holds %d others (older: %v)", len(want), len(got), p.Older)
		}
		deleteAll(t, s, p.Jobs)
		want = want[n:]
	}
	created(t, s)
	if p, err := s.List(ctx(t), job.Filter{}, job.Cursor{}, 50); err != nil || len(p.Jobs) != 1 {
		t.Errorf("a new job after the deletions: %d listed, %v", len(p.Jobs), err)
	}
}

func deleteAll(t *testing.T, s *Store, jobs []job.Job) {
	t.Helper()
	errs := make(chan error, len(jobs))
	for _, j := range jobs {
		go func() { errs <- s.Delete(ctx(t), j.ID, j.Revision) }()
	}
	for range jobs {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
}

func TestBulkLoadRefusesTakenIDs(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	j := jobtest.NewJob("p")
	twice := func(yield func(job.Job, job.Order) bool) {
		if yield(j, job.Order{}) {
			yield(j, job.Order{})
		}
	}
	if err := s.BulkLoad(ctx(t), twice); err == nil {
		t.Error("one id was loaded twice")
	}
}

// More active jobs than one round looks at, most of which the filter refuses.
func TestManyActiveJobsAreListedToTheEnd(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	base := time.Now()
	load := func(yield func(job.Job, job.Order) bool) {
		for n := range 500 {
			j := jobtest.NewJob("p")
			if n%100 == 0 {
				j.Status, j.Started = ogc.Running, base
			}
			if n%250 == 1 {
				j.Status = ogc.Failed
			}
			if !yield(j, job.Order{}) {
				return
			}
		}
	}
	if err := s.BulkLoad(ctx(t), load); err != nil {
		t.Fatal(err)
	}
	least := time.Duration(0)
	f := job.Filter{Statuses: []ogc.Status{ogc.Accepted, ogc.Running, ogc.Failed}, MinDuration: &least, Now: base}
	for _, c := range []job.Cursor{{}, {After: oldest.String(), Newer: true}} {
		p, err := s.List(ctx(t), f, c, 4)
		if err != nil || len(p.Jobs) != 4 || p.Older == c.Newer || p.Newer != c.Newer {
			t.Errorf("at %+v: %d jobs, older %v, newer %v, %v", c, len(p.Jobs), p.Older, p.Newer, err)
		}
		f := f
		f.MinDuration = nil
		f.Statuses = f.Statuses[1:]
		if p, err = s.List(ctx(t), f, c, 100); err != nil || len(p.Jobs) != 7 {
			t.Errorf("running and failed at %+v: %d jobs, %v; want 7", c, len(p.Jobs), err)
		}
	}
}
