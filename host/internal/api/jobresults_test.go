package api

import (
	"strings"
	"testing"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// stored serves a successful job with the outputs.
func stored(t testing.TB, outputs map[string]job.Value, o job.Order, change ...func(*Config)) *API {
	schemas := map[string]string{"absent": "{}"}
	for id := range outputs {
		schemas[id] = `{}`
	}
	p := testProcess(t, "p", schemas)
	s := &fakeService{processes: []*job.Process{p}, results: func(id string) (*job.Results, error) {
		if id == "gone" {
			return nil, job.ErrGone
		}
		return &job.Results{Job: job.Job{ID: id, Attempt: 1}, Process: p, Order: o, Outputs: outputs}, nil
	}}
	return newAPI(t, s, change...)
}

func TestStoredResultsAreADocumentUnlessRawWasAsked(t *testing.T) {
	t.Parallel()
	same(t, do(t, stored(t, several(t), job.Order{}), "GET", "/jobs/j/results", "").Body.Bytes(), severalDocument)
	one := map[string]job.Value{"a": jsonValue(`{"x":1}`)}
	for response, want := range map[string]string{"": `{"a":{"value":{"x":1}}}`, "document": `{"a":{"value":{"x":1}}}`, "raw": `{"x":1}`} {
		order := job.Order{Response: response, Outputs: map[string]ogc.OutputSelection{"a": {}}}
		w := do(t, stored(t, one, order), "GET", "/jobs/j/results", "")
		if w.Code != 200 {
			t.Errorf("%q: %d %s", response, w.Code, w.Body)
		}
		same(t, w.Body.Bytes(), want)
	}
	parts(t, do(t, stored(t, several(t), job.Order{Response: "raw"}), "GET", "/jobs/j/results", ""))
	parts(t, do(t, stored(t, several(t), job.Order{}), "GET", "/jobs/j/results", "", "Accept: multipart/*"))
	wantProblem(t, do(t, stored(t, one, job.Order{}), "GET", "/jobs/j/results", "", "Accept: image/png"), 406, blank)
	wantProblem(t, do(t, stored(t, nil, job.Order{Outputs: map[string]ogc.OutputSelection{}}), "GET", "/jobs/j/results", ""), 404, ogc.ResultNotAvailable)
	wantProblem(t, do(t, stored(t, one, job.Order{}), "GET", "/jobs/gone/results", ""), 410, ogc.NoSuchJob)
}

func TestStoredResultsCanBeNarrowed(t *testing.T) {
	t.Parallel()
	a := stored(t, several(t), job.Order{})
	same(t, do(t, a, "GET", "/jobs/j/results?outputs=string,array&outputs=array", "").Body.Bytes(), `{"array":[1,2],"string":"s"}`)
	wantProblem(t, do(t, a, "GET", "/jobs/j/results?outputs=none", ""), 400, ogc.NoSuchOutput)
	wantProblem(t, do(t, a, "GET", "/jobs/j/results?outputs=absent", ""), 404, ogc.ResultNotAvailable)
	wantProblem(t, do(t, a, "GET", "/jobs/j/results?outputs=", ""), 400, ogc.InvalidQueryParameterValue)
	wantProblem(t, do(t, a, "GET", "/jobs/j/results/none", ""), 400, ogc.NoSuchOutput)
	wantProblem(t, do(t, a, "GET", "/jobs/j/results/absent", ""), 404, ogc.ResultNotAvailable)
}

func TestLargeStoredOutputsAreLinksUnlessTheClientWantsThem(t *testing.T) {
	t.Parallel()
	outputs := map[string]job.Value{"big": jsonValue(`"` + strings.Repeat("x", 100) + `"`), "small": jsonValue(`1`)}
	for _, c := range []struct {
		name, prefer string
		limit        int64
		order        job.Order
		link         bool
	}{
		{"by default", "", 50, job.Order{}, true},
		{"minimal", "return=minimal", 50, job.Order{}, true},
		{"representation", "return=representation", 50, job.Order{}, false},
		{"by value", "", 50, job.Order{Outputs: map[string]ogc.OutputSelection{"big": {TransmissionMode: "value"}, "small": {}}}, false},
		{"below the limit", "", 500, job.Order{}, false},
		{"no limit", "", -1, job.Order{}, false},
	} {
		a := stored(t, outputs, c.order, func(conf *Config) { conf.InlineLimit = c.limit })
		w := do(t, a, "GET", "/jobs/j/results", "", "Prefer: "+c.prefer)
		doc := decode[map[string]any](t, w)
		if _, isLink := doc["big"].(map[string]any); isLink != c.link || doc["small"] != 1.0 {
			t.Errorf("%s: %.100v", c.name, doc)
		}
		if got := w.Header().Get("Preference-Applied"); got != c.prefer {
			t.Errorf("%s: applied %q", c.name, got)
		}
	}
}

func TestOutputsAreServedInRanges(t *testing.T) {
	t.Parallel()
	a := stored(t, map[string]job.Value{"tiff": fileValue(t, "0123456789", "image/tiff"), "s": jsonValue(`"text"`)}, job.Order{})
	w := do(t, a, "GET", "/jobs/j/results/tiff", "")
	tag := w.Header().Get("ETag")
	if w.Code != 200 || w.Body.String() != "0123456789" || w.Header().Get("Content-Type") != "image/tiff" || w.Header().Get("Content-Length") != "10" || tag == "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	w = do(t, a, "GET", "/jobs/j/results/tiff", "", "Range: bytes=2-4")
	if w.Code != 206 || w.Body.String() != "234" || w.Header().Get("Content-Range") != "bytes 2-4/10" {
		t.Errorf("%d %q %v", w.Code, w.Body, w.Header())
	}
	if w = do(t, a, "GET", "/jobs/j/results/tiff", "", "If-None-Match: "+tag); w.Code != 304 {
		t.Errorf("%d", w.Code)
	}
	w = do(t, a, "GET", "/jobs/j/results/tiff", "", "Range: bytes=99-")
	wantProblem(t, w, 416, blank)
	if w.Header().Get("Content-Range") != "bytes */10" {
		t.Errorf("%v", w.Header())
	}
	if w = do(t, a, "GET", "/jobs/j/results/s", "", "Accept: text/plain"); w.Body.String() != "text" || w.Header().Get("ETag") == do(t, a, "GET", "/jobs/j/results/s", "").Header().Get("ETag") {
		t.Errorf("%q %v", w.Body, w.Header())
	}
}

// A process that was replaced may describe fewer outputs than its job has.
func TestRawResultsAreCompleteAfterTheProcessWasReplaced(t *testing.T) {
	t.Parallel()
	s := &fakeService{results: func(id string) (*job.Results, error) {
		return &job.Results{
			Job: job.Job{ID: id, Attempt: 1}, Process: testProcess(t, "p", objectOutput), Order: job.Order{Response: "raw"},
			Outputs: map[string]job.Value{"a": jsonValue(`1`), "echo": jsonValue(`{}`)},
		}, nil
	}}
	if got, _, _ := parts(t, do(t, newAPI(t, s), "GET", "/jobs/j/results", "")); len(got) != 2 {
		t.Errorf("%d parts", len(got))
	}
}

// Between a look at the job and the reading of its files it may be removed.
func TestResultsThatAreRemovedMeanwhileAreGone(t *testing.T) {
	t.Parallel()
	outputs := map[string]job.Value{"a": {File: t.TempDir() + "/none", Size: 1}}
	for _, path := range []string{"/jobs/removed/results", "/jobs/removed/results/a"} {
		a := stored(t, outputs, job.Order{})
		wantProblem(t, do(t, a, "GET", path, ""), 410, ogc.NoSuchJob)
	}
	s := &fakeService{jobs: map[string]job.Job{"kept": {ID: "kept"}}, results: func(id string) (*job.Results, error) {
		return &job.Results{Job: job.Job{ID: id}, Outputs: outputs}, nil
	}}
	wantProblem(t, do(t, newAPI(t, s), "GET", "/jobs/kept/results/a", ""), 500, blank)
}
