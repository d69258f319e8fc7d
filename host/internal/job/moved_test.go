package job_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// swapped is a catalog whose process can be replaced.
type swapped struct{ now atomic.Pointer[job.Process] }

func (s *swapped) Processes() []*job.Process { return []*job.Process{s.now.Load()} }

func (s *swapped) Process(string) (*job.Process, error) { return s.now.Load(), nil }

func (*swapped) Await(context.Context, string) error { return nil }

// edition is the process of process with other inputs and outputs, from another
// plugin file.
func edition(t *testing.T, version, inputs, outputs string) *job.Process {
	t.Helper()
	d := ogc.Process{ProcessSummary: ogc.ProcessSummary{ID: "p", Version: version}}
	if err := json.Unmarshal([]byte(`{"inputs":`+inputs+`,"outputs":`+outputs+`}`), &d); err != nil {
		t.Fatal(err)
	}
	d.ID, d.Version = "p", version
	p, err := job.NewProcess(d, job.Policy{}, job.Plugin{Name: "p", Version: version, Hash: version})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const text = `{"in":{"schema":{"type":"string"}}}`

// TestAJobThatWaitsWhenItsProcessIsReplacedIsCheckedAgain has one job wait for
// the only slot, while the process gets another description.
func TestAJobThatWaitsWhenItsProcessIsReplacedIsCheckedAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		inputs, outputs string
		want            string // faults; empty: it runs
		in              string // what it runs with
	}{
		"the same":        {text, `{"out":{"schema":{}}}`, "", `map[in:"x"]`},
		"wider":           {`{"in":{"schema":{}},"more":{"schema":{},"minOccurs":0}}`, `{"out":{"schema":{}},"log":{"schema":{}}}`, "", `map[in:"x"]`},
		"a default":       {`{"in":{"schema":{}},"more":{"schema":{"default":3}}}`, `{"out":{"schema":{}}}`, "", `map[in:"x" more:3]`},
		"many":            {`{"in":{"schema":{"type":"string"},"maxOccurs":3}}`, `{"out":{"schema":{}}}`, "", `map[in:"x"]`},
		"another type":    {`{"in":{"schema":{"type":"number"}}}`, `{"out":{"schema":{}}}`, "/inputs/in", ""},
		"too few":         {`{"in":{"schema":{"type":"string"},"minOccurs":2,"maxOccurs":3}}`, `{"out":{"schema":{}}}`, "/inputs/in", ""},
		"of many, one":    {`{"in":{"schema":{"maxLength":0},"maxOccurs":3}}`, `{"out":{"schema":{}}}`, "/inputs/in/0", ""},
		"a removed input": {`{}`, `{"out":{"schema":{}}}`, "/inputs/in", ""},
		"a new input":     {`{"in":{"schema":{}},"more":{"schema":{}}}`, `{"out":{"schema":{}}}`, "/inputs/more", ""},
		"a lost output":   {text, `{"log":{"schema":{}}}`, "it has no output out any more", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			catalog := &swapped{}
			catalog.now.Store(edition(t, "1", text, `{"out":{"schema":{}}}`))
			free, begun := make(chan struct{}), make(chan struct{}, 2)
			var ran atomic.Value
			e := executor(func(ctx context.Context, a job.Attempt, _ job.Events) (map[string]job.Value, error) {
				begun <- struct{}{}
				if a.Process.Version == "1" {
					<-free
				} else {
					ran.Store(inputs(a))
				}
				return map[string]job.Value{}, nil
			})
			b := start(t, e, func(c *job.Config) { c.Catalog, c.Slots = catalog, 1 })
			if _, err := b.Submit(t.Context(), async(`"first"`)); err != nil {
				t.Fatal(err)
			}
			within(t, begun, "the first job")
			r := async(`"x"`)
			r.Outputs = map[string]ogc.OutputSelection{"out": {}}
			x, err := b.Submit(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			catalog.now.Store(edition(t, "2", c.inputs, c.outputs))
			close(free)
			if c.want == "" {
				j := b.reaches(t, x.Job.ID, ogc.Successful)
				if j.Plugin.Hash != "2" || ran.Load() != c.in {
					t.Errorf("by %+v with %v", j.Plugin, ran.Load())
				}
				return
			}
			j := b.reaches(t, x.Job.ID, ogc.Failed)
			told := j.Message
			for _, f := range j.Exception.Errors {
				told += " " + f.Pointer
			}
			if j.Exception.Type != ogc.InvalidParameterValue || !strings.Contains(told, "was replaced by version 2") || !strings.HasSuffix(told, c.want) || ran.Load() != nil {
				t.Errorf("%s: %s", j.Exception.Type, told)
			}
		})
	}
}

func inputs(a job.Attempt) string {
	var list []string
	for _, id := range []string{"in", "more"} {
		if v, ok := a.Inputs[id]; ok {
			list = append(list, id+":"+string(v.JSON))
		}
	}
	return "map[" + strings.Join(list, " ") + "]"
}

// TestAJobIsRecordedAsOfWhatRanIt has the executor hand a job to a version that
// replaced the one it was given with.
func TestAJobIsRecordedAsOfWhatRanIt(t *testing.T) {
	t.Parallel()
	first := edition(t, "1", text, `{"out":{"schema":{}}}`)
	catalog := &swapped{}
	catalog.now.Store(first)
	fits := edition(t, "2", `{"in":{"schema":{}},"more":{"schema":{"default":3}}}`, `{"out":{"schema":{}}}`)
	narrow := edition(t, "3", `{"in":{"schema":{"type":"null"}}}`, `{"out":{"schema":{}}}`)
	var next atomic.Pointer[job.Process]
	e := executor(func(ctx context.Context, a job.Attempt, ev job.Events) (map[string]job.Value, error) {
		if err := ev.Moved(next.Load()); err != nil {
			return nil, err
		}
		return map[string]job.Value{"out": {JSON: json.RawMessage(`"` + strings.ReplaceAll(inputs(a), `"`, "") + `"`)}}, nil
	})
	b := start(t, e, func(c *job.Config) { c.Catalog = catalog })
	for name, r := range map[string]job.Request{"sync": request(`"x"`), "async": async(`"x"`)} {
		next.Store(fits)
		x, err := b.Submit(t.Context(), r)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if name == "sync" {
			if got := string(x.Results.Outputs["out"].JSON); got != `"map[in:x more:3]"` || x.Results.Process != fits {
				t.Errorf("ran with %s as %+v", got, x.Results.Process.Plugin)
			}
		} else {
			x.Job = b.reaches(t, x.Job.ID, ogc.Successful)
		}
		if x.Job.Plugin.Hash != "2" {
			t.Errorf("%s: recorded as of %+v", name, x.Job.Plugin)
		}
	}
	next.Store(narrow)
	if _, err := b.Submit(t.Context(), request(`"x"`)); err == nil || !strings.Contains(err.Error(), "replaced by version 3") {
		t.Errorf("inputs that do not fit: %v", err)
	}
}
