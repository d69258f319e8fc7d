package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"geomill/host/internal/job"
)

func chaosHost(t *testing.T) *bench {
	t.Helper()
	cfg := quick(t)
	install(t, cfg.Dir, "chaos", "")
	return serve(t, cfg)
}

func failureOf(t *testing.T, err error) *job.Failure {
	t.Helper()
	f, ok := errors.AsType[*job.Failure](err)
	if !ok {
		t.Fatalf("error is %T: %v; want a failure", err, err)
	}
	return f
}

func TestDeathDuringAJobFailsItWithTheReason(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]struct{ detail, cause string }{
		"exit":  {"the plugin ended unexpectedly (exit status 2)", "last words"},
		"panic": {"the plugin ended unexpectedly (exit status 2)", "panic: in a goroutine"},
	} {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			b := chaosHost(t)
			_, err := b.run(t.Context(), id)
			f := failureOf(t, err)
			if f.Kind != job.PluginDied || f.Detail != want.detail || !strings.Contains(f.Cause.Error(), want.cause) {
				t.Errorf("%+v", f)
			}
			if strings.Contains(f.Detail, want.cause) {
				t.Error("clients see what the plugin wrote")
			}
			if _, err := b.run(t.Context(), "echo"); err != nil {
				t.Errorf("the next job: %v", err)
			}
			if s := b.status("chaos"); s.Crashes != 1 || s.State != StateReady {
				t.Errorf("status: %+v", s)
			}
		})
	}
}

func TestPanicOfAPluginIsOneErrorRecord(t *testing.T) {
	t.Parallel()
	b := chaosHost(t)
	b.run(t.Context(), "panic")
	r := b.recorded("panic: in a goroutine")
	if r["level"] != "ERROR" || r["plugin"] != "chaos" || !strings.Contains(r["trace"].(string), "goroutine ") {
		t.Errorf("record: %v", r)
	}
}

func TestFrozenPluginIsKilledAndItsJobFails(t *testing.T) {
	t.Parallel()
	b := chaosHost(t)
	_, err := b.run(t.Context(), "freeze")
	if f := failureOf(t, err); f.Kind != job.PluginDied || f.Detail != errWedged.Error() {
		t.Errorf("%+v", f)
	}
	if _, err := b.run(t.Context(), "echo"); err != nil {
		t.Errorf("the next job: %v", err)
	}
}

func TestIdleInstanceThatDiesIsReplaced(t *testing.T) {
	t.Parallel()
	b := chaosHost(t)
	for i := 1; i <= 3; i++ {
		a, err := b.run(t.Context(), "echo")
		if err != nil {
			t.Fatal(err)
		}
		syscall.Kill(a.PID, syscall.SIGKILL)
		eventually(t, "crash is counted", func() bool { return b.status("chaos").Crashes == i })
	}
	if r := b.recorded("plugin instance ended"); r["status"] != "signal: killed" || r["level"] != "ERROR" {
		t.Errorf("record: %v", r)
	}
}

func TestFailuresOfAProcessAreToldApart(t *testing.T) {
	t.Parallel()
	b := chaosHost(t)
	_, err := b.run(t.Context(), "refuse")
	if f := failureOf(t, err); f.Kind != job.InputRefused || len(f.Faults) != 1 || f.Faults[0].Input != "x" {
		t.Errorf("refused input: %+v", f)
	}
	_, err = b.run(t.Context(), "boom")
	if f := failureOf(t, err); f.Kind != job.ProcessFailed || strings.Contains(f.Detail, "handler") {
		t.Errorf("panic in the handler: %+v", f)
	}
	_, err = b.run(t.Context(), "busy")
	if u, ok := errors.AsType[*job.UnavailableError](err); !ok || u.ProcessID != "busy" || u.RetryAfter == 0 {
		t.Errorf("busy: %v", err)
	}
	if s := b.status("chaos"); s.Crashes != 0 || len(s.Instances) != 1 {
		t.Errorf("status: %+v", s)
	}
}

