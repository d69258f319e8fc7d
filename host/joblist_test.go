package host_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"geomill/host/internal/api"
	"geomill/host/internal/job"
	"geomill/host/internal/store"
	"geomill/sdk/ogc"
)

// storedJobs lists jobs straight from a store; nothing runs them.
type storedJobs struct {
	api.Service
	store *store.Store
}

func (storedJobs) Processes() []*job.Process { return nil }

func (s storedJobs) Jobs(ctx context.Context, f job.Filter, c job.Cursor, limit int) (job.Page, error) {
	return s.store.List(ctx, f, c, limit)
}

func (s storedJobs) Job(ctx context.Context, id string) (job.Job, error) { return s.store.Get(ctx, id) }

// insert adds a job of a random process and status and returns its id.
func (s storedJobs) insert(t *testing.T) job.Job {
	id, err := uuid.NewV7()
	if err != nil {
		t.Error(err)
	}
	now := time.Now()
	j := job.Job{ID: id.String(), ProcessID: fmt.Sprintf("p%d", rand.IntN(3)), Status: ogc.Accepted, Created: now, Updated: now}
	if j, err = s.store.Create(t.Context(), j, job.Order{}); err != nil {
		t.Error(err)
	}
	if rand.IntN(2) == 0 {
		j.Status, j.Started, j.Finished = ogc.Failed, now, now
		if j, err = s.store.Update(t.Context(), j, nil); err != nil {
			t.Error(err)
		}
	}
	return j
}

// TestPagesNeitherRepeatNorSkipJobsWhileOthersAreInserted pages to the end and
// back while jobs arrive: what was there at the start is seen once each way.
func TestPagesNeitherRepeatNorSkipJobsWhileOthersAreInserted(t *testing.T) {
	t.Parallel()
	st, err := store.Open(store.Config{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	s := storedJobs{store: st}
	server, err := api.New(api.Config{Service: s, SpoolDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	var initial []job.Job
	for range 150 {
		initial = append(initial, s.insert(t))
	}
	stop := make(chan struct{})
	var writers sync.WaitGroup
	defer writers.Wait()
	defer close(stop)
	for range 2 {
		writers.Go(func() {
			for range 400 { // paging to the newest has to come to an end
				select {
				case <-stop:
					return
				default:
					s.insert(t)
				}
			}
		})
	}
	for _, query := range []string{"limit=7", "limit=10&status=failed", "limit=4&processID=p1,p2", "limit=3&processID=p0&status=accepted,failed", "limit=9&maxDuration=3600"} {
		t.Run(query, func(t *testing.T) {
			var want []string
			for _, j := range slices.Backward(initial) {
				failed := j.Status == ogc.Failed
				switch {
				case strings.Contains(query, "status=failed") && !failed,
					strings.Contains(query, "Duration") && !failed,
					strings.Contains(query, "p1,p2") && j.ProcessID == "p0",
					strings.Contains(query, "p0&") && j.ProcessID != "p0":
				default:
					want = append(want, j.ID)
				}
			}
			seen, last := follow(t, server, "/jobs?"+query, "next")
			if got := known(seen, want); !slices.Equal(got, want) || !ordered(seen) {
				t.Errorf("forward: %d jobs of %d, ordered: %t", len(got), len(want), ordered(seen))
			}
			back, _ := follow(t, server, last, "prev")
			if got := known(back, want); !slices.Equal(got, want) {
				t.Errorf("backward: %d jobs of %d", len(got), len(want))
			}
		})
	}
}

// follow reads pages from an address on. It returns the ids, newest first, and the
// address of the last page.
func follow(t *testing.T, h http.Handler, at, rel string) (ids []string, last string) {
	t.Helper()
	for pages := 0; at != ""; pages++ {
		if pages == 1000 {
			t.Fatal("the pages have no end")
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", at, nil))
		var list ogc.JobList
		if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil || w.Code != 200 {
			t.Fatalf("%s: %d, %v: %s", at, w.Code, err, w.Body)
		}
		if list.NumberReturned != len(list.Jobs) {
			t.Errorf("%s: numberReturned %d, jobs %d", at, list.NumberReturned, len(list.Jobs))
		}
		var page []string
		for _, j := range list.Jobs {
			page = append(page, j.JobID)
		}
		if rel == "prev" {
			ids = append(page, ids...)
		} else {
			ids = append(ids, page...)
		}
		last = at
		if at = ""; len(list.Jobs) > 0 {
			for _, l := range list.Links {
				if l.Rel == rel {
					at = l.Href
				}
			}
		}
	}
	return ids, last
}

// known keeps the ids that are among others, with their order and repetitions.
func known(ids, among []string) (kept []string) {
	set := map[string]bool{}
	for _, id := range among {
		set[id] = true
	}
	for _, id := range ids {
		if set[id] {
			kept = append(kept, id)
		}
	}
	return kept
}

func ordered(ids []string) bool {
	return slices.IsSortedFunc(ids, func(a, b string) int { return strings.Compare(b, a) }) && len(slices.Compact(slices.Clone(ids))) == len(ids)
}
