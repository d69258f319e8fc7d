package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

func TestNewChecksItsConfiguration(t *testing.T) {
	t.Parallel()
	_, err := New(Config{BaseURL: "ftp://x", MaxBody: -1, PageLimit: 5, MaxPageLimit: 4})
	for _, want := range []string{"service", "spool directory", "base URL", "largest body", "page limit 5"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
}

func TestRequestsOutsideTheRoutes(t *testing.T) {
	t.Parallel()
	s := hello(t)
	s.list = func(job.Filter, job.Cursor, int) (job.Page, error) { return job.Page{}, nil }
	a := newAPI(t, s)
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/nothing", 404, ""},
		{"GET", "/processes/a%2Fb", 404, ""},
		{"GET", "/processes/hello-world/other", 404, ""},
		{"GET", "//", 200, ""},
		{"GET", "/jobs//results", 404, ""},
		{"POST", "/", 405, "GET, HEAD, OPTIONS"},
		{"PUT", "/jobs", 405, "GET, HEAD, OPTIONS"},
		{"PATCH", "/jobs/j1", 405, "DELETE, GET, HEAD, OPTIONS"},
		{"GET", "/processes/hello-world/execution", 405, "OPTIONS, POST"},
		{"HEAD", "/processes/hello-world/execution", 405, "OPTIONS, POST"},
		{"DELETE", "/jobs/j1/results/echo", 405, "GET, HEAD, OPTIONS"},
		{"OPTIONS", "/jobs/j1", 204, "DELETE, GET, HEAD, OPTIONS"},
		{"OPTIONS", "/nothing", 404, ""},
		{"GET", "/processes/", 200, ""},
		{"GET", "/jobs/", 200, ""},
		{"GET", "/conformance/", 200, ""},
	} {
		t.Run(c.method+" "+c.path, func(t *testing.T) {
			t.Parallel()
			w := do(t, a, c.method, c.path, "")
			if got := w.Header().Get("Allow"); got != c.allow {
				t.Errorf("Allow %q, want %q", got, c.allow)
			}
			if c.status >= 400 && c.method != "HEAD" {
				wantProblem(t, w, c.status, blank)
			} else if w.Code != c.status {
				t.Errorf("status %d, want %d: %s", w.Code, c.status, w.Body)
			}
		})
	}
}

func TestMetadataIsNegotiated(t *testing.T) {
	t.Parallel()
	a := newAPI(t, hello(t))
	for _, c := range []struct {
		path, accept string
		status       int
		uri          string
	}{
		{"/", "", 200, ""},
		{"/", "*/*", 200, ""},
		{"/", "application/json, text/javascript;q=0.5", 200, ""},
		{"/", "text/html", 406, blank},
		{"/?f=json", "text/html", 200, ""},
		{"/?f=html", "", 406, blank},
		{"/?f=xml", "", 400, ogc.InvalidQueryParameterValue},
		{"/?%zz", "", 400, ogc.InvalidQueryParameterValue},
		{"/conformance", "image/png", 406, blank},
		{"/processes", "image/png", 406, blank},
		{"/processes/hello-world", "image/png", 406, blank},
		{"/jobs", "image/png", 406, blank},
		{"/api", "application/vnd.oai.openapi+json;version=3.0", 200, ""},
		{"/api", "text/html", 200, ""},
		{"/api", "image/png", 406, blank},
	} {
		w := do(t, a, "GET", c.path, "", "Accept: "+c.accept)
		if c.status != 200 {
			wantProblem(t, w, c.status, c.uri)
		} else if w.Code != 200 {
			t.Errorf("%s for %q: status %d", c.path, c.accept, w.Code)
		}
	}
}

func TestHeadTellsTheLengthOfGet(t *testing.T) {
	t.Parallel()
	s := hello(t)
	s.jobs = map[string]job.Job{"j1": {ID: "j1", ProcessID: "hello-world", Status: ogc.Running}}
	s.list = func(job.Filter, job.Cursor, int) (job.Page, error) {
		return job.Page{Jobs: []job.Job{s.jobs["j1"]}}, nil
	}
	file := writeFile(t, strings.Repeat("é\n", 5000))
	s.results = func(string) (*job.Results, error) {
		return &job.Results{Job: s.jobs["j1"], Outputs: map[string]job.Value{
			"echo": {JSON: []byte(`{"a":1}`)},
			"text": {File: file, Size: 15000, MediaType: "text/plain"},
		}}, nil
	}
	a := newAPI(t, s)
	for _, path := range []string{
		"/", "/conformance", "/api", "/processes", "/processes/hello-world", "/jobs", "/jobs/j1",
		"/jobs/j1/results", "/jobs/j1/results/echo", "/jobs/j1/results/text", "/processes/none", "/jobs/none",
	} {
		get, head := do(t, a, "GET", path, ""), do(t, a, "HEAD", path, "")
		length := fmt.Sprint(get.Body.Len())
		if get.Header().Get("Content-Length") != length || head.Header().Get("Content-Length") != length {
			t.Errorf("%s: %s bytes, GET says %s, HEAD says %s", path, length, get.Header().Get("Content-Length"), head.Header().Get("Content-Length"))
		}
		if head.Body.Len() != 0 || head.Code != get.Code {
			t.Errorf("%s: HEAD answers %d with %d bytes, GET %d", path, head.Code, head.Body.Len(), get.Code)
		}
	}
}

func TestRequestIDsComeFromTheClientWhenTheyAreSane(t *testing.T) {
	t.Parallel()
	a := newAPI(t, hello(t))
	for sent, want := range map[string]string{
		"":                       "r1",
		"abc-123":                "abc-123",
		"with blank":             "r1",
		strings.Repeat("x", 129): "r1",
		"a\"b":                   "r1",
	} {
		w := do(t, a, "GET", "/", "", "X-Request-Id: "+sent)
		if got := w.Header().Get("X-Request-Id"); got != want {
			t.Errorf("sent %q, got %q", sent, got)
		}
	}
	if id := randomID(); len(id) != 16 || !saneID(id) {
		t.Errorf("random id %q", id)
	}
}