func TestUnknownOutputsAreLeftOutAndMediaTypesFilledIn(t *testing.T) {
	t.Parallel()
	b := chaosHost(t)
	a, err := b.run(t.Context(), "extra")
	if err != nil || len(a.raw) != 1 || a.raw["out"].MediaType != "application/octet-stream" {
		t.Errorf("%v, %v", a.raw, err)
	}
	if r := b.logs.record("plugin returned an output that its process does not have"); r == nil || r["output"] != "more" {
		t.Errorf("record: %v", r)
	}
}

func TestLongLineOnStdoutBlocksNothing(t *testing.T) {
	t.Parallel()
	b := chaosHost(t)
	for range 3 {
		if _, err := b.run(t.Context(), "flood"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEnvironmentIsNotInherited(t *testing.T) {
	t.Setenv("HOST_SECRET", "x")
	t.Setenv("GEOMILL_DATA", "x")
	cfg := quick(t)
	cfg.Env = []string{"ASKED_FOR=yes"}
	install(t, cfg.Dir, "chaos", "")
	b := serve(t, cfg)
	a, err := b.run(t.Context(), "environment")
	if err != nil {
		t.Fatal(err)
	}
	var env, names []string
	if err := json.Unmarshal(a.raw["out"].JSON, &env); err != nil {
		t.Fatal(err)
	}
	for _, e := range env {
		name, _, _ := strings.Cut(e, "=")
		names = append(names, name)
	}
	slices.Sort(names)
	want := []string{"ASKED_FOR", "GEOMILL_INSTANCE", "GEOMILL_LIFELINE_FD", "GEOMILL_PLUGIN", "HOME", "LANG", "PATH", "PLUGIN_MAX_PORT", "PLUGIN_MIN_PORT",
		"PLUGIN_PROTOCOL_VERSIONS", "PLUGIN_UNIX_SOCKET_DIR", "TMPDIR"}
	if !slices.Equal(names, want) {
		t.Errorf("environment has %q; want %q", names, want)
	}
}

func TestPluginLinesKeepTheirLevels(t *testing.T) {
	t.Parallel()
	b := chaosHost(t)
	if _, err := b.run(t.Context(), "shout"); err != nil {
		t.Fatal(err)
	}
	for message, level := range map[string]string{
		"plain words": "INFO", "careful": "WARN", "Traceback (most recent call last):": "ERROR",
	} {
		if r := b.recorded(message); r["level"] != level || r["plugin"] != "chaos" || r["instance"] == nil {
			t.Errorf("record: %v", r)
		}
	}
	if r := b.logs.record("careful"); r["depth"] != 3.0 {
		t.Errorf("record: %v", r)
	}
}

func TestGrandchildDelaysNothingAndEndsWithItsPlugin(t *testing.T) {
	t.Parallel()
	b := chaosHost(t)
	a, err := b.run(t.Context(), "grandchild")
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.run(t.Context(), "exit")
	if f := failureOf(t, err); !strings.Contains(f.Detail, "exit status 2") {
		t.Errorf("%+v", f)
	}
	eventually(t, "end of the grandchild", func() bool { return gone(a.PID) })
	if a, err = b.run(t.Context(), "grandchild"); err != nil {
		t.Fatal(err)
	}
	b.stop()
	if !gone(a.Parent) {
		t.Error("plugin outlives its host")
	}
	eventually(t, "end of the second grandchild", func() bool { return gone(a.PID) })
}

func TestPluginThatIgnoresSIGTERMIsKilled(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	cfg.TermAfter, cfg.KillAfter = 50*time.Millisecond, 200*time.Millisecond
	install(t, cfg.Dir, "stubborn", "")
	b := serve(t, cfg)
	a, err := b.run(t.Context(), "echo")
	if err != nil {
		t.Fatal(err)
	}
	b.stop()
	if !gone(a.PID) {
		t.Error("plugin outlives its host")
	}
	if r := b.logs.record("plugin instance ended"); r["status"] != "signal: killed" {
		t.Errorf("record: %v", r)
	}
}

func TestCancelledJobEndsWithItsCause(t *testing.T) {
	t.Parallel()
	b := chaosHost(t)
	for _, id := range []string{"wait", "deaf", "deaf-alone"} {
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(50*time.Millisecond, func() { cancel(job.ErrDismissed) })
		if _, err := b.run(ctx, id); !errors.Is(err, job.ErrDismissed) {
			t.Errorf("%s: %v", id, err)
		}
	}
}

// background runs a process until release is called, and returns once it is
// known to run.
func (b *bench) background(id string) (<-chan error, func()) {
	b.t.Helper()
	p, err := b.host.Process(id)
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	ev := &events{seen: make(chan struct{})}
	done := make(chan error, 1)
	in := map[string]job.Value{"wait": {JSON: json.RawMessage("true")}}
	go func() {
		_, err := b.host.Execute(ctx, job.Attempt{JobID: newID(), Number: 1, Process: p, Inputs: in,
			Dir: filepath.Join(b.dir, "..", "job"), Grace: time.Second}, ev)
		done <- err
	}()
	select {
	case <-ev.seen:
	case err := <-done:
		b.t.Fatalf("%s ended: %v", id, err)
	case <-time.After(patience):
		b.t.Fatalf("%s does not run", id)
	}
	release := func() { cancel(job.ErrDismissed) }
	b.t.Cleanup(release)
	return done, release
}

func TestSharedJobsShareOneInstance(t *testing.T) {
	t.Parallel()
	b := chaosHost(t)
	var mu sync.Mutex
	pids := map[int]bool{}
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			a, err := b.run(t.Context(), "echo")
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			pids[a.PID] = true
		})
	}
	wg.Wait()
	if len(pids) != 1 {
		t.Errorf("jobs ran in %d instances", len(pids))
	}
}

