package job_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"geomill/host/internal/job"
	"geomill/host/internal/job/jobtest"
	"geomill/sdk/ogc"
)

// deterministic is "p" with an input "in" of any JSON and outputs "out" and
// "more", as a plugin of a hash offers it.
func deterministic(t testing.TB, hash string) *job.Process {
	t.Helper()
	p, err := job.NewProcess(ogc.Process{
		ProcessSummary: ogc.ProcessSummary{ID: "p", Version: "1"},
		Inputs:         map[string]ogc.Input{"in": {Schema: json.RawMessage(`{}`)}},
		Outputs:        map[string]ogc.Output{"out": {Schema: json.RawMessage(`{}`)}, "more": {Schema: json.RawMessage(`{}`)}},
	}, job.Policy{Deterministic: true}, job.Plugin{Name: "p", Version: "1", Hash: hash})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// offered is a catalog whose only process can be replaced.
type offered struct{ atomic.Pointer[job.Process] }

func offer(p *job.Process) *offered {
	o := new(offered)
	o.Store(p)
	return o
}

func (o *offered) Processes() []*job.Process            { return []*job.Process{o.Load()} }
func (o *offered) Process(string) (*job.Process, error) { return o.Load(), nil }
func (*offered) Await(context.Context, string) error    { return nil }

// in puts the catalog into a configuration.
func (o *offered) in(c *job.Config) { c.Catalog = o }

func counting(runs *atomic.Int32) executor { return counter{runs, 1}.execute }

// counter returns the number of the run as output "out", as a file when it is
// above one byte long.
type counter struct {
	runs *atomic.Int32
	size int
}

func (c counter) execute(_ context.Context, a job.Attempt, _ job.Events) (map[string]job.Value, error) {
	text := fmt.Sprintf("%0*d", c.size, c.runs.Add(1))
	if c.size == 1 {
		return map[string]job.Value{"out": {JSON: json.RawMessage(text)}}, nil
	}
	name := filepath.Join(a.Dir, "out")
	if err := errors.Join(os.MkdirAll(a.Dir, 0o700), os.WriteFile(name, []byte(text), 0o600)); err != nil {
		return nil, err
	}
	return map[string]job.Value{"out": {File: name, Size: int64(c.size), MediaType: "text/plain"}}, nil
}

// shows returns the output of an execution or a job.
func shows(t testing.TB, r *job.Results) string {
	t.Helper()
	f, err := r.Outputs["out"].Open()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text := make([]byte, 100)
	n, _ := f.Read(text)
	return strings.TrimLeft(string(text[:n]), "0")
}

func (b *bench) shown(t testing.TB, id string) string {
	t.Helper()
	r, err := b.Results(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	return shows(t, r)
}

// source runs a job whose results can be reused.
func (b *bench) source(t testing.TB, text string) job.Job {
	t.Helper()
	return b.reaches(t, b.submit(t, async(text)).ID, ogc.Successful)
}

func TestSyncRequestIsAnsweredByAnEqualJob(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 90} {
		var runs atomic.Int32
		b := start(t, counter{&runs, size}.execute, offer(deterministic(t, "h1")).in, func(c *job.Config) { c.SweepEvery = 100 * time.Microsecond })
		source := b.source(t, `{"a":[1.0,"x"],"b":null}`)
		x, err := b.Submit(t.Context(), request(` { "b":null, "\u0061" : [10e-1,"\u0078"]}`))
		if err != nil {
			t.Fatal(err)
		}
		if x.Recorded || x.Job.ID == source.ID || x.Job.Status != ogc.Successful || !x.ResultsOf.Equal(source.Finished) {
			t.Errorf("execution %+v", x)
		}
		if _, err := b.Dismiss(t.Context(), source.ID); err != nil {
			t.Fatal(err)
		}
		if got := shows(t, x.Results); got != "1" { // though the other job is gone
			t.Errorf("output %s", got)
		}
		x.Results.Close()
		if left, _ := os.ReadDir(b.dir); len(left) > 0 || runs.Load() != 1 {
			t.Errorf("left %v after %d runs", left, runs.Load())
		}
		if y, err := b.Submit(t.Context(), request(`{"a":[1,"x"],"b":null}`)); err != nil || shows(t, y.Results) != "2" || !y.ResultsOf.IsZero() {
			t.Errorf("%+v, %v is not new, though the source was removed", y, err)
		}
	}
}

func TestJobWithReusedResultsIsAJobOfItsOwn(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 90} {
		var runs atomic.Int32
		b := start(t, counter{&runs, size}.execute, offer(deterministic(t, "h1")).in)
		source := b.source(t, `1`)
		x, err := b.Submit(t.Context(), async(`1.0`))
		if err != nil {
			t.Fatal(err)
		}
		j := x.Job
		if j.Status != ogc.Successful || x.Results != nil || j.ReusedFrom != source.ID || j.ID == source.ID || !strings.Contains(j.Message, source.ID) ||
			j.Finished.IsZero() || len(j.Outputs) != 1 || j.Outputs["out"] != source.Outputs["out"] {
			t.Errorf("job %+v", j)
		}
		wait := patience
		r := request(`1`)
		r.Prefer.Wait = &wait
		if x, err := b.Submit(t.Context(), r); err != nil || x.Results == nil || !x.Recorded || shows(t, x.Results) != "1" || x.ResultsOf.IsZero() {
			t.Errorf("with wait: %+v, %v", x, err)
		}
		for _, remove := range []string{source.ID, j.ID} { // either may go first
			if _, err := b.Dismiss(t.Context(), remove); err != nil {
				t.Fatal(err)
			}
			if remove == source.ID && b.shown(t, j.ID) != "1" {
				t.Error("the copy went with the source")
			}
		}
		if left, _ := os.ReadDir(b.dir); len(left) > 0 || runs.Load() != 1 {
			t.Errorf("left %v after %d runs", left, runs.Load())
		}
		if y := b.source(t, `1`); b.shown(t, y.ID) != "2" {
			t.Error("a copy was copied, though its source was removed")
		}
	}
}

