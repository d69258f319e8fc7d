package api

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// TestFaultsOfRequests goes through the exceptions of the standard, as clients
// bring them about (1.0 /req/core/process-exception, job-exception,
// job-results-exception, /req/json/*; 2.0 likewise).
func TestFaultsOfRequests(t *testing.T) {
	t.Parallel()
	failed := func(status int, uri string) func(string) (*job.Results, error) {
		return func(string) (*job.Results, error) {
			return nil, &job.FailedError{Exception: ogc.Exception{Type: uri, Status: status, Title: "Failed"}}
		}
	}
	gives := func(err error) func(string) (*job.Results, error) {
		return func(string) (*job.Results, error) { return nil, err }
	}
	const jobs, results = "/jobs/j1", "/jobs/j1/results"
	invalid := &job.InvalidError{Faults: []ogc.Fault{{Input: "name", Pointer: "/inputs/name", Message: "is required"}}}
	for _, c := range []struct {
		name, request, body string
		header              string
		results             func(string) (*job.Results, error)
		submit              error
		status              int
		uri                 string
	}{
		{name: "unknown process", request: "GET /processes/none", status: 404, uri: ogc.NoSuchProcess},
		{name: "execution of one", request: "POST /processes/none/execution", body: "{}", status: 404, uri: ogc.NoSuchProcess},
		{name: "unknown job", request: "GET /jobs/none", status: 404, uri: ogc.NoSuchJob},
		{name: "dismissal of one", request: "DELETE /jobs/none", status: 404, uri: ogc.NoSuchJob},
		{name: "results of one", request: "GET /jobs/none/results", status: 404, uri: ogc.NoSuchJob},
		{name: "an output of one", request: "GET /jobs/none/results/echo", status: 404, uri: ogc.NoSuchJob},
		{name: "removed job", request: "GET /jobs/removed", status: 410, uri: ogc.NoSuchJob},
		{name: "results of a removed job", request: "GET " + results, results: gives(job.ErrGone), status: 410, uri: ogc.NoSuchJob},
		{name: "results before the end", request: "GET " + results, results: gives(job.ErrNotReady), status: 404, uri: ogc.ResultNotReady},
		{name: "an output before the end", request: "GET " + results + "/echo", results: gives(job.ErrNotReady), status: 404, uri: ogc.ResultNotReady},
		{name: "results of a job without outputs", request: "GET " + results, results: gives(job.ErrNotAvailable), status: 404, uri: ogc.ResultNotAvailable},
		{name: "results of a dismissed job", request: "GET " + results, results: gives(job.ErrDismissed), status: 404, uri: ogc.ResultNotAvailable},
		{name: "undefined output", request: "GET " + results + "/none", status: 400, uri: ogc.NoSuchOutput},
		{name: "undefined output in a list", request: "GET " + results + "?outputs=echo,none", status: 400, uri: ogc.NoSuchOutput},
		{name: "results of a job that failed for its inputs", request: "GET " + results, results: failed(400, ogc.InvalidParameterValue), status: 400, uri: ogc.InvalidParameterValue},
		{name: "of one whose plugin crashed", request: "GET " + results, results: failed(500, blank), status: 500, uri: blank},
		{name: "of one that took too long", request: "GET " + results + "/echo", results: failed(504, blank), status: 504, uri: blank},
		{name: "of one that could not fetch", request: "GET " + results, results: failed(502, "urn:x"), status: 502, uri: "urn:x"},
		{name: "wrong limit", request: "GET /processes?limit=0", status: 400, uri: ogc.InvalidQueryParameterValue},
		{name: "wrong status", request: "GET /jobs?status=completed", status: 400, uri: ogc.InvalidQueryParameterValue},
		{name: "reversed interval", request: "GET /jobs?datetime=2026-01-02T00:00:00Z/2026-01-01T00:00:00Z", status: 400, uri: ogc.InvalidQueryParameterValue},
		{name: "wrong format", request: "GET /conformance?f=xml", status: 400, uri: ogc.InvalidQueryParameterValue},
		{name: "malformed query", request: "GET /jobs?limit=%zz", status: 400, uri: ogc.InvalidQueryParameterValue},
		{name: "empty element", request: "GET " + results + "?outputs=", status: 400, uri: ogc.InvalidQueryParameterValue},
		{name: "body is no JSON", request: "POST " + helloExecution, body: "{", status: 400, uri: ogc.InvalidParameterValue},
		{name: "body is no object", request: "POST " + helloExecution, body: "[]", status: 400, uri: ogc.InvalidParameterValue},
		{name: "body is absent", request: "POST " + helloExecution, status: 400, uri: ogc.InvalidParameterValue},
		{name: "wrong input", request: "POST " + helloExecution, body: "{}", submit: invalid, status: 400, uri: ogc.InvalidParameterValue},
		{name: "not acceptable", request: "GET " + jobs, header: "Accept: text/html", status: 406, uri: blank},
		{name: "refused", request: "GET /", header: "Accept: */*, application/json;q=0", status: 406, uri: blank},
		{name: "execution, not acceptable", request: "POST " + helloExecution, body: "{}", header: "Accept: image/png", status: 406, uri: blank},
		{name: "body of another type", request: "POST " + helloExecution, body: "{}", header: "Content-Type: text/xml", status: 415, uri: blank},
		{name: "body of another charset", request: "POST " + helloExecution, body: "{}", header: "Content-Type: application/json; charset=latin1", status: 415, uri: blank},
		{name: "wrong method", request: "PUT /processes", status: 405, uri: blank},
		{name: "no resource", request: "GET /collections", status: 404, uri: blank},
		{name: "busy", request: "POST " + helloExecution, body: "{}", submit: job.ErrBusy, status: 503, uri: blank},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := oneJob(t, ogc.Successful)
			if c.results != nil {
				s.results = c.results
			}
			if c.submit != nil {
				s.submit = func(context.Context, job.Request) (*job.Execution, error) { return nil, c.submit }
			}
			var headers []string
			if c.header != "" {
				headers = append(headers, c.header)
			}
			method, path, _ := strings.Cut(c.request, " ")
			w := do(t, newAPI(t, s), method, path, c.body, headers...)
			e := wantProblem(t, w, c.status, c.uri)
			if at, _, _ := strings.Cut(path, "?"); e.Instance != at {
				t.Errorf("instance %s", e.Instance)
			}
			if strings.Contains(w.Header().Get("Content-Type"), "problem") {
				t.Error("a media type that the client did not name")
			}
		})
	}
}

