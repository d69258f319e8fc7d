package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// geomill runs a command against a server and returns what it prints.
func geomill(t *testing.T, server *httptest.Server, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(append(args, "--server", server.URL+"/"), &o, &e)
	return code, o.String(), e.String()
}

// growingLog answers for a job whose log has a line more at each request, and
// that ends with the fifth.
func growingLog(t *testing.T) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/jobs/1/logs" || r.Header.Get("Accept") != "text/plain" || r.URL.Query().Get("level") != "warn" {
			t.Errorf("%s %s", r.URL, r.Header)
		}
		after, _ := strconv.Atoi(r.URL.Query().Get("after"))
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Add("Link", `<http://elsewhere.example/jobs/1/logs>; rel="self"`)
		if after < 4 {
			w.Header().Add("Link", fmt.Sprintf(`<http://elsewhere.example/jobs/1/logs?after=%d>; rel="next"; title="a, b"`, after+1))
		}
		fmt.Fprintf(w, "line %d\x1b[2J\u202e\n", after+1)
	}))
	t.Cleanup(s.Close)
	return s
}

func TestALogIsFollowedToItsEnd(t *testing.T) {
	code, out, errs := geomill(t, growingLog(t), "jobs", "logs", "--follow", "--level=warn", "1")
	var want strings.Builder
	for n := range 5 {
		fmt.Fprintf(&want, "line %d\\x1b[2J\\u202e\n", n+1)
	}
	if code != 0 || out != want.String() || errs != "" {
		t.Errorf("exit code %d, %q, %q", code, out, errs)
	}
}

func TestARunningJobsLogIsPrintedAsItIs(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", `</jobs/1/logs?after=1>; rel=next`)
		if r.URL.Query().Get("after") == "" {
			fmt.Fprint(w, "one line without its end")
		}
	}))
	defer s.Close()
	code, out, errs := geomill(t, s, "jobs", "logs", "1")
	if code != 0 || out != "one line without its end\n" || errs != "" {
		t.Errorf("exit code %d, %q, %q", code, out, errs)
	}
}

func TestAProblemIsOneHarmlessLine(t *testing.T) {
	for body, want := range map[string]string{
		`{"title":"Not Found","detail":"There is\nno \u001b[31mjob."}`: `geomill: Not Found: There is\nno \x1b[31mjob.` + "\n",
		`{"title":"Not Found"}`: "geomill: Not Found\n",
		`<html>`:                "geomill: the server answered 404 Not Found\n",
		`{"title":7}`:           "geomill: the server answered 404 Not Found\n",
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, body)
		}))
		code, out, errs := geomill(t, s, "jobs", "show", "1")
		s.Close()
		if code != 1 || out != "" || errs != want {
			t.Errorf("%s: exit code %d, %q, %q", body, code, out, errs)
		}
	}
}

func TestAHostileStatusIsHarmless(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		status := `{"jobID":"1\t2","status":"running\u001b","message":"a\nb","created":"2026-01-01T00:00:00Z","x\u0007":"y\u0007","expires":"2026-01-02T00:00:00Z"}`
		if r.URL.Path == "/jobs" {
			status = `{"jobs":[` + status + `]}`
		}
		fmt.Fprint(w, status)
	}))
	defer s.Close()
	for _, args := range [][]string{{"jobs", "list"}, {"jobs", "show", "1"}} {
		code, out, errs := geomill(t, s, args...)
		if code != 0 || errs != "" || strings.ContainsAny(out, "\x1b\x07\t") || !strings.Contains(out, `a\nb`) || !strings.Contains(out, "1 2") {
			t.Errorf("%v: exit code %d, %q, %q", args, code, out, errs)
		}
	}
	_, out, _ := geomill(t, s, "jobs", "show", "1")
	day := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	if !strings.Contains(out, "expires  "+local(&day)) {
		t.Errorf("a member that is not known: %q", out)
	}
}

// manyJobs is a server with jobs that finished long ago, in pages, some of which
// cannot be removed.
type manyJobs struct {
	mu       sync.Mutex
	left     map[int]bool
	stubborn map[int]int // job to status of its removal
}

func (m *manyJobs) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if r.Method == http.MethodDelete {
		n, _ := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/jobs/"))
		if code := m.stubborn[n]; code != 0 {
			w.WriteHeader(code)
			fmt.Fprintf(w, `{"title":"No","detail":"not job %d"}`, n)
			return
		}
		delete(m.left, n)
		fmt.Fprint(w, `{}`)
		return
	}
	after, _ := strconv.Atoi(r.URL.Query().Get("cursor"))
	var page struct {
		Jobs  []map[string]any `json:"jobs"`
		Links []link           `json:"links"`
	}
	for n := after + 1; n <= 100 && len(page.Jobs) < 10; n++ {
		page.Jobs = append(page.Jobs, map[string]any{"jobID": strconv.Itoa(n), "status": "failed", "finished": "2020-01-01T00:00:00Z"})
		page.Links = []link{{Rel: "next", Href: fmt.Sprintf("https://public.example/mill/jobs?cursor=%d", n)}}
	}
	if after+10 >= 100 {
		page.Links = nil
	}
	_ = json.NewEncoder(w).Encode(page)
}

func TestPruningGoesOnAfterAFailure(t *testing.T) {
	m := &manyJobs{left: map[int]bool{}, stubborn: map[int]int{7: 503, 50: 410, 93: 500}}
	for n := range 100 {
		m.left[n+1] = true
	}
	s := httptest.NewServer(m)
	defer s.Close()
	code, out, errs := geomill(t, s, "jobs", "prune", "--older-than", "2w", "--dry-run")
	if code != 0 || !strings.HasSuffix(out, "\n100 jobs would be removed\n") || len(m.left) != 100 {
		t.Errorf("dry run: exit code %d, %q, %q, %d left", code, out, errs, len(m.left))
	}
	code, out, errs = geomill(t, s, "jobs", "prune", "--older-than", "2w")
	if code != 1 || out != "removed 97 jobs\n" || len(m.left) != 3 || !strings.HasPrefix(errs, "geomill: 2 jobs could not be removed; the first: job ") {
		t.Errorf("exit code %d, %q, %q, %d left", code, out, errs, len(m.left))
	}
}

func TestHumanForms(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 9950: "10 kB", 999_499: "999 kB", 999_500: "1.0 MB", 123e9: "123 GB", 5e18: "5000000 TB"} {
		if got := humanSize(n); got != want {
			t.Errorf("humanSize(%d) is %q, want %q", n, got, want)
		}
	}
	for s, want := range map[string]time.Duration{"30d": 720 * time.Hour, "2w": 336 * time.Hour, "1.5d": 36 * time.Hour, "90m": 90 * time.Minute, "0s": 0} {
		if got, err := age(s); err != nil || got != want {
			t.Errorf("age(%q) is %v, %v, want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "d", "-1d", "-5m", "30", "NaNd", "1e9w", "Infd"} {
		if got, err := age(s); err == nil {
			t.Errorf("age(%q) is %v", s, got)
		}
	}
	for s, want := range map[string]string{"plain é 漢 \t": "plain é 漢 \t", "a\x1b[0m\x00\x7f\u009b": `a\x1b[0m\x00\x7f\u009b`, "\u202ex\u2028\ufeff": `\u202ex\u2028\ufeff`, "\xff": "\ufffd"} {
		if got := plain(s); got != want {
			t.Errorf("plain(%q) is %q, want %q", s, got, want)
		}
	}
}
