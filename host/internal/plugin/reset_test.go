package plugin

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"geomill/host/internal/job"
)

// grudgeHost is a host on a plugin that starts only without the flag.
func grudgeHost(t *testing.T) (b *bench, flag string) {
	t.Helper()
	cfg := quick(t)
	cfg.QuarantineFor = time.Hour
	flag = filepath.Join(cfg.Dir, "..", "flag")
	cfg.Env = []string{"CHAOS_FLAG=" + flag}
	install(t, cfg.Dir, "grudge", "")
	b = serve(t, cfg)
	if err := os.WriteFile(flag, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return b, flag
}

func TestResetEndsAQuarantineAtOnce(t *testing.T) {
	t.Parallel()
	b, flag := grudgeHost(t)
	eventually(t, "quarantine", func() bool {
		_, err := b.run(t.Context(), "grudge")
		u, ok := errors.AsType[*job.UnavailableError](err)
		if !ok {
			t.Fatal(err)
		}
		quarantined := b.status("grudge").State == StateQuarantined
		if quarantined == u.Passing && !strings.Contains(u.Reason, "cannot be started") {
			t.Errorf("in quarantine %t: %+v", quarantined, u)
		}
		return quarantined
	})
	if err := os.Remove(flag); err != nil {
		t.Fatal(err)
	}
	if _, err := b.run(t.Context(), "grudge"); err == nil {
		t.Error("it runs in quarantine")
	}
	if err := b.host.Reset("grudge"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.run(t.Context(), "grudge"); err != nil {
		t.Errorf("after the reset: %v", err)
	}
	s := b.status("grudge")
	if s.Counters.Quarantines != 1 || s.Counters.Resets != 1 || s.Counters.Starts["failed"] != 5 {
		t.Errorf("%+v", s.Counters)
	}
	i := slices.IndexFunc(s.History, func(t Transition) bool { return t.From == StateQuarantined })
	if i < 0 || s.History[i].To != StateIdle || s.History[i].Instance != 0 || s.History[i].Reason == "" {
		t.Errorf("%+v", s.History)
	}
	if d := b.host.Counters()["grudge"]; d.Resets != 1 {
		t.Errorf("%+v", d)
	}
}

// TestResetEndsThePauseBeforeAStart has a job wait for it.
func TestResetEndsThePauseBeforeAStart(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	cfg.BackoffFirst, cfg.BackoffMax, cfg.MaxStartWait = time.Hour, time.Hour, 2*time.Hour
	flag := filepath.Join(cfg.Dir, "..", "flag")
	cfg.Env = []string{"CHAOS_FLAG=" + flag}
	install(t, cfg.Dir, "grudge", "")
	b := serve(t, cfg)
	place(t, filepath.Dir(flag), "flag", nil, 0o600)
	if _, err := b.run(t.Context(), "grudge"); err == nil {
		t.Fatal("it starts")
	}
	done := make(chan error, 1)
	go func() {
		_, err := b.run(t.Context(), "grudge")
		done <- err
	}()
	eventually(t, "a start that waits", func() bool { return b.status("grudge").State == StateStarting })
	if err := os.Remove(flag); err != nil {
		t.Fatal(err)
	}
	for over := false; !over; { // the first one may come before the wait has begun
		if err := b.host.Reset("grudge"); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-done:
			if over = true; err != nil {
				t.Error(err)
			}
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func TestResetTriesWhatIsRefusedAgain(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	cfg.RetryFirst, cfg.RetryMax = time.Hour, time.Hour
	interpreter := filepath.Join(cfg.Dir, "..", "interpreter")
	place(t, cfg.Dir, "solo", []byte("#!"+interpreter+"\n"), 0o755)
	b := serve(t, cfg)
	eventually(t, "the refusal", func() bool { return b.status("solo").State == StateRefused })
	content, err := os.ReadFile(chaos)
	if err != nil {
		t.Fatal(err)
	}
	place(t, filepath.Dir(interpreter), "interpreter", content, 0o755)
	if err := b.host.Reset("solo"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the plugin", func() bool { _, err := b.run(t.Context(), "echo"); return err == nil })
}

func TestResetNamesThePluginThatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	b := chaosHost(t)
	if err := b.host.Reset("other"); err == nil || !strings.Contains(err.Error(), `no plugin "other"`) {
		t.Errorf("%v", err)
	}
}

// A client that can crash a plugin must not be able to take it from others.
func TestCrashesUnderJobsNeverMakeAPluginUnavailable(t *testing.T) {
	t.Parallel()
	b := chaosHost(t)
	for _, id := range []string{"exit", "exit-alone"} {
		for range 8 {
			_, err := b.run(t.Context(), id)
			if f := failureOf(t, err); f.Kind != job.PluginDied {
				t.Errorf("%s: %+v", id, f)
			}
		}
		if _, err := b.run(t.Context(), "echo"); err != nil {
			t.Errorf("another job: %v", err)
		}
	}
	eventually(t, "end of all instances that crashed", func() bool { return b.status("chaos").Counters.Ends["crash"] == 16 })
	if s := b.status("chaos"); s.Crashes != 16 || s.Counters.Quarantines != 0 {
		t.Errorf("%d crashes, %+v", s.Crashes, s.Counters)
	}
}
