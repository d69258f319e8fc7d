package job_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"geomill/host/internal/job"
	"geomill/host/internal/job/jobtest"
	"geomill/sdk/ogc"
)

// patience bounds every wait of these tests; only a hang is longer.
const patience = time.Minute

// bench is a service on a memory store with an executor that a test scripts.
type bench struct {
	*job.Service
	store *jobtest.MemoryStore
	queue job.Queue
	dir   string
	stop  func() // ends Run and waits for it
}

type executor func(ctx context.Context, a job.Attempt, ev job.Events) (map[string]job.Value, error)

func (e executor) Execute(ctx context.Context, a job.Attempt, ev job.Events) (map[string]job.Value, error) {
	return e(ctx, a, ev)
}

type catalog []*job.Process

func (c catalog) Processes() []*job.Process { return c }

func (c catalog) Process(id string) (*job.Process, error) {
	i := slices.IndexFunc(c, func(p *job.Process) bool { return p.ID == id })
	if i < 0 {
		return nil, job.ErrNoSuchProcess
	}
	return c[i], nil
}

func (catalog) Await(context.Context, string) error { return nil }

// process is "p" with an input "in" and an output "out", retried once.
func process(t testing.TB) *job.Process {
	t.Helper()
	p, err := job.NewProcess(ogc.Process{
		ProcessSummary: ogc.ProcessSummary{ID: "p", Version: "1"},
		Inputs:         map[string]ogc.Input{"in": {Schema: json.RawMessage(`{"type":"string"}`)}},
		Outputs:        map[string]ogc.Output{"out": {Schema: json.RawMessage(`{"type":"string"}`)}},
	}, job.Policy{RetryAttempts: 1}, job.Plugin{Name: "p", Version: "1"})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func start(t testing.TB, e executor, change ...func(*job.Config)) *bench {
	t.Helper()
	b := &bench{store: jobtest.NewMemoryStore(t), queue: jobtest.NewMemoryQueue(100, time.Minute), dir: t.TempDir()}
	b.open(t, e, change...)
	return b
}

// open makes a service on the bench's store and runs it: a first one, or one
// that takes over after another.
func (b *bench) open(t testing.TB, e executor, change ...func(*job.Config)) {
	t.Helper()
	c := job.Config{
		Catalog: catalog{process(t)}, Store: b.store, Queue: b.queue, Executor: e,
		Logger: slog.New(slog.DiscardHandler), Dir: b.dir, Slots: 4, Grace: time.Second, Drain: time.Millisecond,
	}
	for _, f := range change {
		f(&c)
	}
	var err error
	if b.Service, err = job.NewService(c); err != nil {
		t.Fatal(err)
	}
	if err := b.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := b.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	b.stop = func() { cancel(); within(t, ended, "the service to stop") }
	t.Cleanup(func() { b.stop() })
}

func within(t testing.TB, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatalf("waited too long for %s", what)
	}
}

// reaches polls until the job has the status.
func (b *bench) reaches(t testing.TB, id string, s ogc.Status) job.Job {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	end := time.After(patience)
	for {
		j, err := b.Job(context.Background(), id)
		if err == nil && j.Status == s {
			return j
		}
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("job is %+v (%v), not %s", j, err, s)
		}
	}
}

func request(text string) job.Request {
	return job.Request{ProcessID: "p", Inputs: map[string]job.Raw{"in": {Text: json.RawMessage(text)}}}
}

func async(text string) job.Request {
	r := request(text)
	r.Prefer.Async = true
	return r
}

