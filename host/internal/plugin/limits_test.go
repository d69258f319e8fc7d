package plugin

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"geomill/host/internal/job"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// limitedHost serves two chaos plugins: what the one may use is limited.
func limitedHost(t *testing.T, l Limits) *bench {
	t.Helper()
	cfg := quick(t)
	cfg.Options = func(string) Options { return Options{Limits: l} }
	install(t, cfg.Dir, "chaos", "")
	install(t, cfg.Dir, "solo-neighbour", "")
	return serve(t, cfg)
}

// TestWhatAJobUsesTooMuchOfIsNamed has jobs use too much in every way: each fails
// with what it was, those of another plugin go on, and nothing is left.
func TestWhatAJobUsesTooMuchOfIsNamed(t *testing.T) {
	t.Parallel()
	bytes := func(n int64) job.Limits { return job.Limits{Directory: n} }
	for _, want := range []struct {
		id      string
		limits  Limits
		limit   job.LimitName
		maximum float64
		retried bool
	}{
		{"leak", Limits{Limits: job.Limits{Memory: 128 << 20}}, job.LimitMemory, 128 << 20, true},
		{"leak-alone", Limits{Limits: job.Limits{Memory: 128 << 20}}, job.LimitMemory, 128 << 20, false},
		{"gulp", Limits{Limits: job.Limits{Memory: 128 << 20}}, job.LimitMemory, 128 << 20, false},
		{"spin", Limits{Limits: job.Limits{CPU: time.Second}}, job.LimitCPU, 1, true},
		{"spin-once", Limits{Limits: job.Limits{CPU: time.Second}}, job.LimitCPU, 1, false},
		{"offload-alone", Limits{Limits: job.Limits{CPU: time.Second}}, job.LimitCPU, 1, false},
		{"bomb", Limits{Processes: 20}, job.LimitProcesses, 20, true},
		{"bomb-once", Limits{Processes: 20}, job.LimitProcesses, 20, false},
		{"handles", Limits{Files: 100}, job.LimitFiles, 100, false},
		{"hugefile", Limits{Limits: bytes(4 << 20)}, job.LimitDirectory, 4 << 20, false},
		{"fill", Limits{Limits: bytes(4 << 20)}, job.LimitDirectory, 4 << 20, false},
		{"fill-once", Limits{Limits: bytes(4 << 20)}, job.LimitDirectory, 4 << 20, false},
		{"bulky", Limits{Limits: job.Limits{Output: 9999}}, job.LimitOutput, 9999, false},
		{"bulkyfile", Limits{Limits: job.Limits{Output: 9999}}, job.LimitOutput, 9999, false},
	} {
		t.Run(want.id, func(t *testing.T) {
			t.Parallel()
			b := limitedHost(t, want.limits)
			ctx, cancel := context.WithTimeout(t.Context(), 5*patience) // some use a second of a busy processor
			defer cancel()
			_, err := b.run(ctx, want.id)
			f := failureOf(t, err)
			kind := job.LimitExceeded
			if want.limit == job.LimitMemory {
				kind = job.OutOfMemory
			}
			if f.Kind != kind || f.Limit != want.limit || f.Maximum != want.maximum || f.Retryable != want.retried {
				t.Errorf("%+v", f)
			}
			if _, err := b.run(ctx, "solo-neighbour"); err != nil {
				t.Errorf("a job of another plugin: %v", err)
			}
			if _, err := b.run(ctx, "echo"); err != nil {
				t.Errorf("the next job: %v", err)
			}
			if s := b.status("chaos"); s.Crashes > 0 && want.id != "gulp" {
				t.Errorf("it counts as a crash: %+v", s)
			}
			b.stop()
			eventually(t, "end of all processes", func() bool { return len(marked(b.host.runDir.path)) == 0 })
		})
	}
}

// marked returns the processes that descend from instances of a host.
func marked(runDir string) []process {
	return slices.DeleteFunc((&census{}).take(), func(p process) bool { return !strings.HasPrefix(p.instance, runDir+"/") })
}

func TestAPluginThatUsesTooMuchBeforeItServesIsRefused(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	cfg.HandshakeTimeout = time.Minute
	cfg.Options = func(string) Options { return Options{Limits: Limits{Limits: job.Limits{Memory: 128 << 20}}} }
	install(t, cfg.Dir, "glutton", "")
	b := begin(t, cfg)
	want := "the plugin used more memory than its limit of 128 MiB"
	eventually(t, want, func() bool { return b.status("glutton").Reason == want })
}

func TestTheOtherJobsOfAnInstanceThatIsKilledMayRunAgain(t *testing.T) {
	t.Parallel()
	b := limitedHost(t, Limits{Limits: job.Limits{Memory: 128 << 20}})
	failed := make(chan error, 1)
	go func() {
		_, err := b.run(t.Context(), "wait")
		failed <- err
	}()
	eventually(t, "the other job", func() bool { return len(b.status("chaos").Instances) == 1 && b.status("chaos").Instances[0].Jobs == 1 })
	b.run(t.Context(), "leak")
	select {
	case err := <-failed:
		if f := failureOf(t, err); f.Limit != job.LimitMemory || !f.Retryable || f.Crash == nil {
			t.Errorf("%+v", f)
		}
	case <-time.After(time.Minute):
		t.Fatal("the other job goes on")
	}
}

