package api

import (
	"context"
	"errors"
	"testing"
	"time"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

func TestValidationSaysHowARequestWouldBeExecuted(t *testing.T) {
	t.Parallel()
	s := hello(t)
	var plan job.Plan
	s.validate = func(context.Context, job.Request) (job.Plan, error) { return plan, nil }
	s.submit = func(context.Context, job.Request) (*job.Execution, error) { return nil, errors.New("executed") }
	a := newAPI(t, s)
	for _, c := range []struct {
		plan       job.Plan
		body, want string
		prefer     string
	}{
		{
			job.Plan{Mode: job.Sync}, `{"inputs":{"name":"x"}}`,
			`{"valid":true,"processID":"hello-world","mode":"sync","outputs":{"echo":{}}}`, "return=minimal",
		},
		{
			job.Plan{Mode: job.Async}, `{"outputs":{"echo":{"transmissionMode":"reference"}}}`,
			`{"valid":true,"processID":"hello-world","mode":"async","outputs":{"echo":{"transmissionMode":"reference"}},"preferenceApplied":"respond-async"}`, "respond-async",
		},
		{
			job.Plan{Mode: job.Wait, Wait: time.Second}, `{"outputs":{}}`,
			`{"valid":true,"processID":"hello-world","mode":"async","outputs":{},"preferenceApplied":"wait=30"}`, "wait=30, respond-async",
		},
	} {
		plan = c.plan
		w := do(t, a, "POST", "/processes/hello-world/validation", c.body, "Prefer: "+c.prefer)
		if w.Code != 200 {
			t.Fatalf("%d: %s", w.Code, w.Body)
		}
		same(t, w.Body.Bytes(), c.want)
	}
}

func TestValidationRefusesWhatExecutionRefuses(t *testing.T) {
	t.Parallel()
	s := hello(t)
	fault := &job.InvalidError{Faults: []ogc.Fault{{Input: "name", Pointer: "/inputs/name", Message: "is odd"}}}
	s.validate = func(context.Context, job.Request) (job.Plan, error) { return job.Plan{}, fault }
	s.submit = func(context.Context, job.Request) (*job.Execution, error) { return nil, fault }
	a := newAPI(t, s)
	for _, c := range []struct{ process, body, header string }{
		{"hello-world", `{}`, ""},
		{"hello-world", `{`, ""},
		{"hello-world", ``, ""},
		{"hello-world", `{"inputs":[],"response":5,"outputs":{"echo":1}}`, ""},
		{"hello-world", `{"outputs":{"echo":{"format":{"mediaType":"image/png"}}}}`, ""},
		{"hello-world", `{}`, "Accept: image/png"},
		{"hello-world", `{}`, "Content-Type: text/xml"},
		{"none", `{}`, ""},
	} {
		w, want := do(t, a, "POST", "/processes/"+c.process+"/validation", c.body, c.header), do(t, a, "POST", "/processes/"+c.process+"/execution", c.body, c.header)
		got, problem := decode[ogc.Exception](t, w), decode[ogc.Exception](t, want)
		problem.Instance = got.Instance
		if w.Code != want.Code || w.Code < 400 || got.Detail != problem.Detail || got.Type != problem.Type || len(got.Errors) != len(problem.Errors) {
			t.Errorf("%s %s: %d %+v, execution %d %+v", c.body, c.header, w.Code, got, want.Code, problem)
		}
	}
}

func TestValidationIsLinkedAndTakesPostOnly(t *testing.T) {
	t.Parallel()
	a := newAPI(t, hello(t))
	d := decode[ogc.Process](t, do(t, a, "GET", "/processes/hello-world", ""))
	if got := href(d.Links, "related"); got != "http://example.com/processes/hello-world/validation" {
		t.Errorf("link %q", got)
	}
	for _, method := range []string{"GET", "HEAD", "PUT"} {
		w := do(t, a, method, "/processes/hello-world/validation", "")
		if w.Code != 405 || w.Header().Get("Allow") != "OPTIONS, POST" {
			t.Errorf("%s: %d, Allow %q", method, w.Code, w.Header().Get("Allow"))
		}
	}
}
