package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// told is a listener that is told what a test says, some at a time, and then, if
// it is to go on, nothing more.
type told struct {
	steps  [][]*job.Notice
	at     job.Place
	goesOn bool
	more   chan struct{}
	closed int
}

func (l *told) Next(context.Context) (news []*job.Notice, last bool, err error) {
	if l.more = make(chan struct{}); len(l.steps) > 0 {
		news, l.steps = l.steps[0], l.steps[1:]
		close(l.more)
	}
	for _, n := range news {
		if n == nil {
			return nil, false, errors.New("broken")
		}
		l.at = n.Place
	}
	return news, len(l.steps) == 0 && !l.goesOn, nil
}

func (l *told) More() <-chan struct{} { return l.more }
func (l *told) Place() job.Place      { return l.at }
func (l *told) Close()                { l.closed++ }

// listening is a service whose only listener is l.
func listening(t testing.TB, l *told) *fakeService {
	s := oneJob(t, ogc.Running)
	s.listen = func(_ context.Context, id string, from *job.Place) (job.Listener, error) {
		if _, err := s.Job(context.Background(), id); err != nil {
			return nil, err
		}
		if from != nil && from.Revision == 9 {
			return nil, job.ErrNothingMore
		}
		return l, nil
	}
	s.listenAll = func(context.Context, job.Filter, *job.Place) (job.Listener, error) { return l, nil }
	s.list = func(job.Filter, job.Cursor, int) (job.Page, error) { return job.Page{}, nil }
	return s
}

func TestAJobsEventsAreAStream(t *testing.T) {
	t.Parallel()
	s := listening(t, nil)
	running := s.jobs["j1"]
	l := &told{at: job.Place{Revision: 7, Line: 3}, steps: [][]*job.Notice{
		{{Kind: job.StatusNotice, Place: job.Place{Revision: 7, Line: 3}, Job: running}},
		{
			{Kind: job.ProgressNotice, Percent: 30, Message: "<30>\n"},
			{Kind: job.LogNotice, Place: job.Place{Revision: 7, Line: 4}, Line: job.LogLine{
				Seq: 4, Time: running.Created, Level: slog.LevelWarn, Source: "process", Attempt: 1, Message: "a\nb", Fields: json.RawMessage(`{"x": 1}`),
			}},
		},
		{{Kind: job.GapNotice, Place: job.Place{Revision: 7, Line: 6}, Lost: 2}},
	}}
	s.listen = func(context.Context, string, *job.Place) (job.Listener, error) { return l, nil }
	a := newAPI(t, s)
	document := strings.TrimSpace(do(t, a, "GET", "/jobs/j1", "").Body.String())
	w := do(t, a, "GET", "/jobs/j1", "", "Accept: text/event-stream", "Origin: https://page.example")
	want := "retry: 2000\nid: 7.3\n\n" +
		"id: 7.3\nevent: status\ndata: " + document + "\n\n" +
		"event: progress\ndata: {\"progress\":30,\"message\":\"<30>\\n\"}\n\n" +
		"id: 7.4\nevent: log\ndata: {\"seq\":4,\"time\":\"2026-01-02T03:04:05Z\",\"level\":\"warn\",\"source\":\"process\",\"attempt\":1,\"message\":\"a\\nb\",\"fields\":{\"x\":1}}\n\n" +
		"id: 7.6\nevent: gap\ndata: {\"lost\":2}\n\n"
	if w.Body.String() != want {
		t.Errorf("got\n%s\nwant\n%s", w.Body, want)
	}
	for name, value := range map[string]string{
		"Content-Type": mediaEvents, "Cache-Control": "no-store", "X-Accel-Buffering": "no", "Vary": "Accept", "Content-Length": "", "Content-Encoding": "",
	} {
		if got := w.Header().Get(name); got != value {
			t.Errorf("%s: %q, want %q", name, got, value)
		}
	}
	if l.closed != 1 || a.listeners.Load() != 0 {
		t.Errorf("closed %d times, %d listeners are counted", l.closed, a.listeners.Load())
	}
}