// TestFormatsAreNegotiatedAlikeEverywhere checks the rules for every resource
// (spec 2.1).
func TestFormatsAreNegotiatedAlikeEverywhere(t *testing.T) {
	t.Parallel()
	a := newAPI(t, oneJob(t, ogc.Successful))
	for _, path := range []string{"/", "/conformance", "/processes", "/processes/hello-world", "/jobs", "/jobs/j1", "/jobs/j1/results"} {
		for _, c := range []struct {
			query, accept string
			status        int
		}{
			{"", "", 200}, {"", "*/*", 200}, {"", "application/*;q=0.1", 200}, {"", "text/html, */*;q=0.1", 200},
			{"", "application/json, application/javascript, text/javascript, text/json", 200},
			{"?f=json", "image/png", 200}, {"?f=json", "application/json;q=0", 200},
			{"", "image/png", 406}, {"", "application/json;q=0", 406}, {"?f=html", "application/json", 406}, {"?f=pdf", "", 400}, {"?f=", "", 400},
		} {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				w := do(t, a, method, path+c.query, "", "Accept: "+c.accept)
				if w.Code != c.status || w.Header().Get("Content-Type") != mediaJSON || (method == http.MethodHead) != (w.Body.Len() == 0) {
					t.Errorf("%s %s%s for %q: %d, %s", method, path, c.query, c.accept, w.Code, w.Header().Get("Content-Type"))
				}
			}
		}
	}
}
