package api

import (
	"context"
	"testing"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// starting is a service whose only process, hello-world, is known once a request
// has waited; waits tells for which.
func starting(t *testing.T) (s *fakeService, waits chan string) {
	t.Helper()
	s, waits = hello(t), make(chan string, 10)
	s.list = func(job.Filter, job.Cursor, int) (job.Page, error) { return job.Page{}, nil }
	s.jobs = map[string]job.Job{"j1": {ID: "j1", ProcessID: "hello-world", Status: ogc.Running}}
	known := s.processes
	s.processes = nil
	s.await = func(_ context.Context, id string) error {
		waits <- id
		if id != "nobody" {
			s.processes = known
		}
		return nil
	}
	return s, waits
}

func TestWhileTheHostStartsRequestsWaitForTheProcessesThatTheyNeed(t *testing.T) {
	t.Parallel()
	const none = "(none)"
	for _, c := range []struct {
		method, path string
		status       int
		waits        string
	}{
		{"GET", "/", 200, none},
		{"GET", "/conformance", 200, none},
		{"GET", "/jobs", 200, none},
		{"GET", "/jobs/j1", 200, none},
		{"GET", "/nothing", 404, none},
		{"GET", "/api", 200, ""},
		{"GET", "/processes", 200, ""},
		{"GET", "/processes/hello-world", 200, "hello-world"},
		{"POST", "/processes/hello-world/execution", 200, "hello-world"},
		{"GET", "/processes/nobody", 404, "nobody"},
		{"POST", "/processes/nobody/execution", 404, "nobody"},
	} {
		t.Run(c.method+" "+c.path, func(t *testing.T) {
			t.Parallel()
			s, waits := starting(t)
			body := ""
			if c.method == "POST" {
				body = `{"inputs":{"name":"x"}}`
			}
			if w := do(t, newAPI(t, s), c.method, c.path, body); w.Code != c.status {
				t.Errorf("status %d, want %d: %s", w.Code, c.status, w.Body)
			}
			close(waits)
			got, waited := <-waits
			if !waited {
				got = none
			}
			if got != c.waits || len(waits) > 0 {
				t.Errorf("it waited for %q, then %d more; want %q", got, len(waits), c.waits)
			}
		})
	}
}

func TestARequestForAKnownProcessDoesNotWait(t *testing.T) {
	t.Parallel()
	s := hello(t)
	s.await = func(context.Context, string) error {
		t.Error("it waits")
		return nil
	}
	a := newAPI(t, s)
	if w := do(t, a, "POST", "/processes/hello-world/execution", `{"inputs":{"name":"x"}}`); w.Code != 200 {
		t.Errorf("status %d", w.Code)
	}
	if w := do(t, a, "GET", "/processes/hello-world", ""); w.Code != 200 {
		t.Errorf("status %d", w.Code)
	}
}

func TestARequestThatWaitsWhenTheHostStopsIsToldSo(t *testing.T) {
	t.Parallel()
	s, _ := starting(t)
	s.await = func(context.Context, string) error { return job.ErrShuttingDown }
	a := newAPI(t, s)
	for _, path := range []string{"/api", "/processes", "/processes/hello-world"} {
		w := do(t, a, "GET", path, "")
		wantProblem(t, w, 503, blank)
		if w.Header().Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", path)
		}
	}
}
