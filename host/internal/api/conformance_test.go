package api

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

func TestEveryConformanceClassHasItsTest(t *testing.T) {
	t.Parallel()
	tests := map[string]bool{}
	names, err := fs.Glob(os.DirFS("."), "*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				tests[f.Name.Name] = true
			}
		}
	}
	for _, c := range classes {
		if !tests[c.test] {
			t.Errorf("class %s%s: there is no test %q", c.part, c.name, c.test)
		}
	}
}

func TestClassesAreListedAsConfigured(t *testing.T) {
	t.Parallel()
	listed := func(change ...func(*Config)) []string {
		return decode[ogc.Conformance](t, do(t, newAPI(t, hello(t), change...), "GET", "/conformance", "")).ConformsTo
	}
	const kvp = "www.opengis.net/spec/ogcapi-processes-1/2.0/conf/kvp-execute"
	plain, all := listed(), listed(withKVP)
	for _, uri := range []string{
		"http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/core",
		"http://www.opengis.net/spec/ogcapi-processes-1/2.0/conf/core",
		"https://www.opengis.net/spec/ogcapi-processes-1/2.0/conf/core",
		"https://www.opengis.net/spec/ogcapi-processes-1/2.0/conf/query-param-profile",
	} {
		if !slices.Contains(plain, uri) {
			t.Errorf("%s is not listed: %q", uri, plain)
		}
	}
	if slices.Contains(plain, "http://"+kvp) || slices.Contains(plain, "https://"+kvp) {
		t.Error("a class is claimed that is turned off")
	}
	if !slices.Contains(all, "http://"+kvp) || !slices.Contains(all, "https://"+kvp) || len(all) != len(plain)+2 {
		t.Errorf("with the class turned on: %q", all)
	}
	if slices.Sort(all); len(slices.Compact(all)) != len(plain)+2 {
		t.Error("a class is listed twice")
	}
}

// oneJob is a service with the process hello-world and one job of it.
func oneJob(t testing.TB, status ogc.Status) *fakeService {
	s := hello(t)
	j := job.Job{ID: "j1", ProcessID: "hello-world", Status: status, Created: now, Started: now, Updated: now, Attempt: 1}
	s.results = func(id string) (*job.Results, error) {
		if id != "j1" {
			return nil, job.ErrNoSuchJob
		}
		return &job.Results{Job: j, Process: s.processes[0], Outputs: map[string]job.Value{
			"echo": {JSON: []byte(`{"id":"echo","value":"hi"}`)},
		}}, nil
	}
	switch status {
	case ogc.Successful:
		j.Finished = now.Add(time.Second)
		j.Outputs = map[string]job.OutputInfo{"echo": {MediaType: mediaJSON, Size: 26}}
	case ogc.Failed:
		j.Exception = &ogc.Exception{Type: blank, Status: 500, Title: "Plugin failed"}
		s.results = func(string) (*job.Results, error) { return nil, &job.FailedError{Exception: *j.Exception} }
	default:
		s.results = func(string) (*job.Results, error) { return nil, job.ErrNotReady }
	}
	s.jobs = map[string]job.Job{"j1": j}
	s.list = func(job.Filter, job.Cursor, int) (job.Page, error) { return job.Page{Jobs: []job.Job{j}}, nil }
	s.dismiss = func(id string) (job.Job, error) {
		if id != "j1" {
			return job.Job{}, job.ErrNoSuchJob
		}
		j.Status = ogc.Dismissed
		return j, nil
	}
	return s
}