func (b *bench) submit(t testing.TB, r job.Request) job.Job {
	t.Helper()
	x, err := b.Submit(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if x.Results != nil {
		x.Results.Close()
	}
	return x.Job
}

func echo(_ context.Context, a job.Attempt, _ job.Events) (map[string]job.Value, error) {
	return map[string]job.Value{"out": a.Inputs["in"]}, nil
}

// hang works until it is cancelled; it tells on started.
func hang(started chan<- string) executor {
	return func(ctx context.Context, a job.Attempt, _ job.Events) (map[string]job.Value, error) {
		started <- a.JobID
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
}

func (b *bench) listed(t testing.TB) []job.Job {
	t.Helper()
	p, err := b.Jobs(t.Context(), job.Filter{}, job.Cursor{}, 100)
	if err != nil {
		t.Fatal(err)
	}
	return p.Jobs
}

func TestPlainSyncExecutionLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	b := start(t, func(_ context.Context, a job.Attempt, _ job.Events) (map[string]job.Value, error) {
		name := filepath.Join(a.Dir, "out") // the sweeper must not take it before Close
		if err := errors.Join(os.MkdirAll(a.Dir, 0o700), os.WriteFile(name, []byte(`"x"`), 0o600)); err != nil {
			return nil, err
		}
		return map[string]job.Value{"out": {File: name, Size: 3}}, nil
	}, func(c *job.Config) { c.SweepEvery = 100 * time.Microsecond })
	x, err := b.Submit(t.Context(), request(`"x"`))
	if err != nil {
		t.Fatal(err)
	}
	if x.Recorded || x.Results == nil || x.Job.Status != ogc.Successful {
		t.Fatalf("execution %+v", x)
	}
	for range 100 { // the sweeper has its chances
		if _, err := os.Stat(x.Results.Outputs["out"].File); err != nil {
			t.Fatal(err)
		}
	}
	r, err := x.Results.Outputs["out"].Open()
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := io.ReadAll(r); string(text) != `"x"` {
		t.Errorf("output %s", text)
	}
	r.Close()
	x.Results.Close()
	if left, _ := os.ReadDir(b.dir); len(left) > 0 {
		t.Errorf("left in the directory: %v", left)
	}
	if jobs := b.listed(t); len(jobs) > 0 {
		t.Errorf("left in the store: %v", jobs)
	}
}

func TestSyncExecutionByReferenceIsRecorded(t *testing.T) {
	t.Parallel()
	b := start(t, echo)
	r := request(`"x"`)
	r.Outputs = map[string]ogc.OutputSelection{"out": {TransmissionMode: "reference"}}
	x, err := b.Submit(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if !x.Recorded || x.Results == nil {
		t.Fatalf("execution %+v", x)
	}
	if j := b.reaches(t, x.Job.ID, ogc.Successful); j.Attempt != 1 || j.Progress != 100 {
		t.Errorf("job %+v", j)
	}
}

func TestAsyncJobRunsAndKeepsItsResults(t *testing.T) {
	t.Parallel()
	b := start(t, echo)
	j := b.submit(t, async(`"x"`))
	if j.Status != ogc.Accepted {
		t.Errorf("the reply says %s", j.Status)
	}
	j = b.reaches(t, j.ID, ogc.Successful)
	if j.Started.IsZero() || j.Finished.Before(j.Started) || j.Plugin.Name != "p" {
		t.Errorf("job %+v", j)
	}
	r, err := b.Results(t.Context(), j.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if string(r.Outputs["out"].JSON) != `"x"` {
		t.Errorf("outputs %v", r.Outputs)
	}
}

func TestOnlyWantedOutputsAreKept(t *testing.T) {
	t.Parallel()
	b := start(t, echo)
	r := async(`"x"`)
	r.Outputs = map[string]ogc.OutputSelection{}
	j := b.reaches(t, b.submit(t, r).ID, ogc.Successful)
	if len(j.Outputs) > 0 {
		t.Errorf("outputs %v", j.Outputs)
	}
	if _, err := b.Results(t.Context(), j.ID); !errors.Is(err, job.ErrNotAvailable) {
		t.Errorf("results: %v", err)
	}
}

func TestFaultyRequestsAreRefusedBeforeAJobExists(t *testing.T) {
	t.Parallel()
	b := start(t, echo)
	for _, r := range []job.Request{request(`5`), async(`5`)} {
		r.Inputs["other"] = job.Raw{Text: json.RawMessage(`1`)}
		r.Outputs = map[string]ogc.OutputSelection{"none": {}}
		r.Response = "later"
		_, err := b.Submit(t.Context(), r)
		var invalid *job.InvalidError
		if !errors.As(err, &invalid) || len(invalid.Faults) != 4 {
			t.Fatalf("error %v", err)
		}
	}
	if _, err := b.Submit(t.Context(), job.Request{ProcessID: "none"}); !errors.Is(err, job.ErrNoSuchProcess) {
		t.Errorf("error %v", err)
	}
	if jobs := b.listed(t); len(jobs) > 0 {
		t.Errorf("jobs %v", jobs)
	}
}

func TestEveryCauseOfFailureIsToldTheSameWay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		err    error
		status int
		detail string
	}{
		{"process", &job.Failure{Kind: job.ProcessFailed, Detail: "no luck"}, 500, "no luck"},
		{"input", &job.Failure{Kind: job.InputRefused, Detail: "bad", Faults: []ogc.Fault{{Input: "in", Message: "odd"}}}, 400, "bad"},
		{"timeout", job.ErrTimeout, 504, "did not end in the time"},
		{"unknown", errors.New("secret path"), 500, "server's log"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := start(t, func(context.Context, job.Attempt, job.Events) (map[string]job.Value, error) { return nil, c.err })
			_, syncErr := b.Submit(t.Context(), request(`"x"`))
			j := b.reaches(t, b.submit(t, async(`"x"`)).ID, ogc.Failed)
			_, resultsErr := b.Results(t.Context(), j.ID)
			for where, err := range map[string]error{"sync": syncErr, "results": resultsErr} {
				var f *job.FailedError
				if !errors.As(err, &f) || f.Exception.Status != c.status || !strings.Contains(f.Exception.Detail, c.detail) {
					t.Errorf("%s: %v", where, err)
				}
			}
			if j.Exception == nil || j.Exception.Status != c.status || strings.Contains(j.Message, "secret") {
				t.Errorf("status document: %+v, %s", j.Exception, j.Message)
			}
		})
	}
}

