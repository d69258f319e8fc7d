package api

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

func TestCacheControlOfRequests(t *testing.T) {
	t.Parallel()
	minute := time.Minute
	for _, c := range []struct {
		headers []string
		want    job.CacheControl
	}{
		{nil, job.CacheControl{}},
		{[]string{"no-cache"}, job.CacheControl{NoCache: true}},
		{[]string{"NO-STORE , no-cache"}, job.CacheControl{NoCache: true, NoStore: true}},
		{[]string{"max-age=60", "max-age=1"}, job.CacheControl{MaxAge: &minute}},
		{[]string{`max-age="60"; x, only-if-cached`}, job.CacheControl{}},
		{[]string{`max-age="60"`}, job.CacheControl{MaxAge: &minute}},
		{[]string{`max-age=-1, max-age, x="no-store, no-cache", ,`}, job.CacheControl{}},
	} {
		if diff := cmp.Diff(c.want, parseCacheControl(c.headers)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", c.headers, diff)
		}
	}
}

func TestReusedResultsAreAnnounced(t *testing.T) {
	t.Parallel()
	p := testProcess(t, "p", objectOutput)
	s := &fakeService{processes: []*job.Process{p}}
	a := newAPI(t, s)
	outputs := map[string]job.Value{"echo": {JSON: json.RawMessage(`{}`)}}
	for _, c := range []struct {
		name        string
		made        time.Time
		goesOn      bool
		code        int
		status, age string
	}{
		{"fresh", time.Time{}, false, 200, "", ""},
		{"reused", a.config.Now().Add(-90500 * time.Millisecond), false, 200, "geomill; hit", "90"},
		{"reused, of a clock that was set back", a.config.Now().Add(time.Hour), false, 200, "geomill; hit", "0"},
		{"a job of its own", a.config.Now(), true, 201, "geomill; hit", ""},
	} {
		s.submit = func(ctx context.Context, r job.Request) (*job.Execution, error) {
			x, err := answer(p, outputs, false)(ctx, r)
			if x.ResultsOf = c.made; c.goesOn {
				x.Results, x.Job.ReusedFrom = nil, "j0"
			}
			return x, err
		}
		w := do(t, a, "POST", "/processes/p/execution", `{}`)
		if h := w.Header(); w.Code != c.code || h.Get("Cache-Status") != c.status || h.Get("Age") != c.age {
			t.Errorf("%s: %d, %v", c.name, w.Code, h)
		}
		if from := decode[ogc.StatusInfo](t, w).ReusedFrom; (from == "j0") != c.goesOn {
			t.Errorf("%s: reused from %q", c.name, from)
		}
	}
}

func TestCacheControlIsForDeterministicProcesses(t *testing.T) {
	t.Parallel()
	p := testProcess(t, "p", objectOutput)
	s := &fakeService{processes: []*job.Process{p}}
	var got job.CacheControl
	s.submit = func(ctx context.Context, r job.Request) (*job.Execution, error) {
		got = r.Cache
		return answer(p, nil, false)(ctx, r)
	}
	a := newAPI(t, s)
	for _, deterministic := range []bool{false, true} {
		p.Policy.Deterministic = deterministic
		do(t, a, "POST", "/processes/p/execution", `{"outputs":{}}`, "Cache-Control: no-cache")
		if got.NoCache != deterministic {
			t.Errorf("deterministic %v: %+v", deterministic, got)
		}
	}
}
