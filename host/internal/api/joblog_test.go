package api

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"geomill/host/internal/job"
	"geomill/host/internal/job/jobtest"
	"geomill/sdk/ogc"
)

// logged is an API of a service whose process "p" runs as given, and the path of
// a job of it that has started.
func logged(t *testing.T, run executorFunc) (*API, string) {
	t.Helper()
	p := testProcess(t, "p", objectOutput)
	dir := t.TempDir()
	s, err := job.NewService(job.Config{
		Catalog: &fakeService{processes: []*job.Process{p}}, Executor: run, Store: jobtest.NewMemoryStore(t),
		Queue: jobtest.NewMemoryQueue(10, time.Minute), Logs: jobtest.NewMemoryLogs(), Logger: slog.New(slog.DiscardHandler), Dir: dir,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	a := newAPI(t, s)
	w := do(t, a, "POST", "/processes/p/execution", `{"inputs":{"name":"x"}}`, "Prefer: respond-async", "Content-Type: application/json")
	if w.Code != http.StatusCreated {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	at, err := url.Parse(w.Header().Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	return a, at.Path
}

type executorFunc func(ctx context.Context, a job.Attempt, ev job.Events) (map[string]job.Value, error)

func (e executorFunc) Execute(ctx context.Context, a job.Attempt, ev job.Events) (map[string]job.Value, error) {
	return e(ctx, a, ev)
}

// logDocument is the log as JSON.
type logDocument struct {
	Logs  []job.LogLine
	Links []ogc.Link
}

func (d logDocument) messages() string {
	var all []string
	for _, l := range d.Logs {
		all = append(all, l.Message)
	}
	return strings.Join(all, ",")
}

// reaches polls until a job has ended.
func reaches(t *testing.T, a *API, path string, s ogc.Status) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(2 * time.Millisecond) {
		if got := decode[ogc.StatusInfo](t, do(t, a, "GET", path, "")); got.Status == s {
			return
		} else if time.Now().After(end) {
			t.Fatalf("the job is %s, not %s", got.Status, s)
		}
	}
}

func works(_ context.Context, _ job.Attempt, ev job.Events) (map[string]job.Value, error) {
	ev.Log(slog.LevelDebug, "first", nil)
	ev.Log(slog.LevelInfo, "second\nline\x1b[31m", json.RawMessage(`{"a": "<b>"}`))
	ev.Log(slog.LevelError, "third", nil)
	return map[string]job.Value{"echo": {JSON: json.RawMessage(`{}`)}}, nil
}

func TestTheLogOfAJobIsTextOrJSON(t *testing.T) {
	t.Parallel()
	a, path := logged(t, works)
	reaches(t, a, path, ogc.Successful)
	for _, c := range []struct{ query, accept, mediaType string }{
		{"", "", mediaText},
		{"", "*/*", mediaText},
		{"", "text/html,*/*;q=0.8", mediaText},
		{"", "application/json", mediaJSON},
		{"", "text/plain;q=0.5, application/json", mediaJSON},
		{"?f=json", "text/plain", mediaJSON},
		{"?f=text", "application/json", mediaText},
	} {
		w := do(t, a, "GET", path+"/logs"+c.query, "", "Accept: "+c.accept)
		if got := w.Header().Get("Content-Type"); w.Code != 200 || !sameType(got, c.mediaType) {
			t.Errorf("%q with Accept %q: %d %s", c.query, c.accept, w.Code, got)
		}
		if got := w.Header().Get("Cache-Control"); got != cacheDocument {
			t.Errorf("Cache-Control of the log of an ended job is %q", got)
		}
	}
	text := strings.Split(do(t, a, "GET", path+"/logs", "").Body.String(), "\n")
	for i, want := range []string{
		`INFO  host    accepted`, `INFO  host    started attempt 1 {"plugin":"test","version":""}`, `DEBUG process first`,
		`INFO  process second\nline\u001b[31m {"a":"<b>"}`, `ERROR process third`, `INFO  host    successful`, ``,
	} {
		if i >= len(text) || !strings.HasSuffix(text[i], want) || want != "" && len(text[i]) != len("2026-01-02T03:04:05.000Z ")+len(want) {
			t.Errorf("line %d of %q, want one that ends in %q", i, text, want)
		}
	}
	d := decode[logDocument](t, do(t, a, "GET", path+"/logs?f=json", ""))
	if len(d.Logs) != 6 || d.Logs[3].Message != "second\nline\\u001b[31m" || d.Logs[3].Seq != 4 || d.Logs[3].Source != job.FromProcess {
		t.Errorf("log %+v", d.Logs)
	}
	if href(d.Links, "next") != "" || href(d.Links, "self") == "" || href(d.Links, "alternate") == "" {
		t.Errorf("links of a complete log: %+v", d.Links)
	}
	w := do(t, a, "HEAD", path+"/logs", "")
	if w.Code != 200 || w.Body.Len() > 0 || !sameType(w.Header().Get("Content-Type"), mediaText) {
		t.Errorf("HEAD: %d %v %q", w.Code, w.Header(), w.Body)
	}
}

func TestTheLogIsChosenByLevelNumberAndLimit(t *testing.T) {
	t.Parallel()
	a, path := logged(t, works)
	reaches(t, a, path, ogc.Successful)
	for query, want := range map[string]string{
		"level=debug":                 "accepted,started attempt 1,first,second\nline\\u001b[31m,third,successful",
		"level=warn":                  "third",
		"level=ERROR":                 "third",
		"after=4":                     "third,successful",
		"after=99":                    "",
		"limit=1":                     "accepted",
		"limit=99999999999999999999":  "accepted,started attempt 1,first,second\nline\\u001b[31m,third,successful",
		"after=1&limit=1":             "started attempt 1",
		"after=2&limit=1&level=error": "third",
	} {
		d := decode[logDocument](t, do(t, a, "GET", path+"/logs?f=json&"+query, ""))
		if got := d.messages(); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	// A client that follows the links has every line once.
	var pages []string
	for next := path + "/logs?f=json&limit=4&level=info"; next != ""; {
		w := do(t, a, "GET", next, "")
		d := decode[logDocument](t, w)
		pages = append(pages, d.messages())
		next = href(d.Links, "next")
		if inHeader := strings.Contains(strings.Join(w.Header().Values("Link"), ","), `rel="next"`); inHeader != (next != "") {
			t.Errorf("next in the header: %t, in the document %q", inHeader, next)
		}
		if len(pages) > 5 {
			t.Fatalf("the links go on for ever: %q", pages)
		}
	}
	if got := strings.Join(pages, "|"); got != "accepted,started attempt 1,second\nline\\u001b[31m,third|successful" {
		t.Errorf("pages %q", got)
	}
}

func TestTheLogOfARunningJobGrows(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	a, path := logged(t, func(_ context.Context, _ job.Attempt, ev job.Events) (map[string]job.Value, error) {
		ev.Log(slog.LevelInfo, "one", nil)
		<-gate
		ev.Log(slog.LevelInfo, "two", nil)
		return map[string]job.Value{"echo": {JSON: json.RawMessage(`{}`)}}, nil
	})
	var w *httptest.ResponseRecorder
	for end := time.Now().Add(time.Minute); w == nil || !strings.Contains(w.Body.String(), `"one"`); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the log of a running job is %s", w.Body)
		}
		w = do(t, a, "GET", path+"/logs?f=json", "")
	}
	if got := w.Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control of the log of a running job is %q", got)
	}
	next := href(decode[logDocument](t, w).Links, "next")
	close(gate)
	reaches(t, a, path, ogc.Successful)
	if got := decode[logDocument](t, do(t, a, "GET", next, "")).messages(); got != "two,successful" {
		t.Errorf("what followed is %q", got)
	}
}

func TestWrongRequestsForALogAreRefused(t *testing.T) {
	t.Parallel()
	a := newAPI(t, &fakeService{jobs: map[string]job.Job{"j1": {ID: "j1"}}})
	e := wantProblem(t, do(t, a, "GET", "/jobs/j1/logs?level=loud&after=-1&limit=0&f=xml", ""), 400, ogc.InvalidQueryParameterValue)
	for _, name := range []string{"level", "after", "limit", "parameter f:"} {
		if !strings.Contains(e.Detail, name) {
			t.Errorf("%q does not name %s", e.Detail, name)
		}
	}
	wantProblem(t, do(t, a, "GET", "/jobs/j1/logs", "", "Accept: image/png"), 406, blank)
	wantProblem(t, do(t, a, "GET", "/jobs/none/logs", ""), 404, ogc.NoSuchJob)
	wantProblem(t, do(t, a, "GET", "/jobs/removed/logs", ""), 410, ogc.NoSuchJob)
	wantProblem(t, do(t, a, "POST", "/jobs/j1/logs", ""), 405, blank)
}

func TestAStatusLeadsToTheLog(t *testing.T) {
	t.Parallel()
	s := statusInfo(job.Job{ID: "j1", Status: ogc.Running, Estimated: time.Unix(1e9, 0)}, "http://a.example")
	if got := href(s.Links, ogc.RelLog); got != "http://a.example/jobs/j1/logs" {
		t.Errorf("link to the log is %q", got)
	}
	if s.EstimatedCompletion == nil || !s.EstimatedCompletion.Equal(time.Unix(1e9, 0)) {
		t.Errorf("estimated completion %v", s.EstimatedCompletion)
	}
}
