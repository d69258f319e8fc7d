package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
	"github.com/google/go-cmp/cmp"
)

const helloExecution = "/processes/hello-world/execution"

// taken is a Submit that keeps what it was asked, the inputs as text.
func taken(inner func(context.Context, job.Request) (*job.Execution, error), into *job.Request, texts map[string]string) func(context.Context, job.Request) (*job.Execution, error) {
	return func(ctx context.Context, r job.Request) (*job.Execution, error) {
		*into = r
		for id, raw := range r.Inputs {
			b, err := raw.Bytes()
			if err != nil {
				return nil, err
			}
			texts[id] = string(b)
		}
		return inner(ctx, r)
	}
}

func TestExecuteRequestsReachTheService(t *testing.T) {
	t.Parallel()
	seconds := func(n int) *time.Duration { d := time.Duration(n) * time.Second; return &d }
	for _, c := range []struct {
		name, body, prefer string
		want               job.Request
		inputs             map[string]string
	}{
		{"the seed's", `{"inputs":{"name":"hi there2"}}`, "", job.Request{}, map[string]string{"name": `"hi there2"`}},
		{"nothing", `{}`, "", job.Request{}, nil},
		{"null members", `{"inputs":null,"outputs":null,"response":null,"subscriber":null,"mode":null}`, "", job.Request{}, nil},
		{"unknown members", `{"x":[1,{"inputs":{}}],"process":"urn:x","inputs":{"a":1}}`, "", job.Request{}, map[string]string{"a": "1"}},
		{"the last of equal members", `{"inputs":{"a":1},"inputs":{"b":1,"b":2},"response":"raw","response":"document"}`, "", job.Request{Response: "document"}, map[string]string{"b": "2"}},
		{"async", `{}`, "respond-async, wait=5", job.Request{Prefer: job.Preference{Async: true, Wait: seconds(5)}}, nil},
		{"old async", `{"mode":"async"}`, "", job.Request{Prefer: job.Preference{Async: true}}, nil},
		{"Prefer before mode", `{"mode":"async"}`, "respond-sync", job.Request{Prefer: job.Preference{Sync: true}}, nil},
		{"no outputs", `{"outputs":{}}`, "", job.Request{Outputs: map[string]ogc.OutputSelection{}}, nil},
		{"outputs", `{"outputs":{"echo":{"transmissionMode":"reference","format":{"mediaType":"application/json","encoding":"utf-8","schema":"urn:s"}},"x":null}}`, "",
			job.Request{Outputs: map[string]ogc.OutputSelection{
				"echo": {TransmissionMode: "reference", Format: &ogc.Format{MediaType: mediaJSON, Encoding: "utf-8", Schema: json.RawMessage(`"urn:s"`)}}, "x": {},
			}}, nil},
		{"words that the service refuses", `{"response":5,"outputs":{"echo":{"transmissionMode":true}}}`, "",
			job.Request{Response: "5", Outputs: map[string]ogc.OutputSelection{"echo": {TransmissionMode: "true"}}}, nil},
		{"subscriber", `{"subscriber":{"successUri":"http://a/b","failedUri":null,"successUrl":5}}`, "",
			job.Request{Subscriber: &ogc.Subscriber{SuccessURI: "http://a/b"}, BaseURL: "http://example.com"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			// In memory, spooled with a known length, and in chunks.
			for _, how := range []string{"memory", "spooled", "chunked"} {
				var got job.Request
				texts := map[string]string{}
				s := hello(t)
				s.submit = taken(asyncSubmit(job.Job{ID: "j1"}), &got, texts)
				a := newAPI(t, s, func(c *Config) {
					if how != "memory" {
						c.SpoolThreshold = 1
					}
				})
				r := httptest.NewRequest("POST", helloExecution, strings.NewReader(c.body))
				if how == "chunked" {
					r.ContentLength = -1
				}
				r.Header.Set("Prefer", c.prefer)
				w := httptest.NewRecorder()
				a.ServeHTTP(w, r)
				if w.Code != 201 {
					t.Fatalf("%s: %d: %s", how, w.Code, w.Body)
				}
				c.want.ProcessID, got.Inputs, got.Caller = "hello-world", nil, ""
				if d := cmp.Diff(c.want, got); d != "" {
					t.Errorf("%s: %s", how, d)
				}
				if c.inputs == nil {
					c.inputs = map[string]string{}
				}
				if d := cmp.Diff(c.inputs, texts); d != "" {
					t.Errorf("%s: inputs %s", how, d)
				}
			}
		})
	}
}

