package jobtest

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"geomill/host/internal/job"
)

// Executors is an executor to be checked, with processes that behave in known
// ways. A behaviour whose process is nil is not checked.
type Executors struct {
	Executor job.Executor
	// Echo returns its input "value", JSON, as its output "value".
	Echo *job.Process
	// Reporter reports 50 percent with the message "half" and logs the line
	// "hello" at level info before it succeeds.
	Reporter *job.Process
	// File returns the output "file": a file that holds "content".
	File *job.Process
	// Failing reports a failure of its own with the detail "on purpose".
	Failing *job.Process
	// Blocking reports progress once it runs, then runs until it is stopped, and
	// obeys when it is asked to stop.
	Blocking *job.Process
	// Stubborn is like Blocking, but does not obey.
	Stubborn *job.Process
	// Missing is known, but nothing can run it now.
	Missing *job.Process
}

// Executor checks that what open returns is a job.Executor in the full sense.
func Executor(t *testing.T, open func(t testing.TB) Executors) {
	x := open(t)
	for _, c := range []struct {
		name    string
		process *job.Process
		test    func(*testing.T, job.Executor, *job.Process)
	}{
		{"outputs come back", x.Echo, executorOutputs},
		{"many attempts run at once", x.Echo, executorMany},
		{"events come before the end", x.Reporter, executorEvents},
		{"a file is the caller's", x.File, executorFile},
		{"a failure says whose fault it is", x.Failing, executorFailure},
		{"an ended context stops the work", x.Blocking, executorStops},
		{"work that does not obey is stopped after the grace", x.Stubborn, executorStops},
		{"an attempt with an ended context does not run", x.Echo, executorEnded},
		{"a process that cannot run is unavailable", x.Missing, executorMissing},
	} {
		if c.process != nil {
			t.Run(c.name, func(t *testing.T) { c.test(t, x.Executor, c.process) })
		}
	}
}

func attempt(t testing.TB, p *job.Process, value string) job.Attempt {
	inputs := map[string]job.Value{}
	if value != "" {
		inputs["value"] = job.Value{JSON: json.RawMessage(value)}
	}
	return job.Attempt{
		JobID: uuid.Must(uuid.NewV7()).String(), Number: 1, Process: p, Inputs: inputs,
		Dir: t.TempDir(), Grace: 100 * time.Millisecond,
	}
}

// recorder implements job.Events.
type recorder struct {
	mu       sync.Mutex
	messages []string
	lines    []string
	percent  float64
	began    chan struct{} // closed at the first progress
	once     sync.Once
}

func newRecorder() *recorder { return &recorder{began: make(chan struct{})} }

func (r *recorder) Progress(percent float64, message string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.percent, r.messages = percent, append(r.messages, message)
	r.once.Do(func() { close(r.began) })
}

func (r *recorder) Log(level slog.Level, message string, _ json.RawMessage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, level.String()+" "+message)
}

func (r *recorder) Moved(*job.Process) error { return nil }

func executorOutputs(t *testing.T, x job.Executor, p *job.Process) {
	outputs, err := x.Execute(within(t), attempt(t, p, `{"a":[1,null]}`), newRecorder())
	if err != nil {
		t.Fatalf("Execute: %v", err)
	}
	same(t, "outputs", slices.Collect(maps.Keys(outputs)), []string{"value"})
	same(t, "value", content(t, outputs["value"]), `{"a":[1,null]}`)
}

func executorMany(t *testing.T, x job.Executor, p *job.Process) {
	var wg sync.WaitGroup
	for n := range 32 {
		wg.Go(func() {
			value, _ := json.Marshal(n)
			outputs, err := x.Execute(within(t), attempt(t, p, string(value)), newRecorder())
			if err != nil {
				t.Errorf("Execute: %v", err)
				return
			}
			same(t, "value", string(outputs["value"].JSON), string(value))
		})
	}
	wg.Wait()
}

func executorEvents(t *testing.T, x job.Executor, p *job.Process) {
	r := newRecorder()
	if _, err := x.Execute(within(t), attempt(t, p, ""), r); err != nil {
		t.Fatalf("Execute: %v", err)
	}
	if r.percent != 50 || !slices.Contains(r.messages, "half") {
		t.Errorf("progress %v with %q, want 50 with half", r.percent, r.messages)
	}
	if !slices.Contains(r.lines, "INFO hello") {
		t.Errorf("log lines %q, want hello among them", r.lines)
	}
}

func executorFile(t *testing.T, x job.Executor, p *job.Process) {
	outputs, err := x.Execute(within(t), attempt(t, p, ""), newRecorder())
	if err != nil {
		t.Fatalf("Execute: %v", err)
	}
	if v := outputs["file"]; v.File == "" || content(t, v) != "content" {
		t.Errorf("output %+v is not the file", v)
	}
}

func executorFailure(t *testing.T, x job.Executor, p *job.Process) {
	_, err := x.Execute(within(t), attempt(t, p, ""), newRecorder())
	var f *job.Failure
	if !errors.As(err, &f) || f.Kind != job.ProcessFailed || f.Detail != "on purpose" {
		t.Errorf("Execute: %v, want the process's failure", err)
	}
}

func executorStops(t *testing.T, x job.Executor, p *job.Process) {
	ctx, cancel := context.WithCancelCause(within(t))
	defer cancel(nil)
	r := newRecorder()
	ended := make(chan error, 1)
	go func() {
		_, err := x.Execute(ctx, attempt(t, p, ""), r)
		ended <- err
	}()
	select {
	case <-r.began:
	case err := <-ended:
		t.Fatalf("the work ended by itself: %v", err)
	case <-ctx.Done():
		t.Fatal("the work did not begin")
	}
	cancel(job.ErrDismissed)
	select {
	case err := <-ended:
		fails(t, "Execute", err, job.ErrDismissed)
	case <-time.After(patience):
		t.Fatal("the work was not stopped")
	}
}

func executorEnded(t *testing.T, x job.Executor, p *job.Process) {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(job.ErrShuttingDown)
	_, err := x.Execute(ctx, attempt(t, p, `1`), newRecorder())
	fails(t, "Execute", err, job.ErrShuttingDown)
}

func executorMissing(t *testing.T, x job.Executor, p *job.Process) {
	_, err := x.Execute(within(t), attempt(t, p, ""), newRecorder())
	var u *job.UnavailableError
	if !errors.As(err, &u) || u.Reason == "" {
		t.Errorf("Execute: %v, want *UnavailableError with a reason", err)
	}
}