func TestTheListsEventsAreAStream(t *testing.T) {
	t.Parallel()
	j := job.Job{ID: "j1", ProcessID: "p", Status: ogc.Dismissed}
	l := &told{at: job.Place{Revision: 7}, steps: [][]*job.Notice{{
		{Kind: job.ResetNotice, Place: job.Place{Revision: 8}},
		{Kind: job.RemovedNotice, Place: job.Place{Revision: 9}, Job: j},
	}}}
	w := do(t, newAPI(t, listening(t, l)), "GET", "/jobs?f=events", "")
	want := "retry: 2000\nid: 7\n\nid: 8\nevent: reset\ndata: {}\n\n" +
		`id: 9` + "\nevent: removed\ndata: " + `{"jobID":"j1","id":"j1","type":"process","processingEntityType":"ogc-api-processes","processID":"p","status":"dismissed"}` + "\n\n"
	if w.Body.String() != want {
		t.Errorf("got\n%s\nwant\n%s", w.Body, want)
	}
}

func TestEventsAreARepresentationToChoose(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		path, accept string
		status       int
		mediaType    string
	}{
		{"/jobs/j1", "", 200, mediaJSON},
		{"/jobs/j1", "*/*", 200, mediaJSON},
		{"/jobs/j1", "text/event-stream", 200, mediaEvents},
		{"/jobs/j1", "Text/Event-Stream", 200, mediaEvents},
		{"/jobs/j1", "text/event-stream;q=0.5, application/json", 200, mediaJSON},
		{"/jobs/j1", "text/event-stream, application/json", 200, mediaJSON},
		{"/jobs/j1", "text/event-stream;q=0", 406, mediaJSON},
		{"/jobs/j1", "text/html", 406, mediaJSON},
		{"/jobs/j1?f=events", "application/json", 200, mediaEvents},
		{"/jobs/j1?f=json", "text/event-stream", 200, mediaJSON},
		{"/jobs/j1?f=xml", "text/event-stream", 400, mediaJSON},
		{"/jobs/none", "text/event-stream", 404, mediaJSON},
		{"/jobs/removed?f=events", "", 410, mediaJSON},
		{"/jobs", "text/event-stream", 200, mediaEvents},
		{"/jobs?processID=p&status=running&type=process&datetime=2020-01-01T00:00:00Z/..", "text/event-stream", 200, mediaEvents},
		{"/jobs?status=x", "text/event-stream", 400, mediaJSON},
		{"/jobs?limit=1", "text/event-stream", 400, mediaJSON},
		{"/jobs?f=events;", "text/event-stream", 400, mediaJSON},
		{"/jobs", "image/png", 406, mediaJSON},
		{"/jobs/j1/results?f=events", "", 400, mediaJSON},
		{"/processes?f=events", "", 400, mediaJSON},
	} {
		t.Run(c.path+" "+c.accept, func(t *testing.T) {
			t.Parallel()
			s := listening(t, &told{steps: [][]*job.Notice{{}}})
			s.results = func(string) (*job.Results, error) { return nil, job.ErrNotReady }
			for _, method := range []string{"GET", "HEAD"} {
				w := do(t, newAPI(t, s), method, c.path, "", "Accept: "+c.accept)
				if w.Code != c.status || w.Header().Get("Content-Type") != c.mediaType {
					t.Errorf("%s: %d %s: %s", method, w.Code, w.Header().Get("Content-Type"), w.Body)
				}
				if c.status == 406 && method == "GET" && !strings.Contains(w.Body.String(), "application/json or text/event-stream only") {
					t.Errorf("it does not say what there is: %s", w.Body)
				}
			}
		})
	}
}

