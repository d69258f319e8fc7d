package host_test

import (
	"fmt"
	"strings"
	"testing"
)

// citeResults are the tests of jobs and their results.
func citeResults() []citeCheck {
	const group = "Jobs"
	async := func(name string) citeCheck {
		return citeCheck{group, name, func(t *testing.T, s *subject) { s.accepted(t, s.whole()) }}
	}
	missing := func(name, path string) citeCheck {
		return citeCheck{group, name, func(t *testing.T, s *subject) {
			r := s.must(t, 404, "GET", path, "", "Accept", "application/json")
			r.fails(t, 404, exception("no-such-job"))
		}}
	}
	return []citeCheck{
		missing("testJobExceptionNoSuchJob", "/jobs/invalid-job-77aa"),
		missing("testJobResultsNoSuchJob", "/jobs/invalid-job-77aa/results"),
		async("testJobResults"),
		{group, "testJobResultsAsyncDocument", func(t *testing.T, s *subject) {
			s.accepted(t, s.whole().with("response", "document"))
		}},
		async("testJobResultsAsyncRawMixedMulti"),
		async("testJobResultsAsyncRawRef"),
		async("testJobResultsAsyncRawValueMulti"),
		{group, "testJobResultsAsyncRawValueOne", resultByLink},
		{group, "testJobResultsExceptionResultsNotReady", notReady},
		{group, "testJobResultsFailed", func(t *testing.T, s *subject) {
			s.post(t, execution{"invalid-execute-request": "true)"}).fails(t, 400, "InvalidParameterValue")
		}},
		{group, linkCheck, func(t *testing.T, s *subject) {
			if links := s.execute(t, s.whole()).Header.Values("Link"); links != nil {
				t.Errorf("the suite misreads the links %q", links)
			}
		}},
	}
}

// resultByLink follows the links of the status until there is a result.
func resultByLink(t *testing.T, s *subject) {
	e := s.one(t)
	next := s.accepted(t, e)
	eventually(t, func() error {
		status := parsed[linked](t, s.get(t, next))
		if href := status.target(relation("results")); href != "" {
			if r := s.must(t, 200, "GET", s.path(t, href), ""); !strings.Contains(string(r.body), sentText) {
				t.Errorf("%v", r)
			}
			return nil
		}
		href := status.target("monitor")
		if href == "" {
			t.Fatalf("no link leads on: %v", status)
		}
		next = s.path(t, href)
		return fmt.Errorf("no link to the results of %s", next)
	})
}

// notReady asks for the results of a job that takes five seconds.
func notReady(t *testing.T, s *subject) {
	for _, in := range s.inputs {
		if in.id != "pause" {
			continue
		}
		e := s.one(t)
		sent := map[string]any{"pause": 5}
		if v := s.inputs[0].value(); v != nil {
			sent[s.inputs[0].id] = v
		}
		e["inputs"] = sent
		job := s.accepted(t, e)
		r := s.must(t, 404, "GET", job+"/results", "", "Accept", "application/json")
		r.fails(t, 404, exception("result-not-ready"))
		s.must(t, 200, "DELETE", job, "")
		return
	}
	t.Skip("no input is called pause")
}
