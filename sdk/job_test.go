package sdk_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"geomill/sdk"
	"geomill/sdk/ogc"
	"geomill/sdk/sdktest"
	"geomill/sdk/wire"

	"github.com/google/go-cmp/cmp"
)

type none struct{}

type done struct {
	Done bool `json:"done"`
}

// process makes a process of what its job does.
func process(f func(*sdk.Job) error) sdk.Process {
	return sdk.New(sdk.Info{ID: "p"}, func(job *sdk.Job, _ none) (done, error) { return done{true}, f(job) })
}

func TestLogLinesReachTheHost(t *testing.T) {
	t.Parallel()
	r := sdktest.Run(t, process(func(job *sdk.Job) error {
		job.Log().Info("plain")
		job.Log().With("a", 1).WithGroup("g").Error("grouped", "level", slog.LevelWarn, "b", errors.New("cause"))
		job.Log().Debug("named alike", "msg", "m", "time", "now")
		return nil
	}), nil)
	want := []sdktest.Log{
		{Level: slog.LevelInfo, Message: "plain"},
		{Level: slog.LevelError, Message: "grouped", Fields: json.RawMessage(`{"a":1,"g":{"level":"WARN","b":"cause"}}`)},
		{Level: slog.LevelDebug, Message: "named alike", Fields: json.RawMessage(`{"msg":"m","time":"now"}`)},
	}
	if d := cmp.Diff(want, r.Logs); d != "" || r.Err != nil {
		t.Errorf("error %v, log (-want +got):\n%s", r.Err, d)
	}
}

func TestProgressFormatsOnlyWithArguments(t *testing.T) {
	t.Parallel()
	for _, report := range []func(*sdk.Job){
		func(job *sdk.Job) { job.Progress(40, "40% done") },
		func(job *sdk.Job) { job.Progress(40, "%d%% done", 40) },
	} {
		r := sdktest.Run(t, process(func(job *sdk.Job) error { report(job); return nil }), nil)
		if d := cmp.Diff([]sdktest.Progress{{Percent: 40, Message: "40% done"}}, r.Progress); d != "" {
			t.Errorf("progress (-want +got):\n%s", d)
		}
	}
}

func TestJobKnowsItself(t *testing.T) {
	t.Parallel()
	r := sdktest.Run(t, process(func(job *sdk.Job) error {
		dir, err := job.Dir()
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
			return err
		}
		if again, err := job.Dir(); err != nil || again != dir {
			return fmt.Errorf("second directory %s, %w", again, err)
		}
		if job.ID() == "" || job.Attempt() != 1 || !job.Wants("done") || job.Wants("other") {
			return fmt.Errorf("job %q, attempt %d", job.ID(), job.Attempt())
		}
		return nil
	}), nil, sdktest.Outputs("done"))
	if r.Err != nil {
		t.Error(r.Err)
	}
}

func TestErrorsKeepTheirClass(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		err  error
		want wire.Problem
	}{
		"plain": {errors.New("no space"), wire.Problem{Title: "the process failed", Detail: "no space"}},
		"retry": {fmt.Errorf("fetch: %w", sdk.Retry(errors.New("busy"))),
			wire.Problem{Title: "the process failed", Detail: "fetch: busy", Retryable: true}},
		"invalid": {fmt.Errorf("check: %w", errors.Join(sdk.Invalid("a", "is %d", 1), sdk.Invalid("b", "is odd"))),
			wire.Problem{Kind: wire.InvalidInput, Title: "the inputs are not valid", Detail: "check: a is 1; b is odd",
				Faults: []ogc.Fault{{Input: "a", Message: "is 1"}, {Input: "b", Message: "is odd"}}}},
		"status": {fmt.Errorf("fetch: %w", sdk.Status(sdk.Retry(errors.New("busy")), 503, "Busy")),
			wire.Problem{Title: "the process failed", Detail: "fetch: busy", Retryable: true, Status: 503, Code: "Busy"}},
		"none": {errors.Join(sdk.Retry(nil), sdk.Status(nil, 500, "")), wire.Problem{}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := sdktest.Run(t, process(func(*sdk.Job) error { return tt.err }), nil)
			var got *wire.Problem
			if !errors.As(r.Err, &got) {
				got = &wire.Problem{}
			}
			if d := cmp.Diff(tt.want, *got); d != "" {
				t.Errorf("problem (-want +got):\n%s", d)
			}
		})
	}
}