func TestBadExecuteRequestsAreRefused(t *testing.T) {
	t.Parallel()
	jsonBody := []string{"Content-Type: application/json"}
	for _, c := range []struct {
		name, body string
		headers    []string
		status     int
		uri        string
		pointers   []string
	}{
		{"no body", "", jsonBody, 400, ogc.InvalidParameterValue, []string{""}},
		{"blank", "  ", jsonBody, 400, ogc.InvalidParameterValue, []string{""}},
		{"not JSON", "<execute/>", jsonBody, 400, ogc.InvalidParameterValue, []string{""}},
		{"an array", "[]", jsonBody, 400, ogc.InvalidParameterValue, []string{""}},
		{"null", "null", jsonBody, 400, ogc.InvalidParameterValue, []string{""}},
		{"truncated", `{"inputs":{"name":"hi`, jsonBody, 400, ogc.InvalidParameterValue, []string{""}},
		{"text after it", `{"inputs":{}} {}`, jsonBody, 400, ogc.InvalidParameterValue, []string{""}},
		{"nested deeply", `{"inputs":{"name":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `}}`, jsonBody, 400, ogc.InvalidParameterValue, []string{""}},
		{"a control character", "{\"inputs\":{\"name\":\"\x01\"}}", jsonBody, 400, ogc.InvalidParameterValue, []string{""}},
		{"everything of a wrong type", `{"inputs":[],"outputs":[],"subscriber":7,"mode":"later"}`, jsonBody, 400, ogc.InvalidParameterValue, []string{"/inputs", "/outputs", "/subscriber", "/mode"}},
		{"mode is no word", `{"mode":1}`, jsonBody, 400, ogc.InvalidParameterValue, []string{"/mode"}},
		{"an output is no object", `{"outputs":{"a/b":1}}`, jsonBody, 400, ogc.InvalidParameterValue, []string{"/outputs/a~1b"}},
		{"a format is no object", `{"outputs":{"echo":{"format":"x"}}}`, jsonBody, 400, ogc.InvalidParameterValue, []string{"/outputs/echo/format"}},
		{"a media type is no string", `{"outputs":{"echo":{"format":{"mediaType":1}}}}`, jsonBody, 400, ogc.InvalidParameterValue, []string{"/outputs/echo/format/mediaType"}},
		{"a format that the output lacks", `{"outputs":{"echo":{"format":{"mediaType":"image/png"}}}}`, jsonBody, 400, ogc.InvalidParameterValue, []string{"/outputs/echo/format/mediaType"}},
		{"a member too long", `{"response":"` + strings.Repeat("x", maxMember) + `"}`, jsonBody, 400, ogc.InvalidParameterValue, []string{"/response"}},
		{"too large", `{"inputs":{"name":"` + strings.Repeat("x", 1<<20) + `"}}`, jsonBody, 413, blank, nil},
		{"form", "name=x", []string{"Content-Type: application/x-www-form-urlencoded"}, 415, blank, nil},
		{"XML", "<x/>", []string{"Content-Type: text/xml"}, 415, blank, nil},
		{"broken type", "{}", []string{"Content-Type: application/json; x"}, 415, blank, nil},
		{"Latin-1", "{}", []string{"Content-Type: application/json; charset=iso-8859-1"}, 415, blank, nil},
		{"compressed", "{}", []string{"Content-Type: application/json", "Content-Encoding: gzip"}, 415, blank, nil},
		{"a type that the output lacks", "{}", []string{"Accept: image/png"}, 406, blank, nil},
		{"a document in PNG", `{"response":"document"}`, []string{"Accept: image/png"}, 406, blank, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := hello(t)
			s.submit = func(context.Context, job.Request) (*job.Execution, error) {
				t.Error("the service was asked to run it")
				return nil, job.ErrBusy
			}
			for _, chunked := range []bool{false, true} {
				a := newAPI(t, s, func(c *Config) { c.MaxBody = 1 << 20 })
				r := httptest.NewRequest("POST", helloExecution, strings.NewReader(c.body))
				for _, line := range c.headers {
					name, value, _ := strings.Cut(line, ": ")
					r.Header.Set(name, value)
				}
				if chunked {
					r.ContentLength = -1
				}
				w := httptest.NewRecorder()
				a.ServeHTTP(w, r)
				p := wantProblem(t, w, c.status, c.uri)
				var pointers []string
				for _, f := range p.Errors {
					pointers = append(pointers, f.Pointer)
				}
				if d := cmp.Diff(c.pointers, pointers); d != "" {
					t.Errorf("pointers: %s", d)
				}
			}
		})
	}
}

func TestBodiesInUTF8AreAccepted(t *testing.T) {
	t.Parallel()
	a := newAPI(t, hello(t))
	for _, header := range []string{"X: y", "Content-Type: application/json; charset=UTF-8", "Content-Type: Application/JSON", `Content-Type: application/json;charset="utf-8"`, "Content-Encoding: identity"} {
		if w := do(t, a, "POST", helloExecution, "{}", header); w.Code != 200 {
			t.Errorf("%s: %d: %s", header, w.Code, w.Body)
		}
	}
}

func TestSpooledBodiesLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	var got job.Request
	s := hello(t)
	inner := s.submit
	dir := t.TempDir()
	s.submit = func(ctx context.Context, r job.Request) (*job.Execution, error) {
		got = r
		if names, _ := os.ReadDir(dir); len(names) != 0 {
			t.Errorf("files while running: %v", names)
		}
		if raw := r.Inputs["name"]; raw.Text != nil || raw.Section == nil {
			t.Errorf("a large input is in memory: %d bytes", len(raw.Text))
		}
		return inner(ctx, r)
	}
	a := newAPI(t, s, func(c *Config) { c.SpoolDir = dir })
	for body, status := range map[string]int{
		`{"inputs":{"name":"` + strings.Repeat("x", 1<<20) + `"}}`: 200,
		`{"inputs":{"name":"` + strings.Repeat("x", 1<<20):         400,
	} {
		if w := do(t, a, "POST", helloExecution, body); w.Code != status {
			t.Errorf("%d: %s", w.Code, w.Body)
		}
	}
	if _, err := got.Inputs["name"].Bytes(); err == nil {
		t.Error("the spool file is open after the request")
	}
	if names, _ := os.ReadDir(dir); len(names) != 0 {
		t.Errorf("left behind: %v", names)
	}
}

func TestASpoolDirectoryThatIsGoneIsTheServersFault(t *testing.T) {
	t.Parallel()
	a := newAPI(t, hello(t), func(c *Config) { c.SpoolDir += "/none"; c.SpoolThreshold = 1 })
	wantProblem(t, do(t, a, "POST", helloExecution, "{  }"), 500, blank)
}

func TestAsyncExecutionsAreAnsweredWithTheirJob(t *testing.T) {
	t.Parallel()
	s := hello(t)
	s.submit = asyncSubmit(job.Job{ID: "j7", ProcessID: "hello-world", Status: ogc.Accepted, Created: now, Updated: now})
	for base, want := range map[string]string{"": "http://example.com/jobs/j7", "https://x.org/y/": "https://x.org/y/jobs/j7"} {
		a := newAPI(t, s, func(c *Config) { c.BaseURL = base })
		for prefer, applied := range map[string]string{"respond-async": "respond-async", "": ""} {
			w := do(t, a, "POST", helloExecution, "{}", "Prefer: "+prefer, "Accept: image/png;q=0.1, */*;q=0.2")
			status := decode[ogc.StatusInfo](t, w)
			if w.Code != 201 || w.Header().Get("Location") != want || w.Header().Get("Preference-Applied") != applied {
				t.Errorf("%d %v", w.Code, w.Header())
			}
			if status.JobID != "j7" || status.Status != ogc.Accepted || href(status.Links, "monitor") != want {
				t.Errorf("status %+v", status)
			}
		}
	}
}

func TestAsyncExecutionsNeedNoAcceptableResults(t *testing.T) {
	t.Parallel()
	s := hello(t)
	s.submit = asyncSubmit(job.Job{ID: "j7", Status: ogc.Accepted})
	if w := do(t, newAPI(t, s), "POST", helloExecution, "{}", "Prefer: respond-async", "Accept: image/png"); w.Code != 201 {
		t.Errorf("%d: %s", w.Code, w.Body)
	}
}

func TestUnavailableProcessesAreRefusedBeforeTheBodyIsRead(t *testing.T) {
	t.Parallel()
	s := hello(t)
	s.process = func(id string) (*job.Process, error) {
		return nil, &job.UnavailableError{ProcessID: id, Reason: "its plugin crashes at start", RetryAfter: time.Minute}
	}
	r := httptest.NewRequest("POST", helloExecution, failingReader{t})
	w := httptest.NewRecorder()
	newAPI(t, s).ServeHTTP(w, r)
	if p := wantProblem(t, w, 503, job.TypeProcessUnavailable); !strings.Contains(p.Detail, "crashes at start") || w.Header().Get("Retry-After") != "60" {
		t.Errorf("%+v, %v", p, w.Header())
	}
}

func TestUnavailableProcessesAreDescribedAllTheSame(t *testing.T) {
	t.Parallel()
	s := hello(t)
	known := s.processes[0]
	s.process = func(id string) (*job.Process, error) {
		return known, &job.UnavailableError{ProcessID: id, Reason: "its plugin crashes at start"}
	}
	if w := do(t, newAPI(t, s), "GET", "/processes/"+known.ID, ""); w.Code != 200 {
		t.Errorf("%d: %s", w.Code, w.Body)
	}
}

// deadlines is a ResponseWriter whose connection notes its read deadlines.
type deadlines struct {
	*httptest.ResponseRecorder
	set []time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error {
	d.set = append(d.set, t)
	return nil
}

func TestBodiesAreWaitedForWithPatienceThatEnds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		size  int
		moves int // of the deadline while the body comes
	}{"small": {10, 0}, "spooled": {3*patienceStep + 10, 3}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := hello(t)
			w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
			s.submit = func(context.Context, job.Request) (*job.Execution, error) {
				if n := len(w.set); n < 2+c.moves || w.set[0].Before(time.Now()) || !w.set[n-1].IsZero() {
					t.Errorf("deadlines %v", w.set)
				}
				return nil, job.ErrBusy
			}
			body := `{"inputs":{"name":"` + strings.Repeat("a", c.size) + `"}}`
			newAPI(t, s).ServeHTTP(w, httptest.NewRequest("POST", helloExecution, strings.NewReader(body)))
			wantProblem(t, w.ResponseRecorder, 503, blank)
		})
	}
}

