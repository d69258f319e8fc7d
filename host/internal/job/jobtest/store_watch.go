package jobtest

import (
	"context"
	"errors"
	"sync"
	"testing"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// watched returns the first n changes above a revision.
func watched(t testing.TB, s job.Store, from uint64, n int) (changes []job.Change) {
	t.Helper()
	for c, err := range s.Watch(within(t), from) {
		if err != nil {
			t.Fatalf("Watch: %v", err)
		}
		if changes = append(changes, c); len(changes) == n {
			return changes
		}
	}
	t.Fatalf("Watch ended after %d changes, want %d", len(changes), n)
	return nil
}

func storeWatch(t *testing.T, s job.Store) {
	a := create(t, s, NewJob("p"))
	b := create(t, s, NewJob("p"))
	running := update(t, s, as(a, ogc.Running), nil)
	if err := s.Delete(within(t), b.ID, b.Revision); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	all := watched(t, s, 0, 4)
	if newest, err := s.Revision(within(t)); err != nil || newest != all[3].Revision {
		t.Errorf("the newest revision is %d, %v; want %d", newest, err, all[3].Revision)
	}
	last := all[3]
	if last.Revision <= running.Revision {
		t.Errorf("the deletion has revision %d, not above %d", last.Revision, running.Revision)
	}
	same(t, "changes", all, []job.Change{
		{Revision: a.Revision, Job: a}, {Revision: b.Revision, Job: b},
		{Revision: running.Revision, Job: running}, {Revision: last.Revision, Job: b, Deleted: true},
	})
	same(t, "changes after the second", watched(t, s, b.Revision, 2), all[2:])
}

func storeWatchWaits(t *testing.T, s job.Store) {
	first := create(t, s, NewJob("p"))
	ctx, cancel := context.WithCancel(within(t))
	const watchers = 3
	var wg sync.WaitGroup
	seen := make([][]uint64, watchers)
	for n := range watchers {
		wg.Go(func() {
			for c, err := range s.Watch(ctx, first.Revision) {
				if err != nil {
					t.Errorf("Watch: %v", err)
				}
				if seen[n] = append(seen[n], c.Revision); len(seen[n]) == 20 {
					return
				}
			}
		})
	}
	var want []uint64
	for range 20 {
		want = append(want, create(t, s, NewJob("p")).Revision)
	}
	wg.Wait()
	for _, got := range seen {
		same(t, "revisions seen", got, want)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for c, err := range s.Watch(ctx, want[19]) {
			t.Errorf("Watch yielded %v, %v after the last change", c, err)
		}
	}()
	cancel()
	<-ended
}

func storeWatchBehind(t *testing.T, s job.Store) {
	first := create(t, s, NewJob("p"))
	next := first
	// More than any store is expected to remember; concurrent, so that stores
	// which wait for a disk share the waits.
	const jobs, updates = 64, 80
	var wg sync.WaitGroup
	for range jobs {
		wg.Go(func() {
			j := create(t, s, NewJob("p"))
			for range updates {
				j = update(t, s, as(j, ogc.Running), nil)
			}
		})
	}
	wg.Wait()
	next = update(t, s, as(next, ogc.Running), nil)
	for c, err := range s.Watch(within(t), first.Revision) {
		if !errors.Is(err, job.ErrBehind) {
			t.Fatalf("Watch yielded %v, %v; want ErrBehind", c, err)
		}
	}
	last := create(t, s, NewJob("p"))
	same(t, "changes after the last update", watched(t, s, next.Revision, 1), []job.Change{{Revision: last.Revision, Job: last}})
}
