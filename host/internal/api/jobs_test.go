package api

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// asyncSubmit answers every request with a job that goes on.
func asyncSubmit(j job.Job) func(context.Context, job.Request) (*job.Execution, error) {
	return func(context.Context, job.Request) (*job.Execution, error) {
		return &job.Execution{Job: j, Recorded: true}, nil
	}
}

func TestStatusDocumentsHaveTheMembersOfBothVersions(t *testing.T) {
	t.Parallel()
	a := newAPI(t, oneJob(t, ogc.Successful), func(c *Config) { c.BaseURL = "https://example.org/ogc/" })
	link := func(path, rel, title string) string {
		return `{"href":"https://example.org/ogc` + path + `","rel":"` + rel + `","type":"application/json","title":"` + title + `"}`
	}
	same(t, do(t, a, "GET", "/jobs/j1", "").Body.Bytes(), `{
		"jobID":"j1","id":"j1","type":"process","processingEntityType":"ogc-api-processes","processID":"hello-world",
		"status":"successful","created":"2026-01-02T03:04:05Z","started":"2026-01-02T03:04:05Z",
		"finished":"2026-01-02T03:04:06Z","updated":"2026-01-02T03:04:05Z","progress":100,
		"links":[`+strings.Join([]string{
		link("/jobs/j1", "self", "This document"),
		link("/jobs/j1", "monitor", "The status of the job"),
		link("/jobs/j1", "status", "The status of the job"),
		link("/jobs", "up", "The jobs"),
		link("/processes/hello-world", "describedby", "The description of the process"),
		link("/jobs/j1/results", ogc.RelResults, "The results"),
		`{"href":"https://example.org/ogc/jobs/j1/logs","rel":"` + ogc.RelLog + `","type":"text/plain","title":"The log of the job"}`,
		link("/jobs/j1/logs?f=json", ogc.RelLog, "The log of the job"),
	}, ",")+`]}`)
}

func TestStatusLinksFollowTheStatus(t *testing.T) {
	t.Parallel()
	for status, rel := range map[ogc.Status]string{ogc.Accepted: "", ogc.Running: "", ogc.Successful: ogc.RelResults, ogc.Failed: ogc.RelExceptions, ogc.Dismissed: ""} {
		s := decode[ogc.StatusInfo](t, do(t, newAPI(t, oneJob(t, status)), "GET", "/jobs/j1", ""))
		for _, r := range []string{ogc.RelResults, ogc.RelExceptions} {
			if got := href(s.Links, r) != ""; got != (r == rel) {
				t.Errorf("%s: link %s is there: %t", status, r, got)
			}
		}
		if (s.Exception != nil) != (status == ogc.Failed) {
			t.Errorf("%s: exception %+v", status, s.Exception)
		}
	}
}

func TestRemovedJobsAreGone(t *testing.T) {
	t.Parallel()
	wantProblem(t, do(t, newAPI(t, hello(t)), "GET", "/jobs/removed", ""), 410, ogc.NoSuchJob)
	forgetful := newAPI(t, hello(t), func(c *Config) { c.ForgetRemoved = true })
	wantProblem(t, do(t, forgetful, "GET", "/jobs/removed", ""), 404, ogc.NoSuchJob)
}

// manyJobs lists jobs 30 (newest) to 1 as a store would.
func manyJobs(t testing.TB) *fakeService {
	s := hello(t)
	all := make([]job.Job, 30)
	for i := range all {
		all[i] = job.Job{ID: fmt.Sprintf("j%02d", 30-i), ProcessID: "hello-world", Status: ogc.Running, Created: now}
	}
	s.list = func(_ job.Filter, c job.Cursor, limit int) (job.Page, error) {
		from := 0
		if c.After != "" {
			at := slices.IndexFunc(all, func(j job.Job) bool { return j.ID == c.After })
			from = at + 1
			if c.Newer {
				from = max(0, at-limit)
				limit = at - from
			}
		}
		to := min(len(all), from+limit)
		return job.Page{Jobs: all[from:to], Older: to < len(all), Newer: from > 0}, nil
	}
	return s
}

func TestJobListIsPagedBothWays(t *testing.T) {
	t.Parallel()
	a := newAPI(t, manyJobs(t))
	var forward, backward []string
	var list ogc.JobList
	for at := "/jobs?limit=7&status=running"; at != ""; at = href(list.Links, "next") {
		list = decode[ogc.JobList](t, do(t, a, "GET", at, ""))
		for _, j := range list.Jobs {
			forward = append(forward, j.JobID)
		}
		if u, _ := url.Parse(at); u.Query().Get("status") != "running" {
			t.Fatalf("the filter is lost in %s", at)
		}
	}
	for at := href(list.Links, "prev"); at != ""; at = href(list.Links, "prev") {
		list = decode[ogc.JobList](t, do(t, a, "GET", at, ""))
		for _, j := range slices.Backward(list.Jobs) {
			backward = append(backward, j.JobID)
		}
	}
	if len(forward) != 30 || !slices.IsSortedFunc(forward, func(a, b string) int { return strings.Compare(b, a) }) {
		t.Errorf("forward %v", forward)
	}
	slices.Reverse(backward)
	if !slices.Equal(backward, forward[:28]) {
		t.Errorf("backward %v", backward)
	}
}

