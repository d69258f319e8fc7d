package store

import (
	"fmt"
	"testing"
	"time"

	"geomill/host/internal/job"
	"geomill/host/internal/job/jobtest"
	"geomill/sdk/ogc"
)

func failWithCallback(t testing.TB, s *Store, host string, due time.Time) (job.Job, job.Delivery) {
	t.Helper()
	j := jobtest.NewJob("p")
	j.Callback = true
	j, err := s.Create(t.Context(), j, job.Order{})
	if err != nil {
		t.Fatal(err)
	}
	j.Status = ogc.Failed
	d := job.Delivery{JobID: j.ID, Event: job.OnFailed, URI: "http://" + host + "/", State: job.Pending, Due: due}
	if j, err = s.Finish(t.Context(), j, nil, d); err != nil {
		t.Fatal(err)
	}
	return j, d
}

func TestPendingCallbacksAreThereAfterAReopen(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	base := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	want := map[string]job.Delivery{}
	for n := range 30 {
		j, d := failWithCallback(t, s, fmt.Sprintf("h%d.example", n%3), base.Add(time.Duration(n)*time.Second))
		switch n % 5 {
		case 0:
			d.State = job.Delivered
			if err := s.Record(t.Context(), d); err != nil {
				t.Fatal(err)
			}
		case 1:
			if err := s.Delete(t.Context(), j.ID, j.Revision); err != nil {
				t.Fatal(err)
			}
		default:
			want[j.ID] = d
		}
	}
	check := func() {
		t.Helper()
		all, err := s.Pending(t.Context(), "", 10, 100)
		if err != nil {
			t.Fatal(err)
		}
		if len(all) != len(want) {
			t.Errorf("%d are pending, want %d", len(all), len(want))
		}
		for _, d := range all {
			if d != want[d.JobID] {
				t.Errorf("pending %+v, want %+v", d, want[d.JobID])
			}
		}
	}
	check()
	s = reopen(t, s)
	check()
	for _, d := range want {
		d.State = job.GaveUp
		if err := s.Record(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.outbox.names) != 0 || len(s.outbox.at) != 0 {
		t.Errorf("memory still knows %v", s.outbox.names)
	}
	clear(want)
	check()
}