func TestWrongParametersOfEventsAreNamedTogether(t *testing.T) {
	t.Parallel()
	w := do(t, newAPI(t, listening(t, nil)), "GET", "/jobs?limit=1&cursor=x&minDuration=1&maxDuration=2&status=x", "", "Accept: text/event-stream")
	detail := wantProblem(t, w, 400, ogc.InvalidQueryParameterValue).Detail
	for _, name := range []string{"limit", "cursor", "minDuration", "maxDuration", "status"} {
		if !strings.Contains(detail, "parameter "+name) {
			t.Errorf("%q does not name %s", detail, name)
		}
	}
}

func TestLastEventIDSaysWhereAClientStands(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]*job.Place{
		"7.3": {Revision: 7, Line: 3}, "7": {Revision: 7}, "0.0": {},
		"": nil, "x": nil, "7.": nil, "-1": nil, "7.3.1": nil, "99999999999999999999": nil, " 7": nil,
	} {
		r := httptest.NewRequest("GET", "/jobs/j1", nil)
		r.Header["Last-Event-Id"] = []string{id}
		if got := lastPlace(r); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %v, want %v", id, got, want)
		}
	}
	w := do(t, newAPI(t, listening(t, nil)), "GET", "/jobs/j1?f=events", "", "Last-Event-ID: 9.1")
	if w.Code != 204 || w.Body.Len() > 0 {
		t.Errorf("after the end: %d %s", w.Code, w.Body)
	}
}

func TestListenersAreCounted(t *testing.T) {
	t.Parallel()
	l := &told{goesOn: true, steps: [][]*job.Notice{{}}}
	server := httptest.NewServer(newAPI(t, listening(t, l), func(c *Config) { c.MaxListeners = 1 }))
	defer server.Close()
	defer http.DefaultClient.CloseIdleConnections()
	ctx, leave := context.WithTimeout(t.Context(), time.Minute)
	defer leave()
	get := func(ctx context.Context) *http.Response {
		r, _ := http.NewRequestWithContext(ctx, "GET", server.URL+"/jobs/j1?f=events", nil)
		w, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	first, stop := context.WithCancel(ctx)
	get(first) // stays open
	w := get(ctx)
	_ = w.Body.Close()
	if w.StatusCode != 503 || w.Header.Get("Retry-After") != "5" {
		t.Errorf("one too many: %d, Retry-After %q", w.StatusCode, w.Header.Get("Retry-After"))
	}
	stop()
	for w.StatusCode == 503 { // the server notices soon that the first one left
		w = get(ctx)
		_ = w.Body.Close()
	}
	if w.StatusCode != 200 {
		t.Errorf("after one has left: %d", w.StatusCode)
	}
}

// endless always has more to tell.
type endless struct{ told }

func (l *endless) Next(context.Context) ([]*job.Notice, bool, error) {
	return []*job.Notice{{Kind: job.LogNotice, Line: job.LogLine{Message: strings.Repeat("x", 1<<16)}}}, false, nil
}

func (l *endless) More() <-chan struct{} { return l.more }

func TestAClientThatDoesNotReadIsCutOff(t *testing.T) {
	t.Parallel()
	s := listening(t, nil)
	gone := make(chan struct{})
	s.listen = func(context.Context, string, *job.Place) (job.Listener, error) {
		l := &endless{told{more: make(chan struct{})}}
		close(l.more)
		return l, nil
	}
	a := newAPI(t, s)
	a.patience = 200 * time.Millisecond
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(gone)
		a.ServeHTTP(w, r)
	}))
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /jobs/j1?f=events HTTP/1.1\r\nHost: test\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-gone:
	case <-time.After(time.Minute):
		t.Error("the stream goes on")
	}
}

func TestAStreamThatBreaksIsCutOff(t *testing.T) {
	t.Parallel()
	a := newAPI(t, listening(t, &told{steps: [][]*job.Notice{{}, {nil}}}))
	defer func() {
		if v := recover(); v != http.ErrAbortHandler {
			t.Errorf("recovered %v", v)
		}
	}()
	a.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/jobs?f=events", nil))
	t.Error("the stream ends as if it were complete")
}