func TestExclusiveJobsRunInInstancesOfTheirOwn(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	cfg.SlotWait = 50 * time.Millisecond
	install(t, cfg.Dir, "chaos", "")
	b := serve(t, cfg)
	one, releaseOne := b.background("alone")
	two, releaseTwo := b.background("alone")
	if n := len(b.status("chaos").Instances); n != 2 {
		t.Errorf("%d instances for two jobs", n)
	}
	_, err := b.run(t.Context(), "alone")
	if u, ok := errors.AsType[*job.UnavailableError](err); !ok || u.RetryAfter == 0 {
		t.Errorf("a third job beyond the limit: %v", err)
	}
	releaseOne()
	releaseTwo()
	<-one
	<-two
	first, err := b.run(t.Context(), "alone")
	if err != nil {
		t.Fatal(err)
	}
	second, err := b.run(t.Context(), "alone")
	if err != nil || second.PID != first.PID {
		t.Errorf("instance is not kept: %d, %d, %v", first.PID, second.PID, err)
	}
}

func TestEachPerJobJobHasAFreshInstance(t *testing.T) {
	t.Parallel()
	b := chaosHost(t)
	first, err := b.run(t.Context(), "once")
	if err != nil {
		t.Fatal(err)
	}
	second, err := b.run(t.Context(), "once")
	if err != nil || first.PID == second.PID {
		t.Errorf("%d, %d, %v", first.PID, second.PID, err)
	}
	eventually(t, "both are gone", func() bool { return gone(first.PID) && gone(second.PID) })
}

func TestJobBeyondTheLimitOfItsProcessWaits(t *testing.T) {
	t.Parallel()
	b := chaosHost(t)
	first, release := b.background("narrow")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(job.ErrTimeout)
	if _, err := b.run(ctx, "narrow"); !errors.Is(err, job.ErrTimeout) {
		t.Errorf("a job that cannot wait: %v", err)
	}
	release()
	<-first
	second, release := b.background("narrow")
	release()
	<-second
}

func TestSharedJobsBeyondTheLimitOfTheInstanceWait(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	cfg.MaxConcurrency = 2
	install(t, cfg.Dir, "chaos", "")
	b := serve(t, cfg)
	one, releaseOne := b.background("wait")
	two, releaseTwo := b.background("wait")
	defer func() { releaseTwo(); <-two }()
	third := make(chan error, 1)
	go func() {
		_, err := b.run(t.Context(), "echo")
		third <- err
	}()
	time.AfterFunc(100*time.Millisecond, releaseOne)
	<-one
	if err := <-third; err != nil {
		t.Errorf("a job beyond the limit: %v", err)
	}
}
