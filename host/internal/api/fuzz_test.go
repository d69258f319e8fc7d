package api

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// wantAnswer checks that a reply is a success or a problem of the caller.
func wantAnswer(t *testing.T, w *httptest.ResponseRecorder, of string) (ok bool) {
	t.Helper()
	if w.Code < 300 {
		return true
	}
	var e ogc.Exception
	if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || w.Code >= 500 || w.Code != e.Status || e.Type == "" {
		t.Fatalf("%q gives %d %s", of, w.Code, w.Body)
	}
	return false
}

func FuzzExecuteDecoder(f *testing.F) {
	for _, s := range []string{
		`{}`, `[]`, `null`, `{"inputs":{"name":"a"},"outputs":{"echo":{"transmissionMode":"value"}},"response":"raw"}`,
		`{"inputs":[],"outputs":{"echo":{"format":{"mediaType":1}}},"response":{},"subscriber":{"successUri":"\ud800"}}`,
		`{"inputs":{"name":1,"name":2},"mode":"async","outputs":{"none":null}}`, `{"inputs":{"\u006eame":"a"}} x`, "\ufeff{}",
	} {
		f.Add(s)
	}
	service := hello(f)
	submit := service.submit
	var given job.Request
	service.submit = func(ctx context.Context, r job.Request) (*job.Execution, error) {
		given = r
		return submit(ctx, r)
	}
	a := newAPI(f, service)
	f.Fuzz(func(t *testing.T, body string) {
		given = job.Request{}
		if !wantAnswer(t, do(t, a, "POST", "/processes/hello-world/execution", body, "Content-Type: application/json"), body) {
			return
		}
		var members map[string]json.RawMessage // a struct would take "iNputs" for inputs
		if err := json.Unmarshal([]byte(body), &members); err != nil {
			t.Fatalf("%q is accepted: %v", body, err)
		}
		var want map[string]json.RawMessage
		if json.Unmarshal(members["inputs"], &want) == nil && len(given.Inputs) < len(want) {
			t.Fatalf("%q: inputs %v", body, given.Inputs)
		}
	})
}

func FuzzDatetime(f *testing.F) {
	for _, s := range []string{"", "..", "/", "../..", "2025-06-01T00:00:00Z", "2025-06-01T00:00:00.5+01:00/..", "2025-06-01/2025-06-02", "0000-01-01T00:00:00Z/9999-12-31T23:59:60Z"} {
		f.Add(s)
	}
	service := hello(f)
	var given job.Filter
	service.list = func(filter job.Filter, _ job.Cursor, _ int) (job.Page, error) {
		given = filter
		return job.Page{}, nil
	}
	a := newAPI(f, service)
	f.Fuzz(func(t *testing.T, datetime string) {
		given = job.Filter{}
		if !wantAnswer(t, do(t, a, "GET", "/jobs?datetime="+url.QueryEscape(datetime), ""), datetime) {
			return
		}
		start, end, isInterval := strings.Cut(datetime, "/")
		if !isInterval {
			end = start
		}
		for _, bound := range []struct {
			text string
			at   time.Time
		}{{start, given.CreatedFrom}, {end, given.CreatedTo}} {
			want, err := time.Parse(time.RFC3339, bound.text)
			if bound.text == "" || bound.text == ".." {
				want, err = time.Time{}, nil
			}
			if err == nil && !bound.at.Equal(want) {
				t.Fatalf("%q is %v to %v", datetime, given.CreatedFrom, given.CreatedTo)
			}
		}
	})
}

func FuzzCursor(f *testing.F) {
	service := hello(f)
	service.list = func(job.Filter, job.Cursor, int) (job.Page, error) { return job.Page{}, nil }
	a := newAPI(f, service)
	for _, s := range []string{"", "b2E", a.formatCursor("/jobs", job.Cursor{After: "a"}), a.formatCursor("/processes", job.Cursor{After: "a", Newer: true}), "====", "/../"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, cursor string) {
		for _, path := range []string{"/jobs", "/processes"} {
			wantAnswer(t, do(t, a, "GET", path+"?cursor="+url.QueryEscape(cursor), ""), cursor)
		}
	})
}
