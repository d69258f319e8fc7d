package api

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestFiltersOfTheJobList(t *testing.T) {
	t.Parallel()
	day := time.Date(2025, 6, 1, 0, 0, 0, 0, time.UTC)
	seconds := func(n int) *time.Duration { d := time.Duration(n) * time.Second; return &d }
	for _, c := range []struct {
		query string
		want  job.Filter
		none  bool
	}{
		{"", job.Filter{}, false},
		{"type=process", job.Filter{}, false},
		{"type=process,other", job.Filter{}, false},
		{"type=other", job.Filter{}, true},
		{"processID=a,b&processID=c", job.Filter{ProcessIDs: []string{"a", "b", "c"}}, false},
		{"status=running,failed", job.Filter{Statuses: []ogc.Status{ogc.Running, ogc.Failed}}, false},
		{"datetime=2025-06-01T00:00:00Z", job.Filter{CreatedFrom: day, CreatedTo: day}, false},
		{"datetime=2025-06-01T00:00:00Z/..", job.Filter{CreatedFrom: day}, false},
		{"datetime=2025-06-01T00:00:00Z/", job.Filter{CreatedFrom: day}, false},
		{"datetime=../2025-06-01T00:00:00Z", job.Filter{CreatedTo: day}, false},
		{"datetime=/2025-06-01t02:00:00%2b02:00", job.Filter{CreatedTo: day}, false},
		{"datetime=/2025-06-01T02:00:00+02:00", job.Filter{CreatedTo: day}, false},
		{"minDuration=0&maxDuration=60&maxDuration=9", job.Filter{
			MinDuration: seconds(0), MaxDuration: seconds(60), Statuses: []ogc.Status{ogc.Running, ogc.Successful, ogc.Failed, ogc.Dismissed},
		}, false},
		{"maxDuration=1&status=accepted", job.Filter{MaxDuration: seconds(1), Statuses: []ogc.Status{ogc.Accepted}}, false},
		{"status=running&status=failed,dismissed", job.Filter{Statuses: []ogc.Status{ogc.Running, ogc.Failed, ogc.Dismissed}}, false},
		{"type=other&type=process", job.Filter{}, false},
	} {
		t.Run(c.query, func(t *testing.T) {
			t.Parallel()
			q, err := url.ParseQuery(c.query)
			if err != nil {
				t.Fatal(err)
			}
			c.want.Now = now
			got, some, err := parseFilter(q, now)
			if err != nil || some == c.none {
				t.Fatalf("some %t, error %v", some, err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestWrongFiltersNameTheParameter(t *testing.T) {
	t.Parallel()
	for _, query := range []string{
		"status=completed", "status=", "status=running,", "processID=", "type=",
		"datetime=", "datetime=yesterday", "datetime=../..", "datetime=/", "datetime=2025-06-01",
		"datetime=2025-06-02T00:00:00Z/2025-06-01T00:00:00Z", "datetime=2025-06-01T00:00:00Z/x", "datetime=x/2025-06-01T00:00:00Z",
		"datetime=2025-06-01T00:00:00Z/2025-06-02T00:00:00Z/2025-06-03T00:00:00Z",
		"minDuration=-1", "minDuration=1.5", "maxDuration=", "maxDuration=1s",
	} {
		q, _ := url.ParseQuery(query)
		_, _, err := parseFilter(q, now)
		name, _, _ := strings.Cut(query, "=")
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", query, err)
		}
	}
}

func FuzzQuery(f *testing.F) {
	for _, s := range []string{"limit=3&cursor=b2E", "status=running&datetime=../2025-06-01T00:00:00Z", "%zz", "a;b"} {
		f.Add(s)
	}
	a := newAPI(f, hello(f))
	f.Fuzz(func(t *testing.T, raw string) {
		q, err := url.ParseQuery(raw)
		if err != nil {
			return
		}
		if n, err := a.pageLimit(q); err == nil && (n < 1 || n > DefaultMaxPageLimit) {
			t.Fatalf("limit %d", n)
		}
		if c, err := a.parseCursor("/jobs", q); err == nil && c != (job.Cursor{}) {
			t.Fatalf("cursor %+v was not given out", c)
		}
		if c := (job.Cursor{After: "j" + raw, Newer: len(raw)%2 == 0}); len(raw) < 200 {
			if again, err := a.parseCursor("/jobs", url.Values{"cursor": {a.formatCursor("/jobs", c)}}); err != nil || again != c {
				t.Fatalf("cursor %+v comes back as %+v, %v", c, again, err)
			}
		}
		filter, _, err := parseFilter(q, now)
		if err == nil && !filter.CreatedTo.IsZero() && filter.CreatedTo.Before(filter.CreatedFrom) {
			t.Fatalf("reversed interval %+v", filter)
		}
	})
}