func TestJobListTakesTheFilter(t *testing.T) {
	t.Parallel()
	s := manyJobs(t)
	var got job.Filter
	var limits []int
	inner := s.list
	s.list = func(f job.Filter, c job.Cursor, limit int) (job.Page, error) {
		got, limits = f, append(limits, limit)
		return inner(f, c, limit)
	}
	a := newAPI(t, s)
	do(t, a, "GET", "/jobs?status=failed&minDuration=5", "")
	if !got.Now.Equal(now) || *got.MinDuration != 5*time.Second || !slices.Equal(got.Statuses, []ogc.Status{ogc.Failed}) {
		t.Errorf("filter %+v", got)
	}
	do(t, a, "GET", "/jobs?limit=99999999999999999999", "")
	if !slices.Equal(limits, []int{DefaultPageLimit, DefaultMaxPageLimit}) {
		t.Errorf("limits %v", limits)
	}
	list := decode[ogc.JobList](t, do(t, a, "GET", "/jobs?type=other", ""))
	if len(list.Jobs) != 0 || list.Jobs == nil || len(limits) != 2 {
		t.Errorf("other kinds: %+v after %d calls", list, len(limits))
	}
}

func TestWrongListParametersAreRefusedByName(t *testing.T) {
	t.Parallel()
	a := newAPI(t, manyJobs(t))
	for _, query := range []string{
		"limit=0", "limit=-3", "limit=ten", "limit=", "limit=1.5", "limit=-99999999999999999999",
		"cursor=", "cursor=%20", "cursor=eHh4", "cursor=b3", "cursor=" + strings.Repeat("b", 2000),
		"status=completed", "datetime=tomorrow", "minDuration=x", "maxDuration=-1", "processID=,",
	} {
		p := wantProblem(t, do(t, a, "GET", "/jobs?"+query, ""), 400, ogc.InvalidQueryParameterValue)
		name, _, _ := strings.Cut(query, "=")
		if !strings.Contains(p.Detail, name) {
			t.Errorf("%s: %s", query, p.Detail)
		}
	}
	for _, query := range []string{"limit=0", "cursor=x"} {
		wantProblem(t, do(t, a, "GET", "/processes?"+query, ""), 400, ogc.InvalidQueryParameterValue)
	}
}

func TestProcessListIsPagedBothWays(t *testing.T) {
	t.Parallel()
	s := &fakeService{}
	for i := range 12 {
		s.processes = append(s.processes, testProcess(t, fmt.Sprintf("p%02d", i), objectOutput))
	}
	a := newAPI(t, s)
	var forward []string
	var list ogc.ProcessList
	for at := "/processes?limit=5"; at != ""; at = href(list.Links, "next") {
		list = decode[ogc.ProcessList](t, do(t, a, "GET", at, ""))
		for _, p := range list.Processes {
			forward = append(forward, p.ID)
		}
	}
	if len(forward) != 12 || !slices.IsSorted(forward) {
		t.Errorf("forward %v", forward)
	}
	list = decode[ogc.ProcessList](t, do(t, a, "GET", href(list.Links, "prev"), ""))
	if len(list.Processes) != 5 || list.Processes[0].ID != "p05" {
		t.Errorf("previous page %+v", list.Processes)
	}
	if got := decode[ogc.ProcessList](t, do(t, a, "GET", "/processes", "")); len(got.Processes) != 10 {
		t.Errorf("%d processes by default", len(got.Processes))
	}
}

func TestAllWrongParametersOfAListAreNamed(t *testing.T) {
	t.Parallel()
	w := do(t, newAPI(t, hello(t)), "GET", "/jobs?limit=0&cursor=x&status=odd&datetime=../..&minDuration=-1&maxDuration=a&type=,&processID=,", "")
	detail := wantProblem(t, w, http.StatusBadRequest, ogc.InvalidQueryParameterValue).Detail
	for _, name := range []string{"limit", "cursor", "status", "datetime", "minDuration", "maxDuration", "type", "processID"} {
		if !strings.Contains(detail, "parameter "+name+": ") {
			t.Errorf("%s is not named in %q", name, detail)
		}
	}
}
