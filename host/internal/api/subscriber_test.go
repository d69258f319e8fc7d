package api

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

func callbackOf(t testing.TB, a *API, e job.Event) (body []byte, monitor string) {
	t.Helper()
	body, monitor, err := a.Callback(t.Context(), job.Delivery{JobID: "j1", Event: e, Base: "http://example.com"})
	if err != nil {
		t.Fatal(err)
	}
	return body, monitor
}

// TestConformanceCallback is the class callback of 1.0 and 2.0: a request that
// names a subscriber is taken, and what is sent to it are the documents that the
// job's own resources answer. That they are sent is tested where the host is
// whole.
func TestConformanceCallback(t *testing.T) {
	t.Parallel()
	var got job.Request
	s := oneJob(t, ogc.Successful)
	s.submit = taken(asyncSubmit(s.jobs["j1"]), &got, map[string]string{})
	a := newAPI(t, s)
	w := do(t, a, "POST", "/processes/hello-world/execution",
		`{"inputs":{"name":"x"},"subscriber":{"successUri":"https://a.example/yes","inProgressUri":"https://a.example/on","failedUri":"https://a.example/no"}}`,
		"Prefer: respond-async")
	want := ogc.Subscriber{SuccessURI: "https://a.example/yes", InProgressURI: "https://a.example/on", FailedURI: "https://a.example/no"}
	if w.Code != 201 || got.Subscriber == nil || *got.Subscriber != want || got.BaseURL != "http://example.com" {
		t.Fatalf("%d: %+v", w.Code, got)
	}
	body, monitor := callbackOf(t, a, job.OnSuccess)
	same(t, body, do(t, a, "GET", "/jobs/j1/results", "").Body.String())
	if monitor != "http://example.com/jobs/j1" {
		t.Errorf("monitor %s", monitor)
	}
	for status, event := range map[ogc.Status]job.Event{ogc.Running: job.InProgress, ogc.Failed: job.OnFailed, ogc.Dismissed: job.OnFailed} {
		a := newAPI(t, oneJob(t, status))
		body, _ := callbackOf(t, a, event)
		same(t, body, do(t, a, "GET", "/jobs/j1", "").Body.String())
	}
}

func TestWrongMembersOfASubscriberAreNamed(t *testing.T) {
	t.Parallel()
	a := newAPI(t, hello(t))
	for member, pointer := range map[string]string{
		`5`: "/subscriber", `"http://a.example/"`: "/subscriber", `[]`: "/subscriber",
		`{"successUri":5}`: "/subscriber/successUri", `{"inProgressUri":["http://a.example/"]}`: "/subscriber/inProgressUri",
		`{"failedUri":""}`: "/subscriber/failedUri",
	} {
		e := wantProblem(t, do(t, a, "POST", "/processes/hello-world/execution", `{"subscriber":`+member+`}`), 400, ogc.InvalidParameterValue)
		if len(e.Errors) != 1 || e.Errors[0].Pointer != pointer {
			t.Errorf("%s: %+v", member, e.Errors)
		}
	}
}

func TestCallbacksUseThePublicAddress(t *testing.T) {
	t.Parallel()
	a := newAPI(t, oneJob(t, ogc.Failed), func(c *Config) { c.BaseURL = "https://public.example/ogc" })
	body, monitor := callbackOf(t, a, job.OnFailed)
	if monitor != "https://public.example/ogc/jobs/j1" || !strings.Contains(string(body), `"https://public.example/ogc/jobs/j1/results"`) {
		t.Errorf("monitor %s, body %s", monitor, body)
	}
}

func TestResultsThatAreTooLargeForAMessageAreLinked(t *testing.T) {
	t.Parallel()
	s := oneJob(t, ogc.Successful)
	large := fileValue(t, `"`+strings.Repeat("x", maxCallback)+`"`, mediaJSON)
	p := testProcess(t, "large", map[string]string{"a": `{}`, "b": `{}`})
	s.results = func(string) (*job.Results, error) {
		return &job.Results{
			Job: s.jobs["j1"], Process: p, Outputs: map[string]job.Value{"a": large, "b": {JSON: json.RawMessage(`1`)}},
			Order: job.Order{Outputs: map[string]ogc.OutputSelection{"a": {TransmissionMode: "value"}, "b": {}}, Response: "raw"},
		}, nil
	}
	body, _ := callbackOf(t, newAPI(t, s), job.OnSuccess)
	var document map[string]ogc.Link
	if err := json.Unmarshal(body, &document); err != nil {
		t.Fatalf("%v: %.200s", err, body)
	}
	for _, id := range []string{"a", "b"} {
		if document[id].Href != "http://example.com/jobs/j1/results/"+id {
			t.Errorf("%s: %+v", id, document[id])
		}
	}
}

func TestWhatIsOverIsNotTold(t *testing.T) {
	t.Parallel()
	ended := newAPI(t, oneJob(t, ogc.Successful))
	if body, _ := callbackOf(t, ended, job.InProgress); body != nil {
		t.Errorf("a job that has ended is reported as %s", body)
	}
	for _, gone := range []error{job.ErrGone, job.ErrNoSuchJob} {
		s := oneJob(t, ogc.Successful)
		s.jobs = nil
		s.results = func(string) (*job.Results, error) { return nil, gone }
		for _, e := range job.AllEvents() {
			if body, _ := callbackOf(t, newAPI(t, s), e); body != nil {
				t.Errorf("%s of a removed job: %s", e, body)
			}
		}
	}
	s := oneJob(t, ogc.Successful)
	s.results = func(string) (*job.Results, error) { return nil, job.ErrNotAvailable }
	if body, _ := callbackOf(t, newAPI(t, s), job.OnSuccess); string(body) != "{}" {
		t.Errorf("without outputs: %s", body)
	}
	s.results = func(string) (*job.Results, error) { return nil, errors.New("disk on fire") }
	if _, _, err := newAPI(t, s).Callback(t.Context(), job.Delivery{JobID: "j1", Event: job.OnSuccess}); err == nil {
		t.Error("what cannot be read makes a document")
	}
}

func TestTheStatusTellsWhatHasBecomeOfCallbacks(t *testing.T) {
	t.Parallel()
	s := oneJob(t, ogc.Failed)
	s.deliveries = []job.Delivery{
		{Event: job.OnFailed, URI: "https://a.example/no?token=secret#x", State: job.Pending, Tries: 2, Last: now, HTTPStatus: 500, Fault: "the receiver answered 500"},
		{Event: job.InProgress, URI: "https://a.example/on", State: job.Delivered, Tries: 1, Last: now, HTTPStatus: 204},
	}
	a := newAPI(t, s)
	if got := decode[ogc.StatusInfo](t, do(t, a, "GET", "/jobs/j1", "")); got.Callbacks != nil {
		t.Errorf("a job without a subscriber has %+v", got.Callbacks)
	}
	j := s.jobs["j1"]
	j.Callback = true
	s.jobs["j1"] = j
	var document struct{ Callbacks json.RawMessage }
	if err := json.Unmarshal(do(t, a, "GET", "/jobs/j1", "").Body.Bytes(), &document); err != nil {
		t.Fatal(err)
	}
	same(t, document.Callbacks, `[
		{"event":"failed","uri":"https://a.example/no","status":"pending","attempts":2,"lastAttempt":"2026-01-02T03:04:05Z","httpStatus":500,"error":"the receiver answered 500"},
		{"event":"inProgress","uri":"https://a.example/on","status":"delivered","attempts":1,"lastAttempt":"2026-01-02T03:04:05Z","httpStatus":204}
	]`)
}
