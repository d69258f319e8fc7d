package jobtest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// StoreWithOutbox is a store that keeps deliveries too.
type StoreWithOutbox interface {
	job.Store
	job.Outbox
}

// Outbox checks that what open returns is a job.Outbox in the full sense.
func Outbox(t *testing.T, open func(t testing.TB) StoreWithOutbox) {
	for name, test := range map[string]func(*testing.T, StoreWithOutbox){
		"finish writes the job, its outputs and the delivery":   outboxFinish,
		"finish that loses writes no delivery":                  outboxConflict,
		"a delivery stays pending until it is recorded as made": outboxRecord,
		"a recorded delivery moves to when it is due":           outboxDue,
		"what is pending comes host by host":                    outboxHosts,
		"deliveries do not touch the revision of their job":     outboxRevision,
		"deliveries go with their job":                          outboxDelete,
		"an unknown job has no deliveries":                      outboxUnknown,
		"a call with an ended context fails":                    outboxContext,
		"many finish at once":                                   outboxConcurrent,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

var dueAt = time.Date(2030, 1, 2, 3, 4, 5, 6, time.UTC)

func delivery(j job.Job, e job.Event, host string, due time.Time) job.Delivery {
	return job.Delivery{
		JobID: j.ID, Event: e, URI: "https://" + host + "/hook?a=<b>", Base: "http://localhost:5000",
		State: job.Pending, Due: due,
	}
}

// finished creates a job and finishes it with a delivery to a host.
func finished(t testing.TB, s StoreWithOutbox, host string, due time.Time) (job.Job, job.Delivery) {
	t.Helper()
	j := NewJob("p")
	j.Callback = true
	j = as(create(t, s, j), ogc.Failed)
	d := delivery(j, job.OnFailed, host, due)
	j, err := s.Finish(within(t), j, nil, d)
	if err != nil {
		t.Fatalf("Finish: %v", err)
	}
	return j, d
}

func pending(t testing.TB, s job.Outbox, after string, hosts, each int) []job.Delivery {
	t.Helper()
	all, err := s.Pending(within(t), after, hosts, each)
	if err != nil {
		t.Fatalf("Pending: %v", err)
	}
	return all
}

func deliveries(t testing.TB, s job.Outbox, id string) []job.Delivery {
	t.Helper()
	all, err := s.Deliveries(within(t), id)
	if err != nil {
		t.Fatalf("Deliveries: %v", err)
	}
	return all
}

func record(t testing.TB, s job.Outbox, d job.Delivery) {
	t.Helper()
	if err := s.Record(within(t), d); err != nil {
		t.Fatalf("Record: %v", err)
	}
}

func none(t testing.TB, what string, got []job.Delivery) {
	t.Helper()
	if len(got) > 0 {
		t.Errorf("%s: %+v, want none", what, got)
	}
}

func outboxFinish(t *testing.T, s StoreWithOutbox) {
	j := create(t, s, NewJob("p"))
	d := delivery(j, job.OnSuccess, "a.example", dueAt)
	done, err := s.Finish(within(t), as(j, ogc.Successful), map[string]job.Value{"out": {JSON: []byte(`1`)}}, d)
	if err != nil {
		t.Fatalf("Finish: %v", err)
	}
	same(t, "the stored job", get(t, s, j.ID), done)
	if got := content(t, output(t, s, j.ID, "out")); got != "1" || done.Status != ogc.Successful || done.Revision <= j.Revision {
		t.Errorf("finished as %+v with output %q", done, got)
	}
	same(t, "deliveries", deliveries(t, s, j.ID), []job.Delivery{d})
	same(t, "pending", pending(t, s, "", 10, 10), []job.Delivery{d})
}

func outboxConflict(t *testing.T, s StoreWithOutbox) {
	j := create(t, s, NewJob("p"))
	update(t, s, as(j, ogc.Running), nil)
	_, err := s.Finish(within(t), as(j, ogc.Failed), nil, delivery(j, job.OnFailed, "a.example", dueAt))
	fails(t, "Finish of an old revision", err, job.ErrConflict)
	none(t, "pending", pending(t, s, "", 10, 10))
	none(t, "deliveries", deliveries(t, s, j.ID))
	unknown := NewJob("p")
	_, err = s.Finish(within(t), unknown, nil, delivery(unknown, job.OnFailed, "a.example", dueAt))
	fails(t, "Finish of an unknown job", err, job.ErrNoSuchJob)
}

func outboxRecord(t *testing.T, s StoreWithOutbox) {
	j, d := finished(t, s, "a.example", dueAt)
	progress := delivery(j, job.InProgress, "b.example", time.Time{})
	progress.State = job.Delivered
	record(t, s, progress)
	d.State, d.Due, d.Tries, d.Last, d.HTTPStatus, d.Fault = job.GaveUp, time.Time{}, 5, dueAt, 500, "it answered 500"
	record(t, s, d)
	none(t, "pending", pending(t, s, "", 10, 10))
	same(t, "deliveries", deliveries(t, s, j.ID), []job.Delivery{d, progress})
}

func outboxDue(t *testing.T, s StoreWithOutbox) {
	_, first := finished(t, s, "a.example", dueAt)
	_, second := finished(t, s, "a.example", dueAt.Add(1))
	same(t, "pending", pending(t, s, "", 10, 10), []job.Delivery{first, second})
	first.Due, first.Tries = dueAt.Add(time.Hour), 1
	record(t, s, first)
	same(t, "pending after a try", pending(t, s, "", 10, 10), []job.Delivery{second, first})
	same(t, "the one due first", pending(t, s, "", 10, 1), []job.Delivery{second})
}

func outboxHosts(t *testing.T, s StoreWithOutbox) {
	want := map[string][]job.Delivery{}
	hosts := []string{"a-b.example", "a.example", "a.example:8080", "b.example", "ba.example"}
	for n, host := range []int{3, 0, 4, 2, 1, 0, 3, 2, 1, 4, 0} {
		_, d := finished(t, s, hosts[host], dueAt.Add(time.Duration(n)))
		want[hosts[host]] = append(want[hosts[host]], d)
	}
	var seen []string
	for after := ""; ; {
		page := pending(t, s, after, 2, 2)
		if len(page) == 0 {
			break
		}
		found := map[string][]job.Delivery{}
		for _, d := range page {
			if after = d.Host(); found[after] == nil {
				seen = append(seen, after)
			}
			found[after] = append(found[after], d)
		}
		if len(found) > 2 {
			t.Errorf("a page of %d hosts", len(found))
		}
		for host, got := range found {
			same(t, "those of "+host, got, want[host][:2])
		}
	}
	same(t, "hosts", seen, slices.Sorted(slices.Values(hosts)))
	same(t, "hosts after one that has none", pending(t, s, "b", 1, 1), want["b.example"][:1])
}

func outboxRevision(t *testing.T, s StoreWithOutbox) {
	j, d := finished(t, s, "a.example", dueAt)
	d.State = job.Delivered
	record(t, s, d)
	same(t, "the job", get(t, s, j.ID), j)
	if err := s.Delete(within(t), j.ID, j.Revision); err != nil {
		t.Errorf("Delete at the revision of before: %v", err)
	}
}

func outboxDelete(t *testing.T, s StoreWithOutbox) {
	j, d := finished(t, s, "a.example", dueAt)
	progress := d
	progress.Event, progress.State = job.InProgress, job.Delivered
	record(t, s, progress)
	_, other := finished(t, s, "a.example", dueAt)
	if err := s.Delete(within(t), j.ID, j.Revision); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	none(t, "deliveries", deliveries(t, s, j.ID))
	same(t, "pending", pending(t, s, "", 10, 10), []job.Delivery{other})
	fails(t, "Record for a removed job", s.Record(within(t), d), job.ErrNoSuchJob)
	same(t, "pending after that", pending(t, s, "", 10, 10), []job.Delivery{other})
}

func outboxUnknown(t *testing.T, s StoreWithOutbox) {
	j := NewJob("p")
	none(t, "deliveries", deliveries(t, s, j.ID))
	none(t, "deliveries of no id", deliveries(t, s, "x"))
	fails(t, "Record", s.Record(within(t), delivery(j, job.OnFailed, "a.example", dueAt)), job.ErrNoSuchJob)
	none(t, "pending", pending(t, s, "", 10, 10))
}

func outboxContext(t *testing.T, s StoreWithOutbox) {
	j, d := finished(t, s, "a.example", dueAt)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Pending(ctx, "", 1, 1)
	fails(t, "Pending", err, context.Canceled)
	_, err = s.Deliveries(ctx, j.ID)
	fails(t, "Deliveries", err, context.Canceled)
	fails(t, "Record", s.Record(ctx, d), context.Canceled)
	_, err = s.Finish(ctx, j, nil, d)
	fails(t, "Finish", err, context.Canceled)
}

func outboxConcurrent(t *testing.T, s StoreWithOutbox) {
	const clients, each = 8, 25
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for n := range each {
				_, d := finished(t, s, fmt.Sprintf("h%d.example", c), dueAt)
				if n%2 == 0 {
					d.State = job.Delivered
					record(t, s, d)
				}
			}
		})
	}
	wg.Wait()
	if all := pending(t, s, "", clients+1, each); len(all) != clients*(each/2) {
		t.Errorf("%d deliveries are pending, want %d", len(all), clients*(each/2))
	}
}
