package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

var _ Service = (*job.Service)(nil)

// fakeService is a service of given processes and jobs. Its functions, where set,
// decide instead.
type fakeService struct {
	processes []*job.Process
	jobs      map[string]job.Job
	submit    func(context.Context, job.Request) (*job.Execution, error)
	list      func(job.Filter, job.Cursor, int) (job.Page, error)
	results   func(id string) (*job.Results, error)
	validate  func(context.Context, job.Request) (job.Plan, error)
	dismiss   func(id string) (job.Job, error)
	process   func(id string) (*job.Process, error)
	await     func(ctx context.Context, id string) error

	listen    func(ctx context.Context, id string, from *job.Place) (job.Listener, error)
	listenAll func(ctx context.Context, f job.Filter, from *job.Place) (job.Listener, error)

	deliveries []job.Delivery // of every job
}

func (f *fakeService) Processes() []*job.Process { return f.processes }

func (f *fakeService) Process(id string) (*job.Process, error) {
	if f.process != nil {
		return f.process(id)
	}
	for _, p := range f.processes {
		if p.ID == id {
			return p, nil
		}
	}
	return nil, job.ErrNoSuchProcess
}

func (f *fakeService) Await(ctx context.Context, id string) error {
	if f.await != nil {
		return f.await(ctx, id)
	}
	return nil
}

func (f *fakeService) Submit(ctx context.Context, r job.Request) (*job.Execution, error) {
	return f.submit(ctx, r)
}

func (f *fakeService) Validate(ctx context.Context, r job.Request) (job.Plan, error) {
	return f.validate(ctx, r)
}

func (f *fakeService) Job(_ context.Context, id string) (job.Job, error) {
	if j, ok := f.jobs[id]; ok {
		return j, nil
	}
	if id == "removed" {
		return job.Job{}, job.ErrGone
	}
	return job.Job{}, job.ErrNoSuchJob
}

func (f *fakeService) Jobs(_ context.Context, filter job.Filter, c job.Cursor, limit int) (job.Page, error) {
	return f.list(filter, c, limit)
}

func (f *fakeService) Results(_ context.Context, id string) (*job.Results, error) {
	return f.results(id)
}

func (f *fakeService) Log(ctx context.Context, id string, _ job.LogQuery) (*job.Log, error) {
	_, err := f.Job(ctx, id)
	return &job.Log{}, err
}

func (f *fakeService) Deliveries(context.Context, string) ([]job.Delivery, error) {
	return f.deliveries, nil
}

func (f *fakeService) Dismiss(_ context.Context, id string) (job.Job, error) { return f.dismiss(id) }

func (f *fakeService) Listen(ctx context.Context, id string, from *job.Place) (job.Listener, error) {
	return f.listen(ctx, id, from)
}

func (f *fakeService) ListenAll(ctx context.Context, filter job.Filter, from *job.Place) (job.Listener, error) {
	return f.listenAll(ctx, filter, from)
}

// testProcess makes a process whose outputs have the given schemas.
func testProcess(t testing.TB, id string, outputs map[string]string, options ...ogc.JobControlOption) *job.Process {
	t.Helper()
	d := ogc.Process{
		ProcessSummary: ogc.ProcessSummary{ID: id, Version: "1.0.0", Title: "A test", JobControlOptions: options},
		Inputs:         map[string]ogc.Input{"name": {Schema: json.RawMessage(`{"type":"string"}`)}},
		Outputs:        map[string]ogc.Output{},
	}
	for name, schema := range outputs {
		d.Outputs[name] = ogc.Output{Schema: json.RawMessage(schema)}
	}
	p, err := job.NewProcess(d, job.Policy{}, job.Plugin{Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var objectOutput = map[string]string{"echo": `{"type":"object"}`}

// answer is a Submit that gives the outputs at once, as the request selects them.
func answer(p *job.Process, outputs map[string]job.Value, recorded bool) func(context.Context, job.Request) (*job.Execution, error) {
	return func(_ context.Context, r job.Request) (*job.Execution, error) {
		j := job.Job{ID: "j1", ProcessID: p.ID, Status: ogc.Successful, Attempt: 1}
		return &job.Execution{Job: j, Recorded: recorded, Results: &job.Results{
			Job: j, Process: p, Outputs: outputs,
			Order: job.Order{Outputs: r.Outputs, Response: r.Response},
		}}, nil
	}
}

// hello is a service with the process hello-world, which gives an object.
func hello(t testing.TB) *fakeService {
	p := testProcess(t, "hello-world", objectOutput)
	return &fakeService{
		processes: []*job.Process{p},
		submit: answer(p, map[string]job.Value{
			"echo": {JSON: json.RawMessage(`{"id":"echo","value":"Hello hi there2!"}`)},
		}, false),
	}
}

func newAPI(t testing.TB, s Service, change ...func(*Config)) *API {
	t.Helper()
	c := Config{
		Service: s, SpoolDir: t.TempDir(),
		RequestID: func() string { return "r1" },
		Now:       func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) },
	}
	for _, f := range change {
		f(&c)
	}
	a, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// do sends one request; headers are "Name: value".
func do(t testing.TB, h http.Handler, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	var src io.Reader
	if body != "" {
		src = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, target, src)
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if a, ok := h.(*API); ok {
		keepsPromise(t, a, r, w)
	}
	return w
}

// wantProblem checks that a reply is a problem document and returns it.
func wantProblem(t testing.TB, w *httptest.ResponseRecorder, status int, uri string) ogc.Exception {
	t.Helper()
	if w.Code != status {
		t.Fatalf("status %d, want %d: %s", w.Code, status, w.Body)
	}
	if got := w.Header().Get("Content-Type"); got != mediaJSON {
		t.Errorf("media type %q", got)
	}
	var e ogc.Exception
	if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil {
		t.Fatalf("not a problem: %v: %s", err, w.Body)
	}
	if e.Type != uri || e.Status != status || e.Title == "" {
		t.Errorf("problem %+v, want type %s", e, uri)
	}
	return e
}

// same compares JSON texts, whatever their layout.
func same(t testing.TB, got []byte, want string) {
	t.Helper()
	var g, w bytes.Buffer
	if err := json.Compact(&g, got); err != nil {
		t.Fatalf("not JSON: %v: %.200s", err, got)
	}
	if err := json.Compact(&w, []byte(want)); err != nil {
		t.Fatal(err)
	}
	if g.String() != w.String() {
		t.Errorf("got  %s\nwant %s", g.String(), w.String())
	}
}

// href returns the link of a relation, or "".
func href(links []ogc.Link, rel string) string {
	i := slices.IndexFunc(links, func(l ogc.Link) bool { return l.Rel == rel })
	if i < 0 {
		return ""
	}
	return links[i].Href
}

func decode[T any](t testing.TB, w *httptest.ResponseRecorder) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("status %d: %v: %s", w.Code, err, w.Body)
	}
	return v
}
