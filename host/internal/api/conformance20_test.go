package api

import (
	"encoding/json"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// members decodes a JSON object.
func members(t testing.TB, w *httptest.ResponseRecorder) map[string]any {
	t.Helper()
	if w.Code >= 300 {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return decode[map[string]any](t, w)
}

// linksOf returns the links of a document: every one has a relation and an
// absolute URL (2.0 link.yaml).
func linksOf(t testing.TB, w *httptest.ResponseRecorder) []ogc.Link {
	t.Helper()
	var doc struct {
		Links []ogc.Link `json:"links"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil || len(doc.Links) == 0 {
		t.Fatalf("no links: %v: %s", err, w.Body)
	}
	for _, l := range doc.Links {
		if l.Rel == "" || !strings.HasPrefix(l.Href, "http") {
			t.Errorf("link %+v", l)
		}
	}
	return doc.Links
}

func https(rel string) string { return "https" + strings.TrimPrefix(rel, "http") }

// TestConformance20Core is 2.0 class core: what differs from 1.0 in the landing
// page, descriptions, execution, status documents, results and exceptions.
func TestConformance20Core(t *testing.T) {
	t.Parallel()
	s := oneJob(t, ogc.Successful)
	a := newAPI(t, s)
	page := linksOf(t, do(t, a, "GET", "/", ""))
	for _, rel := range []string{"self", "service-desc", "service-doc", ogc.RelConformance, https(ogc.RelConformance), ogc.RelProcesses, https(ogc.RelProcesses), ogc.RelJobList, https(ogc.RelJobList)} {
		if href(page, rel) == "" {
			t.Errorf("the landing page has no link %s", rel)
		}
	}
	linksOf(t, do(t, a, "GET", "/conformance", ""))
	list := do(t, a, "GET", "/processes", "")
	linksOf(t, list)
	for _, p := range decode[ogc.ProcessList](t, list).Processes {
		if p.Version == "" || href(p.Links, "self") == "" {
			t.Errorf("summary %+v", p)
		}
	}
	description := linksOf(t, do(t, a, "GET", "/processes/hello-world", ""))
	for _, rel := range []string{"self", "profile", "service", "up", ogc.RelExecute, ogc.RelJobList} {
		if href(description, rel) == "" {
			t.Errorf("the description has no link %s", rel)
		}
	}
	execution := href(description, ogc.RelExecute)
	if w := do(t, a, "POST", execution, `{"outputs":{}}`); w.Code != 204 || w.Body.Len() > 0 {
		t.Errorf("no outputs: %d, %q", w.Code, w.Body)
	}
	if w := do(t, a, "POST", execution, `{}`); w.Code != 200 || !strings.Contains(w.Body.String(), "Hello") {
		t.Errorf("one output: %d, %q", w.Code, w.Body)
	}
	status := members(t, do(t, a, "GET", "/jobs/j1", ""))
	for member, want := range map[string]any{"id": "j1", "jobID": "j1", "processingEntityType": "ogc-api-processes", "processID": "hello-world", "status": "successful", "progress": 100.0} {
		if status[member] != want {
			t.Errorf("status document: %s is %v", member, status[member])
		}
	}
	jobLinks := linksOf(t, do(t, a, "GET", "/jobs/j1", ""))
	for _, rel := range []string{"self", "monitor", "up", ogc.RelResults} {
		if href(jobLinks, rel) == "" {
			t.Errorf("the job has no link %s", rel)
		}
	}
	results := members(t, do(t, a, "GET", "/jobs/j1/results?outputs=echo", ""))
	if results["echo"] == nil || len(results) != 1 {
		t.Errorf("results %v", results)
	}
	if got := members(t, do(t, a, "GET", "/jobs/j1/results/echo", "")); got["value"] != "hi" {
		t.Errorf("one result: %v", got)
	}
	wantProblem(t, do(t, a, "GET", "/jobs/j1/results/none", ""), 400, ogc.NoSuchOutput)
	wantProblem(t, do(t, a, "GET", "/jobs?limit=0", ""), 400, ogc.InvalidQueryParameterValue)
	dismissed := oneJob(t, ogc.Dismissed)
	dismissed.results = func(string) (*job.Results, error) { return nil, job.ErrDismissed }
	wantProblem(t, do(t, newAPI(t, dismissed), "GET", "/jobs/j1/results", ""), 404, ogc.ResultNotAvailable)
}

// TestConformance20ProcessDescription is 2.0 class ogc-process-description.
func TestConformance20ProcessDescription(t *testing.T) {
	t.Parallel()
	for _, headers := range [][]string{nil, {"Accept-Profile: <" + profileDescription + ">"}} {
		w := do(t, newAPI(t, hello(t)), "GET", "/processes/hello-world", "", headers...)
		d := members(t, w)
		inputs, outputs := d["inputs"].(map[string]any), d["outputs"].(map[string]any)
		if inputs["name"].(map[string]any)["schema"] == nil || outputs["echo"].(map[string]any)["schema"] == nil {
			t.Errorf("description %v", d)
		}
		if !slices.Contains(w.Header()["Link"], "<"+profileDescription+`>; rel="profile"`) {
			t.Errorf("no profile: %q", w.Header()["Link"])
		}
	}
}

// TestConformance20JSON is 2.0 class json: all resources but results, in JSON by
// default and on request.
func TestConformance20JSON(t *testing.T) {
	t.Parallel()
	a := newAPI(t, oneJob(t, ogc.Successful))
	for _, path := range []string{"/", "/conformance", "/processes", "/processes/hello-world", "/jobs", "/jobs/j1"} {
		for _, get := range []struct{ query, accept string }{{"", ""}, {"", "*/*"}, {"", "application/json"}, {"?f=json", "text/html"}} {
			w := do(t, a, "GET", path+get.query, "", "Accept: "+get.accept)
			if w.Header().Get("Content-Type") != mediaJSON {
				t.Errorf("%s%s for %q: %s", path, get.query, get.accept, w.Header().Get("Content-Type"))
			}
			members(t, w)
			linksOf(t, w)
		}
	}
}

// TestConformance20JobList is 2.0 class job-list.
func TestConformance20JobList(t *testing.T) {
	t.Parallel()
	s := manyJobs(t)
	var got job.Filter
	inner := s.list
	s.list = func(f job.Filter, c job.Cursor, limit int) (job.Page, error) { got = f; return inner(f, c, limit) }
	a := newAPI(t, s)
	w := do(t, a, "GET", "/jobs?limit=4&processID=hello-world&status=running,failed&datetime=2026-01-01T00:00:00Z/..&minDuration=1&maxDuration=60", "")
	list := decode[ogc.JobList](t, w)
	links := linksOf(t, w)
	if len(list.Jobs) != 4 || href(links, "self") == "" || href(links, "next") == "" {
		t.Errorf("list %+v", list)
	}
	if len(got.ProcessIDs) != 1 || len(got.Statuses) != 2 || got.CreatedFrom.IsZero() || *got.MinDuration != time.Second || *got.MaxDuration != time.Minute {
		t.Errorf("filter %+v", got)
	}
	for _, j := range list.Jobs {
		if j.ID == "" || j.ProcessingEntityType == "" || href(j.Links, "self") == "" {
			t.Errorf("job %+v", j)
		}
	}
	if w := do(t, a, "GET", href(links, "next"), ""); href(linksOf(t, w), "prev") == "" {
		t.Error("the second page has no link to the first")
	}
}

// TestConformance20Dismiss is 2.0 class dismiss: a job that goes on is stopped and
// stays visible, one that has ended is removed.
func TestConformance20Dismiss(t *testing.T) {
	t.Parallel()
	s := oneJob(t, ogc.Running)
	s.dismiss = func(id string) (job.Job, error) {
		j, ok := s.jobs[id]
		if !ok {
			return j, job.ErrGone
		}
		if j.Status.Final() {
			delete(s.jobs, id)
		} else {
			s.jobs[id] = job.Job{ID: id, ProcessID: j.ProcessID, Status: ogc.Dismissed, Created: j.Created}
		}
		j.Status = ogc.Dismissed
		return j, nil
	}
	a := newAPI(t, s)
	for range 2 {
		if got := decode[ogc.StatusInfo](t, do(t, a, "DELETE", "/jobs/j1", "")); got.Status != ogc.Dismissed || got.ID != "j1" {
			t.Errorf("dismissed: %+v", got)
		}
		if w := do(t, a, "GET", "/jobs/j1", ""); s.jobs["j1"].ID != "" && decode[ogc.StatusInfo](t, w).Status != ogc.Dismissed {
			t.Errorf("while it is visible: %d: %s", w.Code, w.Body)
		}
	}
	wantProblem(t, do(t, a, "GET", "/jobs/j1", ""), 404, ogc.NoSuchJob)
	wantProblem(t, do(t, a, "DELETE", "/jobs/j1", ""), 410, ogc.NoSuchJob)
}

// TestConformance20KVPExecute is 2.0 class kvp-execute: the same reply as a POST
// of the same request.
func TestConformance20KVPExecute(t *testing.T) {
	t.Parallel()
	s, got := kvpService(t)
	a := newAPI(t, s, withKVP)
	for query, body := range map[string]string{
		"text=hi&number=1.5&flag=false&nullable=null":                            `{"inputs":{"text":"hi","number":1.5,"flag":false,"nullable":null}}`,
		"numbers=1,2&tags=a,b&object=%7B%22a%22%3A1%7D":                          `{"inputs":{"numbers":[1,2],"tags":["a","b"],"object":{"a":1}}}`,
		"box=1,2,3,4&box[crs]=urn:x&binary=AQI%3D":                               `{"inputs":{"box":{"bbox":[1,2,3,4],"crs":"urn:x"},"binary":"AQI="}}`,
		"binary[value]=AQI%3D&binary[mediaType]=image/png&object[href]=http://x": `{"inputs":{"binary":{"value":"AQI=","mediaType":"image/png"},"object":{"href":"http://x"}}}`,
		"text[include]=true&response[prefer]=respond-async":                      `{"outputs":{"text":{}}}`,
	} {
		byGet := do(t, a, "GET", "/processes/kinds/execution?"+query, "")
		asked := *got
		byPost := do(t, a, "POST", "/processes/kinds/execution", body, "Prefer: "+map[bool]string{true: "respond-async"}[strings.Contains(query, "async")])
		if byGet.Code != byPost.Code || byGet.Body.String() != byPost.Body.String() || byGet.Code >= 300 {
			t.Errorf("%s: %d %s, by POST %d %s", query, byGet.Code, byGet.Body, byPost.Code, byPost.Body)
		}
		if len(asked.Inputs) != len(got.Inputs) || len(asked.Outputs) != len(got.Outputs) {
			t.Errorf("%s: %+v, by POST %+v", query, asked, *got)
		}
		for id, raw := range got.Inputs {
			same(t, asked.Inputs[id].Text, string(raw.Text))
		}
	}
}

// TestConformance20QueryParamProfile is 2.0 class query-param-profile: the
// parameter is taken wherever there are profiles, in each spelling, and never an
// error; the reply tells its profile.
func TestConformance20QueryParamProfile(t *testing.T) {
	t.Parallel()
	a := newAPI(t, oneJob(t, ogc.Successful))
	for path, uri := range map[string]string{
		"/processes": profileProcessList, "/processes/hello-world": profileDescription, "/jobs": profileJobList, "/jobs/j1": profileJob,
	} {
		id := strings.TrimPrefix(uri, profileBase)
		for _, name := range []string{id, uri, "[ogc-profile:" + id + "]", "other," + id, "other", ""} {
			w := do(t, a, "GET", path+"?profile="+name, "")
			if w.Code != 200 || !slices.Contains(w.Header()["Link"], "<"+uri+`>; rel="profile"`) {
				t.Errorf("%s?profile=%s: %d, %q", path, name, w.Code, w.Header()["Link"])
			}
		}
	}
	for _, path := range []string{"/", "/conformance", "/jobs/j1/results"} {
		if w := do(t, a, "GET", path+"?profile=other", ""); w.Code != 200 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}
