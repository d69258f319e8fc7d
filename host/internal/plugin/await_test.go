package plugin

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"geomill/host/internal/job"
)

// gated is a configuration whose plugins named gated-... do not start before the
// test puts up the flag.
func gated(t *testing.T) (cfg Config, open func()) {
	t.Helper()
	cfg = quick(t)
	cfg.HandshakeTimeout, cfg.ReadyTimeout = time.Minute, time.Minute
	flag := filepath.Join(cfg.Dir, "..", "flag")
	cfg.Env = []string{"CHAOS_FLAG=" + flag}
	return cfg, func() {
		if err := os.WriteFile(flag, nil, 0o600); err != nil {
			t.Error(err)
		}
	}
}

// await is Await in the background.
func (b *bench) await(ctx context.Context, id string) <-chan error {
	done := make(chan error, 1)
	go func() { done <- b.host.Await(ctx, id) }()
	return done
}

func got(t *testing.T, done <-chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		t.Fatal("it still waits")
		return nil
	}
}

func (b *bench) wantUnready(t *testing.T, waits ...<-chan error) {
	t.Helper()
	select {
	case <-b.host.Ready():
		t.Fatal("the host is ready although a plugin is not described")
	default:
	}
	for i, w := range waits {
		select {
		case err := <-w:
			t.Fatalf("wait %d ended with %v", i, err)
		default:
		}
	}
}

func TestAwaitLastsUntilTheProcessIsOffered(t *testing.T) {
	t.Parallel()
	cfg, open := gated(t)
	install(t, cfg.Dir, "gated-a", "")
	install(t, cfg.Dir, "solo-b", "")
	b := begin(t, cfg)
	all, theirs, none := b.await(t.Context(), ""), b.await(t.Context(), "gated-a"), b.await(t.Context(), "nobody")
	if err := got(t, b.await(t.Context(), "solo-b")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.run(t.Context(), "solo-b"); err != nil {
		t.Error(err)
	}
	b.wantUnready(t, all, theirs, none)
	open()
	if err := got(t, theirs); err != nil {
		t.Error(err)
	}
	if _, err := b.run(t.Context(), "gated-a"); err != nil {
		t.Error(err)
	}
	if err := errors.Join(got(t, all), got(t, none)); err != nil {
		t.Error(err)
	}
	if list := b.host.Processes(); len(list) != 2 {
		t.Errorf("%d processes", len(list))
	}
	if _, err := b.host.Process("nobody"); !errors.Is(err, job.ErrNoSuchProcess) {
		t.Errorf("got %v", err)
	}
}

func TestAwaitEndsWithItsContextOrWhenReadyIsLate(t *testing.T) {
	t.Parallel()
	cfg, _ := gated(t)
	install(t, cfg.Dir, "gated-a", "")
	b := begin(t, cfg)
	ctx, cancel := context.WithCancelCause(t.Context())
	w := b.await(ctx, "gated-a")
	b.wantUnready(t, w)
	cancel(job.ErrShuttingDown)
	if err := got(t, w); !errors.Is(err, job.ErrShuttingDown) {
		t.Errorf("got %v", err)
	}
	b.stop()

	cfg.ReadyTimeout = 200 * time.Millisecond
	b = begin(t, cfg)
	if err := got(t, b.await(t.Context(), "gated-a")); err != nil {
		t.Error(err)
	}
	if _, err := b.host.Process("gated-a"); !errors.Is(err, job.ErrNoSuchProcess) {
		t.Errorf("got %v", err)
	}
}

// crowd installs four plugins that wait for the flag, and lets one at a time be
// admitted for as long as it takes.
func crowd(t *testing.T, cfg *Config) {
	t.Helper()
	cfg.Admissions, cfg.TurnTime = 1, time.Hour
	for _, name := range []string{"gated-a", "gated-b", "gated-c", "gated-d"} {
		install(t, cfg.Dir, name, "")
	}
}

func TestWhatIsAskedForIsAdmittedBeforeItsTurn(t *testing.T) {
	t.Parallel()
	cfg, _ := gated(t)
	crowd(t, &cfg)
	install(t, cfg.Dir, "solo-z", "")
	b := begin(t, cfg)
	if err := got(t, b.await(t.Context(), "solo-z")); err != nil {
		t.Error(err)
	}
	b.wantUnready(t)
}

func TestAKnownPluginWaitsForNoTurn(t *testing.T) {
	t.Parallel()
	cfg, _ := gated(t)
	install(t, cfg.Dir, "solo-z", "")
	serve(t, cfg).stop()
	crowd(t, &cfg)
	b := begin(t, cfg)
	eventually(t, "the known process", func() bool { return len(b.host.Processes()) == 1 })
	b.wantUnready(t)
}

func TestPluginsThatTakeLongToStartHoldUpNoOther(t *testing.T) {
	t.Parallel()
	cfg, _ := gated(t)
	crowd(t, &cfg)
	cfg.TurnTime = 10 * time.Millisecond
	install(t, cfg.Dir, "solo-z", "")
	b := begin(t, cfg)
	eventually(t, "the process of the quick plugin", func() bool { return len(b.host.Processes()) == 1 })
	b.wantUnready(t)
}

func TestStopWhilePluginsAreAdmittedLeavesNothing(t *testing.T) {
	t.Parallel()
	cfg, _ := gated(t)
	install(t, cfg.Dir, "gated-a", "")
	b := begin(t, cfg)
	eventually(t, "the start of the plugin", func() bool {
		homes, _ := filepath.Glob(filepath.Join(cfg.RunDir, "h*", "plugin-dir*"))
		return len(homes) == 1
	})
	b.stop()
	b.wantUnready(t)
	if left, err := os.ReadDir(cfg.RunDir); err != nil || len(left) != 0 {
		t.Errorf("run directory holds %v, %v", left, err)
	}
}

func TestOpenRefusesAPluginsDirectoryThatIsAFile(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	cfg.Log, cfg.Dir = quiet(), place(t, cfg.Dir, "file", nil, 0o644)
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Open(); err == nil {
		t.Error("it is open")
	}
	if err := h.Run(t.Context()); err == nil {
		t.Error("it ran")
	}
}