// TestConformanceCore walks from the landing page through an execution to its
// results, by links alone (1.0 class core).
func TestConformanceCore(t *testing.T) {
	t.Parallel()
	s := oneJob(t, ogc.Successful)
	a := newAPI(t, s)
	page := decode[ogc.LandingPage](t, do(t, a, "GET", "/", ""))
	for _, rel := range []string{"self", "service-desc", ogc.RelConformance, ogc.RelProcesses, ogc.RelJobList, "https" + strings.TrimPrefix(ogc.RelProcesses, "http")} {
		if to := href(page.Links, rel); !strings.HasPrefix(to, "http://example.com/") || do(t, a, "GET", to, "").Code != 200 {
			t.Errorf("%s leads to %q", rel, to)
		}
	}
	list := decode[ogc.ProcessList](t, do(t, a, "GET", href(page.Links, ogc.RelProcesses), ""))
	description := decode[ogc.Process](t, do(t, a, "GET", href(list.Processes[0].Links, "self"), ""))
	execution := href(description.Links, ogc.RelExecute)
	if w := do(t, a, "POST", execution, `{"inputs":{"name":"x"}}`); w.Code != 200 {
		t.Fatalf("sync: %d: %s", w.Code, w.Body)
	}
	s.submit = asyncSubmit(s.jobs["j1"])
	w := do(t, a, "POST", execution, `{"inputs":{"name":"x"}}`, "Prefer: respond-async")
	if w.Code != 201 || w.Header().Get("Preference-Applied") != "respond-async" {
		t.Fatalf("async: %d, applied %q", w.Code, w.Header().Get("Preference-Applied"))
	}
	status := decode[ogc.StatusInfo](t, do(t, a, "GET", w.Header().Get("Location"), ""))
	if got := do(t, a, "GET", href(status.Links, ogc.RelResults), ""); got.Code != 200 {
		t.Errorf("results: %d", got.Code)
	}
	wantProblem(t, do(t, a, "GET", "/processes/none", ""), 404, ogc.NoSuchProcess)
	wantProblem(t, do(t, a, "POST", "/processes/none/execution", "{}"), 404, ogc.NoSuchProcess)
	wantProblem(t, do(t, a, "GET", "/jobs/none", ""), 404, ogc.NoSuchJob)
	wantProblem(t, do(t, a, "GET", "/jobs/none/results", ""), 404, ogc.NoSuchJob)
	s.results = func(string) (*job.Results, error) { return nil, job.ErrNotReady }
	wantProblem(t, do(t, a, "GET", "/jobs/j1/results", ""), 404, ogc.ResultNotReady)
}

// TestConformanceProcessDescription is 1.0 class ogc-process-description.
func TestConformanceProcessDescription(t *testing.T) {
	t.Parallel()
	w := do(t, newAPI(t, hello(t)), "GET", "/processes/hello-world", "")
	d := decode[ogc.Process](t, w)
	if d.ID != "hello-world" || d.Version == "" || d.Mutable == nil || *d.Mutable {
		t.Errorf("description %+v", d.ProcessSummary)
	}
	same(t, d.Inputs["name"].Schema, `{"type":"string"}`)
	same(t, d.Outputs["echo"].Schema, `{"type":"object"}`)
}

// TestConformanceJSON is 1.0 class json: application/json for every 200 of the
// metadata and of jobs, and for results documents.
func TestConformanceJSON(t *testing.T) {
	t.Parallel()
	a := newAPI(t, oneJob(t, ogc.Successful))
	check := func(what string, w *httptest.ResponseRecorder) {
		if w.Code != 200 || w.Header().Get("Content-Type") != mediaJSON {
			t.Errorf("%s: %d, %s", what, w.Code, w.Header().Get("Content-Type"))
		}
		decode[map[string]any](t, w)
	}
	for _, path := range []string{"/", "/conformance", "/processes", "/processes/hello-world", "/jobs", "/jobs/j1", "/jobs/j1/results"} {
		check(path, do(t, a, "GET", path, ""))
	}
	check("document", do(t, a, "POST", "/processes/hello-world/execution", `{"response":"document"}`))
}

// TestConformanceJobList is 1.0 class job-list.
func TestConformanceJobList(t *testing.T) {
	t.Parallel()
	list := decode[ogc.JobList](t, do(t, newAPI(t, oneJob(t, ogc.Running)), "GET", "/jobs", ""))
	if len(list.Jobs) != 1 || list.Jobs[0].ProcessID != "hello-world" || list.Jobs[0].Type != "process" || href(list.Links, "self") == "" {
		t.Errorf("list %+v", list)
	}
}

// TestConformanceDismiss is 1.0 class dismiss.
func TestConformanceDismiss(t *testing.T) {
	t.Parallel()
	a := newAPI(t, oneJob(t, ogc.Running))
	w := do(t, a, "DELETE", "/jobs/j1", "")
	if s := decode[ogc.StatusInfo](t, w); w.Code != 200 || s.Status != ogc.Dismissed || s.JobID != "j1" {
		t.Errorf("%d: %+v", w.Code, s)
	}
	wantProblem(t, do(t, a, "DELETE", "/jobs/none", ""), 404, ogc.NoSuchJob)
}
