package api

import (
	"context"
	"encoding/json"
	"testing"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

func asPygeoapi(c *Config) { c.Pygeoapi = true }

func TestPygeoapiListsTheOutputsOfADocument(t *testing.T) {
	t.Parallel()
	s := hello(t)
	w := do(t, newAPI(t, s, asPygeoapi), "POST", helloExecution, `{"response":"document"}`)
	same(t, w.Body.Bytes(), `{"outputs":[{"id":"echo","value":"Hello hi there2!"}]}`)
	same(t, do(t, newAPI(t, s), "POST", helloExecution, `{"response":"document"}`).Body.Bytes(), `{"echo":{"value":{"id":"echo","value":"Hello hi there2!"}}}`)
	same(t, do(t, newAPI(t, s, asPygeoapi), "POST", helloExecution, `{}`).Body.Bytes(), `{"id":"echo","value":"Hello hi there2!"}`)

	const want = `{"outputs":[
		{"id":"array","value":[1,2]},
		{"id":"bbox","value":{"bbox":[1,2,3,4],"crs":"urn:c"}},
		{"id":"binary","value":"AAE=","encoding":"base64","mediaType":"image/png"},
		{"id":"csv","value":"a,\"é\"\n","mediaType":"text/csv"},
		{"id":"feature","mediaType":"application/geo+json","value":{"type":"Feature"}},
		{"id":"number","value":12.50},
		{"id":"object","value":{"a":null}},
		{"id":"string","value":"s"},
		{"id":"tiff","value":"AAECAw==","encoding":"base64","mediaType":"image/tiff"},
		{"id":"xml","value":"<x/>","mediaType":"application/xml"}]}`
	a := execution(t, several(t), true, asPygeoapi)
	w = do(t, a, "POST", "/processes/p/execution", `{"response":"document"}`)
	same(t, w.Body.Bytes(), want)
	if w.Header().Get("Location") != "http://example.com/jobs/j1" {
		t.Errorf("%v", w.Header())
	}
	stored := stored(t, several(t), job.Order{Response: "document"}, asPygeoapi)
	same(t, do(t, stored, "GET", "/jobs/j/results", "").Body.Bytes(), want)
	w = do(t, a, "POST", "/processes/p/execution", `{"response":"document","outputs":{"tiff":{"transmissionMode":"reference"}}}`)
	same(t, w.Body.Bytes(), `{"outputs":[{"id":"tiff","href":"http://example.com/jobs/j1/results/tiff","rel":"`+ogc.RelResults+`","type":"image/tiff","title":"tiff","length":4}]}`)
	if plain := do(t, execution(t, several(t), true), "POST", "/processes/p/execution", `{}`); plain.Header().Get("Location") != "" {
		t.Errorf("%v", plain.Header())
	}
}

func TestPygeoapiHasCodesForErrors(t *testing.T) {
	t.Parallel()
	failed := &job.FailedError{Exception: ogc.Exception{Type: blank, Status: 504, Detail: "it is late"}}
	s := oneJob(t, ogc.Running)
	s.submit = func(context.Context, job.Request) (*job.Execution, error) { return nil, failed }
	s.results = func(id string) (*job.Results, error) {
		return nil, map[string]error{"running": job.ErrNotReady, "empty": job.ErrNotAvailable, "failed": failed, "removed": job.ErrGone, "none": job.ErrNoSuchJob}[id]
	}
	a := newAPI(t, s, asPygeoapi)
	for _, c := range []struct {
		method, path, body string
		status             int
		code, description  string
	}{
		{"GET", "/processes/none", "", 404, "NoSuchProcess", "There is no process of this identifier."},
		{"GET", "/jobs/none", "", 404, "NoSuchJob", "There is no job of this identifier."},
		{"GET", "/jobs/removed/results", "", 404, "NoSuchJob", "The job was removed."},
		{"GET", "/jobs/running/results", "", 404, "ResultNotReady", "The job has not ended yet."},
		{"GET", "/jobs/empty/results", "", 404, "JobResultNotFound", "The job holds no such results."},
		{"GET", "/jobs/failed/results", "", 400, "InvalidParameterValue", "Error executing process: it is late"},
		{"POST", helloExecution, "{}", 400, "InvalidParameterValue", "Error executing process: it is late"},
		{"POST", helloExecution, "", 400, "MissingParameterValue", ""},
		{"POST", helloExecution, "[", 400, "InvalidParameterValue", ""},
		{"GET", "/processes?limit=x", "", 400, "InvalidParameterValue", ""},
		{"GET", "/nowhere", "", 404, "NoApplicableCode", "There is no resource at this path."},
	} {
		w := do(t, a, c.method, c.path, c.body)
		var e struct{ Type, Code, Description, Detail string }
		if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		if w.Code != c.status || e.Code != c.code || e.Type != c.code || e.Description != e.Detail || c.description != "" && e.Description != c.description {
			t.Errorf("%s %s: %d %s", c.method, c.path, w.Code, w.Body)
		}
	}
}