func TestPanicFailsOnlyItsJob(t *testing.T) {
	t.Parallel()
	r := sdktest.Run(t, process(func(*sdk.Job) error { panic("oh") }), nil)
	var p *wire.Problem
	if !errors.As(r.Err, &p) || p.Kind != wire.Panicked || !strings.Contains(p.Detail, "oh") {
		t.Errorf("error %v", r.Err)
	}
}

func TestContextOfTheJobEndsWithIt(t *testing.T) {
	t.Parallel()
	dismissed := errors.New("dismissed")
	ctx, cancel := context.WithCancelCause(t.Context())
	r := sdktest.Run(t, process(func(job *sdk.Job) error {
		job.Progress(1, "started")
		<-job.Done()
		return job.Err()
	}), nil, sdktest.Context(ctx), sdktest.OnProgress(func(sdktest.Progress) { cancel(dismissed) }))
	if !errors.Is(r.Err, dismissed) {
		t.Errorf("error %v", r.Err)
	}
}

func TestRawOutputsMustBeDescribed(t *testing.T) {
	t.Parallel()
	p := sdk.Raw(ogc.Process{ProcessSummary: ogc.ProcessSummary{ID: "p"},
		Outputs: map[string]ogc.Output{"a": {Schema: json.RawMessage(`{}`)}}},
		func(*sdk.Job, map[string]sdk.Value) (map[string]sdk.Value, error) {
			return map[string]sdk.Value{"b": sdk.BytesValue(nil, "")}, nil
		})
	if r := sdktest.Run(t, p, nil); r.Err == nil || !strings.Contains(r.Err.Error(), `output "b" is not in the description`) {
		t.Errorf("error %v", r.Err)
	}
}

func TestNewHandlerReportsEverythingThatIsWrong(t *testing.T) {
	t.Parallel()
	type bad struct {
		F func()
	}
	_, err := sdk.NewHandler(sdk.Plugin{Name: "My Plugin"},
		sdk.New(sdk.Info{ID: "a"}, func(*sdk.Job, bad) (done, error) { return done{}, nil }),
		sdk.New(sdk.Info{ID: "b"}, func(*sdk.Job, none) (none, error) { return none{}, nil }),
		sdk.New(sdk.Info{}, func(*sdk.Job, none) (done, error) { return done{}, nil }),
		process(nil), process(nil), sdk.Process{})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{`plugin name "My Plugin"`, "no version", "process a: inputs: ", "process b: has no outputs",
		"has no id", "process p: there are two", "has no function"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in\n%v", want, err)
		}
	}
}

// TestCheckpointDirIsTheHostsOrElseTheJobsOwn has a host that keeps a directory
// between attempts, and one that does not.
func TestCheckpointDirIsTheHostsOrElseTheJobsOwn(t *testing.T) {
	t.Parallel()
	var got string
	h, err := sdk.NewHandler(sdk.Plugin{Name: "p", Version: "1.0.0"}, process(func(job *sdk.Job) (err error) {
		got, err = job.CheckpointDir()
		return err
	}))
	if err != nil {
		t.Fatal(err)
	}
	dir, kept := t.TempDir(), filepath.Join(t.TempDir(), "checkpoint")
	for given, want := range map[string]string{kept: kept, "": filepath.Join(dir, "checkpoint")} {
		if _, err := h.Run(t.Context(), wire.Start{ProcessID: "p", Dir: dir, CheckpointDir: given}, nil); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(want); got != want || err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("directory %s, %v; want %s", got, err, want)
		}
	}
}