func TestBodyThatStallsIsAnswered408(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("POST", helloExecution, iotest.ErrReader(os.ErrDeadlineExceeded))
	r.ContentLength = 10
	w := httptest.NewRecorder()
	newAPI(t, hello(t)).ServeHTTP(w, r)
	wantProblem(t, w, 408, blank)
}

type failingReader struct{ t *testing.T }

func (f failingReader) Read([]byte) (int, error) {
	f.t.Error("the body was read")
	return 0, io.ErrUnexpectedEOF
}

func TestClientsThatGoAwayCancelTheRun(t *testing.T) {
	t.Parallel()
	s := hello(t)
	began, ended := make(chan struct{}), make(chan error, 1)
	s.submit = func(ctx context.Context, _ job.Request) (*job.Execution, error) {
		close(began)
		<-ctx.Done()
		ended <- context.Cause(ctx)
		return nil, context.Cause(ctx)
	}
	server := httptest.NewServer(newAPI(t, s))
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-began; cancel() }()
	r, _ := http.NewRequestWithContext(ctx, "POST", server.URL+helloExecution, strings.NewReader("{}"))
	if resp, err := server.Client().Do(r); err == nil {
		resp.Body.Close()
		t.Error("there was an answer")
	}
	select {
	case err := <-ended:
		if err != context.Canceled {
			t.Errorf("ended with %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the run goes on")
	}
}

func TestManyClientsAtOnceGetTheirOwnAnswers(t *testing.T) {
	t.Parallel()
	p := testProcess(t, "echo", map[string]string{"name": `{}`})
	s := &fakeService{processes: []*job.Process{p}}
	s.submit = func(ctx context.Context, r job.Request) (*job.Execution, error) {
		b, err := r.Inputs["name"].Bytes()
		if err != nil {
			return nil, err
		}
		return answer(p, map[string]job.Value{"name": {JSON: b}}, false)(ctx, r)
	}
	server := httptest.NewServer(newAPI(t, s, func(c *Config) { c.SpoolThreshold = 1000 }))
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer client.CloseIdleConnections()
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			for n := range 4 {
				want := fmt.Sprintf(`"%d-%d-%s"`, i, n, strings.Repeat("x", n*1000))
				resp, err := client.Post(server.URL+"/processes/echo/execution", mediaJSON, strings.NewReader(`{"inputs":{"name":`+want+`}}`))
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || !bytes.Equal(got, []byte(want)) {
					t.Errorf("%d: got %.30q, want %.30q, %v", resp.StatusCode, got, want, err)
				}
			}
		})
	}
	wg.Wait()
}