func TestSyncRequestThatLeavesARecordLeavesOneOfItsOwn(t *testing.T) {
	t.Parallel()
	var runs atomic.Int32
	b := start(t, counting(&runs), offer(deterministic(t, "h1")).in, func(c *job.Config) { c.RecordSync = true })
	first := b.submit(t, request(`1`))
	x, err := b.Submit(t.Context(), request(`1`))
	if err != nil {
		t.Fatal(err)
	}
	if !x.Recorded || shows(t, x.Results) != "1" || x.Job.ReusedFrom != first.ID || !x.Job.Sync {
		t.Errorf("execution %+v", x)
	}
	b.reaches(t, x.Job.ID, ogc.Successful)
}

func TestRequestsThatDifferAreRun(t *testing.T) {
	t.Parallel()
	var runs atomic.Int32
	catalog := offer(deterministic(t, "h1"))
	begin, later := time.Now(), atomic.Int64{} // in nanoseconds
	now := func() time.Time { return begin.Add(time.Duration(later.Load())) }
	b := start(t, counting(&runs), catalog.in, func(c *job.Config) { c.Now = now })
	large := func(gap string) string { return `["` + strings.Repeat("x", 300<<10) + `",` + gap + `1]` }
	b.source(t, `1`)
	b.source(t, large(""))
	only := func(mediaType string) func(*job.Request) {
		return func(r *job.Request) {
			r.Outputs = map[string]ogc.OutputSelection{"out": {Format: &ogc.Format{MediaType: mediaType}}}
		}
	}
	some := async(`1`)
	only("text/plain")(&some)
	b.reaches(t, b.submit(t, some).ID, ogc.Successful)
	none := async(`1`)
	none.Outputs = map[string]ogc.OutputSelection{}
	b.reaches(t, b.submit(t, none).ID, ogc.Successful)
	for _, c := range []struct {
		name, in string
		change   func(*job.Request)
		hit      bool
	}{
		{"same", `1`, func(*job.Request) {}, true},
		{"same, shown otherwise", `1`, func(r *job.Request) { r.Response = "document" }, true},
		{"same, all outputs named", `1`, func(r *job.Request) {
			r.Outputs = map[string]ogc.OutputSelection{"more": {}, "out": {TransmissionMode: "value"}}
		}, true},
		{"same, large", large(""), func(*job.Request) {}, true},
		{"large, spelled otherwise", large(" "), func(*job.Request) {}, false},
		{"other input", `2`, func(*job.Request) {}, false},
		{"without input", `1`, func(r *job.Request) { r.Inputs = nil }, false},
		{"same outputs", `1`, only("text/plain"), true},
		{"other format", `1`, only("text/html"), false},
		{"no outputs", `1`, func(r *job.Request) { r.Outputs = map[string]ogc.OutputSelection{} }, false},
		{"no-store", `1`, func(r *job.Request) { r.Cache.NoStore = true }, false},
		{"no-cache", `1`, func(r *job.Request) { r.Cache.NoCache = true }, false},
		{"young enough", `1`, func(r *job.Request) { r.Cache.MaxAge = new(10 * time.Second) }, true},
		{"too old", `1`, func(r *job.Request) { later.Add(int64(11 * time.Second)); r.Cache.MaxAge = new(10 * time.Second) }, false},
		{"other plugin", `1`, func(*job.Request) { catalog.Store(deterministic(t, "h2")) }, false},
		{"plugin without a hash", `1`, func(*job.Request) { catalog.Store(deterministic(t, "")) }, false},
		{"not deterministic", `1`, func(*job.Request) {
			p := deterministic(t, "h1")
			p.Policy.Deterministic = false
			catalog.Store(p)
		}, false},
	} {
		r := request(c.in)
		c.change(&r)
		if r.Inputs == nil {
			p := deterministic(t, "h1")
			d := p.Process
			d.Inputs = map[string]ogc.Input{"in": {Schema: json.RawMessage(`{}`), MinOccurs: new(0)}}
			p, err := job.NewProcess(d, p.Policy, p.Plugin)
			if err != nil {
				t.Fatal(err)
			}
			catalog.Store(p)
		}
		before := runs.Load()
		x, err := b.Submit(t.Context(), r)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		x.Results.Close()
		if hit := runs.Load() == before; hit != c.hit || hit == x.ResultsOf.IsZero() {
			t.Errorf("%s: hit %v, results of %s", c.name, hit, x.ResultsOf)
		}
	}
}