func TestAProcessMayBeLimitedFurtherThanItsPlugin(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	cfg.Options = func(string) Options {
		return Options{Limits: Limits{Limits: job.Limits{Memory: 1 << 30, CPU: time.Hour, Output: 1}}}
	}
	cfg.Policy = func(id string, p job.Policy) job.Policy {
		switch id {
		case "leak-alone":
			p.Limits.Memory = 128 << 20
		case "bulky":
			p.Limits.Output = 0
		}
		return p
	}
	install(t, cfg.Dir, "chaos", "")
	b := serve(t, cfg)
	_, err := b.run(t.Context(), "leak-alone")
	if f := failureOf(t, err); f.Limit != job.LimitMemory || f.Maximum != 128<<20 {
		t.Errorf("%+v", f)
	}
	if _, err := b.run(t.Context(), "bulky"); err != nil {
		t.Error(err)
	}
}

func TestLargestMemoryOfAnInstanceIsLogged(t *testing.T) {
	t.Parallel()
	b := chaosHost(t)
	if _, err := b.run(t.Context(), "once"); err != nil {
		t.Fatal(err)
	}
	if r := b.recorded("plugin instance ended"); r["max_rss_bytes"].(float64) < 1<<20 {
		t.Errorf("%v", r)
	}
}

func TestAnAttemptWithoutLimitsIsNotWatched(t *testing.T) {
	t.Parallel()
	h := &Host{}
	p := &job.Process{Policy: job.Policy{Isolation: job.Shared, Limits: job.Limits{Output: 5, Memory: 1 << 30}}}
	ctx, al := h.allow(t.Context(), nil, job.Attempt{Process: p})
	if al != nil || ctx != t.Context() {
		t.Error("it is")
	}
	if err := al.settle(errDied); !errors.Is(err, errDied) {
		t.Error(err)
	}
}

func TestLimitsThatTheKernelHolds(t *testing.T) {
	t.Parallel()
	process := func(directory int64) *job.Process {
		return &job.Process{Policy: job.Policy{Limits: job.Limits{Directory: directory}}}
	}
	l := Limits{Limits: job.Limits{Memory: 1 << 30}, Files: 64}
	all := []rlimit{{unix.RLIMIT_NOFILE, 64}, {unix.RLIMIT_DATA, 3 << 30}}
	for name, c := range map[string]struct {
		limits Limits
		want   []rlimit
	}{
		"none":                        {Limits{Processes: 5, Limits: job.Limits{CPU: time.Second, Output: 1}}, nil},
		"no largest file":             {l, all},
		"that of the largest process": {l.withFile([]*job.Process{process(5), process(9)}), append(all, rlimit{unix.RLIMIT_FSIZE, 9})},
		"one process without limit":   {l.withFile([]*job.Process{process(5), process(0)}), all},
	} {
		if d := cmp.Diff(c.want, c.limits.rlimits(), cmp.AllowUnexported(rlimit{})); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	if d := cmp.Diff([]string{"GOMEMLIMIT=966367638"}, l.environment()); d != "" {
		t.Error(d)
	}
}

func TestWhatTheSystemSaidTellsTheLimit(t *testing.T) {
	t.Parallel()
	all := Limits{Files: 64, Processes: 9, file: 5}
	for _, c := range []struct {
		limits Limits
		text   string
		want   job.LimitName
	}{
		{all, "open /x: too many open files", job.LimitFiles},
		{all, "OSError: [Errno 24] Too many open files: 'x'", job.LimitFiles},
		{all, "open /x: too many open files in system", ""},
		{all, "write /x: file too large", job.LimitDirectory},
		{all, "fork/exec /bin/sh: resource temporarily unavailable", job.LimitProcesses},
		{all, "read: resource temporarily unavailable", ""},
		{all, "no luck", ""},
		{Limits{}, "open /x: too many open files, file too large", ""},
	} {
		f := &job.Failure{Kind: job.ProcessFailed, Detail: "as it was"}
		if c.limits.blame(f, c.text); f.Limit != c.want || (f.Kind == job.LimitExceeded) != (c.want != "") || f.Detail != "as it was" {
			t.Errorf("%q: %+v", c.text, f)
		}
	}
}

func TestDirectoriesAreMeasured(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name string, size int) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a", 64<<10)
	write("deep/er/b", 64<<10)
	if err := os.Link(filepath.Join(dir, "a"), filepath.Join(dir, "again")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/", filepath.Join(dir, "away")); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, "a"), 1<<30); err != nil { // a hole
		t.Fatal(err)
	}
	al := &allowance{dirs: []string{dir, "", filepath.Join(dir, "missing")}}
	if n := al.size(t.Context()); n != 128<<10 {
		t.Errorf("%d bytes", n)
	}
	al.room = 10
	if n := al.size(t.Context()); n <= 10 {
		t.Errorf("%d bytes, within %d", n, al.room)
	}
	if _, err := os.Lstat(filepath.Join(dir, "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