func TestErrorsBecomeProblems(t *testing.T) {
	t.Parallel()
	fault := ogc.Fault{Input: "name", Pointer: "/inputs/name", Message: "is required"}
	for _, c := range []struct {
		name   string
		err    error
		status int
		uri    string
		retry  string
	}{
		{"no such process", fmt.Errorf("look up: %w", job.ErrNoSuchProcess), 404, ogc.NoSuchProcess, ""},
		{"no such job", job.ErrNoSuchJob, 404, ogc.NoSuchJob, ""},
		{"gone", job.ErrGone, 410, ogc.NoSuchJob, ""},
		{"not ready", job.ErrNotReady, 404, ogc.ResultNotReady, ""},
		{"not available", job.ErrNotAvailable, 404, ogc.ResultNotAvailable, ""},
		{"dismissed", job.ErrDismissed, 404, ogc.ResultNotAvailable, ""},
		{"no such output", job.ErrNoSuchOutput, 400, ogc.NoSuchOutput, ""},
		{"invalid", &job.InvalidError{Faults: []ogc.Fault{fault, fault}}, 400, ogc.InvalidParameterValue, ""},
		{"busy", fmt.Errorf("queue job: %w", job.ErrBusy), 503, blank, "1"},
		{"still stopping", fmt.Errorf("dismiss: %w", job.ErrStopping), 503, blank, "5"},
		{"unavailable", &job.UnavailableError{ProcessID: "p", Reason: "crashes", RetryAfter: 1500 * time.Millisecond}, 503, job.TypeProcessUnavailable, "2"},
		{"unavailable for good", &job.UnavailableError{ProcessID: "p", Reason: "crashes"}, 503, job.TypeProcessUnavailable, ""},
		{"shutting down", job.ErrShuttingDown, 503, blank, "5"},
		{"failed", &job.FailedError{Exception: ogc.Exception{Type: "urn:x", Status: 422, Detail: "too wet"}}, 422, "urn:x", ""},
		{"failed for want of its process", &job.FailedError{Exception: ogc.Exception{Type: "urn:y", Status: 503}}, 503, "urn:y", "1"},
		{"failed, nobody knows how", &job.FailedError{Exception: ogc.Exception{Status: 200}}, 500, blank, ""},
		{"timeout", job.ErrTimeout, 504, blank, ""},
		{"deadline", context.DeadlineExceeded, 504, blank, ""},
		{"too large", &http.MaxBytesError{Limit: 7}, 413, blank, ""},
		{"unknown", errors.New("disk on fire"), 500, blank, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			s := hello(t)
			s.submit = func(context.Context, job.Request) (*job.Execution, error) { return nil, c.err }
			a := newAPI(t, s, func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
			anything := http.HandlerFunc(a.ServeHTTP) // also what no execution answers, as keepsPromise would say
			w := do(t, anything, "POST", "/processes/hello-world/execution", "{}")
			p := wantProblem(t, w, c.status, c.uri)
			if got := w.Header().Get("Retry-After"); got != c.retry {
				t.Errorf("Retry-After %q, want %q", got, c.retry)
			}
			if c.name == "invalid" && len(p.Errors) != 2 {
				t.Errorf("faults %+v", p.Errors)
			}
			if strings.Contains(w.Body.String(), "on fire") {
				t.Errorf("the client reads of the cause: %s", w.Body)
			}
			if c.name == "unknown" && (!strings.Contains(p.Detail, "r1") || !strings.Contains(log.String(), "on fire")) {
				t.Errorf("detail %q, log %q", p.Detail, log.String())
			}
			_, logged := errors.AsType[*job.FailedError](c.err) // by package job, when the job ended
			if (c.status >= 500 && !logged) != strings.Contains(log.String(), "level=ERROR") {
				t.Errorf("log %q", log.String())
			}
		})
	}
}

func TestProblemsHaveTheirOwnMediaTypeOnRequest(t *testing.T) {
	t.Parallel()
	a := newAPI(t, hello(t))
	w := do(t, a, "GET", "/jobs/none", "", "Accept: application/json, application/problem+json")
	if got := w.Header().Get("Content-Type"); got != mediaProblem {
		t.Errorf("media type %q", got)
	}
	same(t, w.Body.Bytes(), `{"type":"`+ogc.NoSuchJob+`","title":"Not Found","status":404,"detail":"There is no job of this identifier.","instance":"/jobs/none"}`)
}

func TestPanicsBecomeProblems(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := hello(t)
	s.submit = func(context.Context, job.Request) (*job.Execution, error) { panic("a bug") }
	a := newAPI(t, s, func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	wantProblem(t, do(t, a, "POST", "/processes/hello-world/execution", "{}"), 500, blank)
	if !strings.Contains(log.String(), "a bug") || !strings.Contains(log.String(), "routes_test.go") {
		t.Errorf("log %q", log.String())
	}
}

func TestRequestsAreLoggedOnlyWhenDebugging(t *testing.T) {
	t.Parallel()
	for level, want := range map[slog.Level]bool{slog.LevelDebug: true, slog.LevelInfo: false} {
		var log bytes.Buffer
		a := newAPI(t, hello(t), func(c *Config) {
			c.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: level}))
		})
		do(t, a, "GET", "/conformance", "")
		if got := strings.Contains(log.String(), "path=/conformance status=200"); got != want {
			t.Errorf("at %v: %q", level, log.String())
		}
	}
}