func TestFreshResultsReplaceStoredOnes(t *testing.T) {
	t.Parallel()
	var runs atomic.Int32
	b := start(t, counting(&runs), offer(deterministic(t, "h1")).in)
	b.source(t, `1`)
	for _, c := range []struct {
		cache job.CacheControl
		then  string
	}{{job.CacheControl{NoStore: true}, "1"}, {job.CacheControl{NoCache: true}, "3"}} {
		r := async(`1`)
		r.Cache = c.cache
		b.reaches(t, b.submit(t, r).ID, ogc.Successful)
		if got := b.shown(t, b.submit(t, async(`1`)).ID); got != c.then {
			t.Errorf("after %+v the results are those of run %s, want %s", c.cache, got, c.then)
		}
	}
}

func TestJobsWithoutSuccessAreNotReused(t *testing.T) {
	t.Parallel()
	started := make(chan string, 1)
	var fail atomic.Bool
	fail.Store(true)
	b := start(t, func(ctx context.Context, a job.Attempt, ev job.Events) (map[string]job.Value, error) {
		if fail.Load() {
			return nil, &job.Failure{Kind: job.ProcessFailed, Detail: "no luck"}
		}
		return hang(started)(ctx, a, ev)
	}, offer(deterministic(t, "h1")).in)
	b.reaches(t, b.submit(t, async(`1`)).ID, ogc.Failed)
	fail.Store(false)
	for range 2 { // the second does not take the dismissed one
		id := b.submit(t, async(`1`)).ID
		<-started
		if _, err := b.Dismiss(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPluginReplacedDuringTheRunLeavesNothingToReuse(t *testing.T) {
	t.Parallel()
	var runs atomic.Int32
	catalog := offer(deterministic(t, "h1"))
	b := start(t, func(ctx context.Context, a job.Attempt, ev job.Events) (map[string]job.Value, error) {
		if runs.Load() == 0 {
			catalog.Store(deterministic(t, "h2"))
		}
		return counting(&runs)(ctx, a, ev)
	}, catalog.in)
	b.source(t, `1`)
	for _, hash := range []string{"h1", "h2"} {
		catalog.Store(deterministic(t, hash))
		before := runs.Load()
		if b.source(t, `1`); runs.Load() == before {
			t.Errorf("the results were reused for plugin %s", hash)
		}
	}
}

func TestSubscriberHearsOfReusedResults(t *testing.T) {
	t.Parallel()
	var runs atomic.Int32
	calls := &callbacks{}
	b := start(t, counting(&runs), offer(deterministic(t, "h1")).in, func(c *job.Config) {
		calls.MemoryStore = c.Store.(*jobtest.MemoryStore)
		c.Callbacks = calls
	})
	b.source(t, `1`)
	j := b.submit(t, subscribed(async(`1`)))
	if d := posted(t, b, j.ID); j.ReusedFrom == "" || d.Event != job.OnSuccess {
		t.Errorf("job %+v, callback %+v", j, d)
	}
}

// failingReuse is a store that cannot look for results.
type failingReuse struct{ *jobtest.MemoryStore }

func (failingReuse) Reusable(context.Context, string, string) (job.Job, error) {
	return job.Job{}, errors.New("disk error")
}

func TestRequestIsRunWhenStoredResultsCannotBeRead(t *testing.T) {
	t.Parallel()
	var runs atomic.Int32
	b := start(t, counting(&runs), offer(deterministic(t, "h1")).in, func(c *job.Config) {
		c.Store = failingReuse{c.Store.(*jobtest.MemoryStore)}
	})
	b.source(t, `1`)
	if b.source(t, `1`); runs.Load() != 2 {
		t.Errorf("%d runs", runs.Load())
	}
}