func TestAttemptIsBoundedInTime(t *testing.T) {
	t.Parallel()
	b := start(t, hang(make(chan string, 9)), func(c *job.Config) { c.Timeout = 5 * time.Millisecond })
	j := b.reaches(t, b.submit(t, async(`"x"`)).ID, ogc.Failed)
	if j.Exception.Status != 504 {
		t.Errorf("exception %+v", j.Exception)
	}
}

func TestDismissStopsARunningJob(t *testing.T) {
	t.Parallel()
	started, gone := make(chan string, 1), make(chan error, 1)
	release := make(chan struct{})
	b := start(t, func(ctx context.Context, a job.Attempt, _ job.Events) (map[string]job.Value, error) {
		started <- a.JobID
		<-ctx.Done()
		gone <- context.Cause(ctx)
		<-release
		return map[string]job.Value{"out": {JSON: []byte(`"too late"`)}}, nil
	})
	id := b.submit(t, async(`"x"`)).ID
	<-started
	j, err := b.Dismiss(t.Context(), id)
	if err != nil || j.Status != ogc.Dismissed {
		t.Fatalf("dismiss: %+v, %v", j, err)
	}
	if err := <-gone; !errors.Is(err, job.ErrDismissed) {
		t.Errorf("the attempt ended by %v", err)
	}
	close(release)
	b.stop() // the late success has been handled
	if j, _ := b.Job(t.Context(), id); j.Status != ogc.Dismissed {
		t.Errorf("job is %s after the late success", j.Status)
	}
	if _, err := b.Results(t.Context(), id); !errors.Is(err, job.ErrNotAvailable) {
		t.Errorf("results: %v", err)
	}
}

func TestDismissedQueuedJobNeverStarts(t *testing.T) {
	t.Parallel()
	started := make(chan string, 9)
	b := start(t, hang(started), func(c *job.Config) { c.Slots = 1 })
	first := b.submit(t, async(`"1"`)).ID
	<-started
	second := b.submit(t, async(`"2"`)).ID
	third := b.submit(t, async(`"3"`)).ID
	if j, err := b.Dismiss(t.Context(), second); err != nil || j.Status != ogc.Dismissed {
		t.Fatalf("dismiss: %+v, %v", j, err)
	}
	if _, err := b.Dismiss(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if id := <-started; id != third {
		t.Errorf("started %s", id)
	}
}

func TestDismissRemovesAFinishedJob(t *testing.T) {
	t.Parallel()
	b := start(t, echo)
	id := b.submit(t, async(`"x"`)).ID
	b.reaches(t, id, ogc.Successful)
	if j, err := b.Dismiss(t.Context(), id); err != nil || j.Status != ogc.Dismissed {
		t.Fatalf("dismiss: %+v, %v", j, err)
	}
	if _, err := b.Job(t.Context(), id); !errors.Is(err, job.ErrGone) {
		t.Errorf("job: %v", err)
	}
	if _, err := b.Dismiss(t.Context(), id); !errors.Is(err, job.ErrGone) {
		t.Errorf("second dismiss: %v", err)
	}
}
