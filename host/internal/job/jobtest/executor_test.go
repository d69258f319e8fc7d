package jobtest_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"geomill/host/internal/job"
	"geomill/host/internal/job/jobtest"
	"geomill/sdk/ogc"
)

// functions runs a process as a function of the test; it stands for an executor
// whose work obeys or is left behind.
type functions map[string]func(ctx context.Context, a job.Attempt, ev job.Events) (map[string]job.Value, error)

func (f functions) Execute(ctx context.Context, a job.Attempt, ev job.Events) (map[string]job.Value, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	run := f[a.Process.ID]
	if run == nil {
		return nil, &job.UnavailableError{ProcessID: a.Process.ID, Reason: "it is not here"}
	}
	return run(ctx, a, ev)
}

func TestExecutor(t *testing.T) {
	t.Parallel()
	process := func(id string) *job.Process {
		return &job.Process{Process: ogc.Process{ProcessSummary: ogc.ProcessSummary{ID: id}}}
	}
	block := func(ctx context.Context, _ job.Attempt, ev job.Events) (map[string]job.Value, error) {
		ev.Progress(0, "")
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	f := functions{
		"echo": func(_ context.Context, a job.Attempt, _ job.Events) (map[string]job.Value, error) {
			return map[string]job.Value{"value": a.Inputs["value"]}, nil
		},
		"reporter": func(_ context.Context, _ job.Attempt, ev job.Events) (map[string]job.Value, error) {
			ev.Log(slog.LevelInfo, "hello", nil)
			ev.Progress(50, "half")
			return nil, nil
		},
		"file": func(_ context.Context, a job.Attempt, _ job.Events) (map[string]job.Value, error) {
			path := filepath.Join(a.Dir, "out")
			err := os.WriteFile(path, []byte("content"), 0o600)
			return map[string]job.Value{"file": {File: path, Size: 7, MediaType: "text/plain"}}, err
		},
		"failing": func(context.Context, job.Attempt, job.Events) (map[string]job.Value, error) {
			return nil, &job.Failure{Kind: job.ProcessFailed, Detail: "on purpose"}
		},
		"blocking": block, "stubborn": block,
	}
	jobtest.Executor(t, func(testing.TB) jobtest.Executors {
		return jobtest.Executors{
			Executor: f, Echo: process("echo"), Reporter: process("reporter"), File: process("file"),
			Failing: process("failing"), Blocking: process("blocking"), Stubborn: process("stubborn"), Missing: process("missing"),
		}
	})
}
