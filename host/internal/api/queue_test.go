package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

func TestCallersAreToldApartByWhatCanBeBelieved(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", longestCaller+1)
	for _, c := range []struct {
		name, peer string
		headers    []string
		want       string
	}{
		{"a client", "192.0.2.1:9", nil, "192.0.2.1"},
		{"a client with IPv6", "[2001:db8::1:2]:9", nil, "2001:db8::/64"},
		{"IPv4 in IPv6", "[::ffff:192.0.2.1]:9", nil, "192.0.2.1"},
		{"a client that pretends", "192.0.2.1:9", []string{"X-Forwarded-For: 1.2.3.4", "Forwarded: for=1.2.3.4", "X-Caller: anna"}, "192.0.2.1"},
		{"no address", "@", nil, ""},
		{"a proxy that tells nothing", "10.0.0.1:9", nil, "10.0.0.1"},
		{"the client of a proxy", "10.0.0.1:9", []string{"X-Forwarded-For: 1.2.3.4, 192.0.2.7"}, "192.0.2.7"},
		{"the client of two proxies", "10.0.0.1:9", []string{"X-Forwarded-For: 1.2.3.4, 192.0.2.7, 10.0.0.2"}, "192.0.2.7"},
		{"IPv6 behind a proxy", "10.0.0.1:9", []string{"X-Forwarded-For: 2001:db8:0:1::7"}, "2001:db8:0:1::/64"},
		{"only proxies", "10.0.0.1:9", []string{"X-Forwarded-For: 10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"unknown to the proxy", "10.0.0.1:9", []string{"X-Forwarded-For: unknown"}, "10.0.0.1"},
		{"unknown to the outer proxy", "10.0.0.1:9", []string{"X-Forwarded-For: x, 10.0.0.2"}, "10.0.0.2"},
		{"standard header", "10.0.0.1:9", []string{`Forwarded: for=1.2.3.4, for="[2001:db8::5]:77";proto=https`}, "2001:db8::/64"},
		{"both agree", "10.0.0.1:9", []string{"Forwarded: for=192.0.2.7", "X-Forwarded-For: 192.0.2.7"}, "192.0.2.7"},
		{"both contradict", "10.0.0.1:9", []string{"Forwarded: for=192.0.2.7", "X-Forwarded-For: 192.0.2.8"}, "10.0.0.1"},
		{"standard header not well formed", "10.0.0.1:9", []string{`Forwarded: for="192.0.2.7`, "X-Forwarded-For: 192.0.2.8"}, "192.0.2.8"},
		{"by header", "10.0.0.1:9", []string{"X-Forwarded-For: 192.0.2.7", "X-Caller: anna "}, "=anna"},
		{"a header like an address", "10.0.0.1:9", []string{"X-Caller: 192.0.2.7"}, "=192.0.2.7"},
		{"an empty header", "10.0.0.1:9", []string{"X-Forwarded-For: 192.0.2.7", "X-Caller: "}, "192.0.2.7"},
	} {
		a := newAPI(t, hello(t), inside, func(c *Config) { c.CallerHeader = "X-Caller" })
		if got := a.caller(from(c.peer, c.headers...)); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	a := newAPI(t, hello(t), inside, func(c *Config) { c.CallerHeader = "X-Caller" })
	one, other := a.caller(from("10.0.0.1:9", "X-Caller: "+long)), a.caller(from("10.0.0.1:9", "X-Caller: "+long+"y"))
	if one == other || len(one) > longestCaller {
		t.Errorf("long names: %q and %q", one, other)
	}
}

// from is a request of a peer with headers.
func from(peer string, headers ...string) *http.Request {
	r := httptest.NewRequest("POST", "/", nil)
	r.RemoteAddr = peer
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	return r
}

func TestPreferencesOfTheQueueAreReadAndEchoed(t *testing.T) {
	t.Parallel()
	due := time.Date(2026, 11, 23, 18, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		prefer   string
		priority job.Priority
		due      time.Time
		echo     string
	}{
		{"", "", time.Time{}, ""},
		{"respond-async", "", time.Time{}, "respond-async"},
		{"respond-async, priority=Low", job.Low, time.Time{}, "respond-async, priority=low"},
		{`respond-async, priority="high"; x=y, priority=low`, job.High, time.Time{}, "respond-async, priority=high"},
		{`respond-async, not-before="2026-11-23T19:00:00+01:00"`, "", due, `respond-async, not-before="2026-11-23T19:00:00+01:00"`},
		{"respond-async, not-before=2026-11-23T18:00:00Z, priority=normal", job.Normal, due, `respond-async, priority=normal, not-before="2026-11-23T18:00:00Z"`},
		{`respond-async, priority=urgent, not-before="tomorrow", priority`, "", time.Time{}, "respond-async"},
	} {
		var got job.Request
		s := hello(t)
		s.submit = func(_ context.Context, r job.Request) (*job.Execution, error) {
			got = r
			return &job.Execution{Job: job.Job{ID: "j1", Status: ogc.Accepted, Priority: r.Prefer.Priority, NotBefore: r.Prefer.NotBefore}}, nil
		}
		w := do(t, newAPI(t, s), "POST", helloExecution, "{}", "Prefer: "+c.prefer)
		if got.Prefer.Priority != c.priority || !got.Prefer.NotBefore.Equal(c.due) {
			t.Errorf("%s: %+v", c.prefer, got.Prefer)
		}
		if queued := c.prefer != ""; queued != (got.Caller == "192.0.2.1") {
			t.Errorf("%s: caller %q", c.prefer, got.Caller)
		}
		if echo := strings.Join(w.Header()["Preference-Applied"], ", "); echo != c.echo {
			t.Errorf("%s: applied %q, want %q", c.prefer, echo, c.echo)
		}
	}
}

func TestPreferencesThatAJobDoesNotHaveAreNotEchoed(t *testing.T) {
	t.Parallel()
	s := hello(t)
	s.submit = func(context.Context, job.Request) (*job.Execution, error) {
		return &job.Execution{Job: job.Job{ID: "j1", Status: ogc.Accepted}}, nil
	}
	w := do(t, newAPI(t, s), "POST", helloExecution, "{}", `Prefer: respond-async, priority=high, not-before="2126-11-23T18:00:00Z"`)
	if echo := w.Header()["Preference-Applied"]; len(echo) != 1 || echo[0] != "respond-async" {
		t.Errorf("applied %q", echo)
	}
}

func TestAFullQueueTellsWhoseFaultItIs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err    job.BusyError
		status int
		after  string
	}{
		{job.BusyError{RetryAfter: time.Second}, 503, "1"},
		{job.BusyError{Caller: true, RetryAfter: 2500 * time.Millisecond}, 429, "3"},
	} {
		s := hello(t)
		s.submit = func(context.Context, job.Request) (*job.Execution, error) { return nil, &c.err }
		w := do(t, newAPI(t, s), "POST", helloExecution, "{}", "Prefer: respond-async")
		wantProblem(t, w, c.status, blank)
		if got := w.Header().Get("Retry-After"); got != c.after {
			t.Errorf("%d: Retry-After %q, want %s", c.status, got, c.after)
		}
	}
}

func TestTheCallerOfAJobIsShownToNobody(t *testing.T) {
	t.Parallel()
	s := hello(t)
	j := job.Job{ID: "j1", ProcessID: "hello-world", Status: ogc.Accepted, Caller: "192.0.2.99"}
	s.jobs = map[string]job.Job{"j1": j}
	s.list = func(job.Filter, job.Cursor, int) (job.Page, error) { return job.Page{Jobs: []job.Job{j}}, nil }
	for _, w := range []*httptest.ResponseRecorder{do(t, newAPI(t, s), "GET", "/jobs/j1", ""), do(t, newAPI(t, s), "GET", "/jobs", "")} {
		if w.Code != 200 || strings.Contains(w.Body.String(), j.Caller) {
			t.Errorf("%d: %s", w.Code, w.Body)
		}
	}
}
