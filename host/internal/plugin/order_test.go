package plugin

import (
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"

	"geomill/host/internal/job"
)

func TestChangedDecisionsOfTheOperatorComeIntoForce(t *testing.T) {
	t.Parallel()
	cfg := keeping(t)
	var isolation atomic.Value
	isolation.Store(job.Shared)
	cfg.Options = func(file string) Options {
		if file == "chaos" {
			return Options{Isolation: isolation.Load().(job.Isolation)}
		}
		return Options{}
	}
	install(t, cfg.Dir, "chaos", "1")
	install(t, cfg.Dir, "solo", "2")
	b := serve(t, cfg)
	before, err := b.run(t.Context(), "solo")
	if err != nil {
		t.Fatal(err)
	}
	b.version(t) // it is in use
	isolation.Store(job.Exclusive)
	if err := b.host.Reconfigure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p, err := b.host.Process("echo"); err != nil || p.Policy.Isolation != job.Exclusive {
		t.Errorf("policy: %+v, %v", p.Policy, err)
	}
	if s := b.status("chaos"); s.State != StateReady || s.Previous != nil {
		t.Errorf("status: %+v", s)
	}
	if after, err := b.run(t.Context(), "solo"); err != nil || after.PID != before.PID {
		t.Errorf("another plugin was started anew: %v", err)
	}
}

// TestABreakingVersionServesOnceTheOperatorAllowsIt first has it refused.
func TestABreakingVersionServesOnceTheOperatorAllowsIt(t *testing.T) {
	t.Parallel()
	cfg := keeping(t)
	var allow atomic.Bool
	cfg.Options = func(string) Options { return Options{AllowBreaking: allow.Load()} }
	install(t, cfg.Dir, "chaos", "1.0.0")
	b := serve(t, cfg)
	install(t, cfg.Dir, "chaos", "1.1.0-narrow")
	b.refuses(t, "breaks clients")
	allow.Store(true)
	if err := b.host.Reconfigure(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.becomes(t, "1.1.0-narrow")
}

func TestAJobForAReplacedVersionIsToldSo(t *testing.T) {
	t.Parallel()
	cfg := keeping(t)
	install(t, cfg.Dir, "chaos", "1.0.0")
	b := serve(t, cfg)
	b.version(t)
	old, err := b.host.Process("echo")
	if err != nil {
		t.Fatal(err)
	}
	install(t, cfg.Dir, "chaos", "1.0.1")
	b.becomes(t, "1.0.1")
	a := job.Attempt{JobID: newID(), Number: 1, Process: old, Dir: filepath.Join(b.dir, "..", "job")}
	var ev events
	if _, err := b.host.Execute(t.Context(), a, &ev); err != nil || ev.moved == nil || ev.moved.Plugin.Version != "1.0.1" {
		t.Errorf("moved to %+v, %v", ev.moved, err)
	}
	ev.refusal = errors.New("it does not fit")
	if _, err := b.host.Execute(t.Context(), a, &ev); !errors.Is(err, ev.refusal) {
		t.Errorf("refused: %v", err)
	}
	eventually(t, "one instance, without a job", func() bool {
		s := b.status("chaos")
		return len(s.Instances) == 1 && s.Instances[0].Jobs == 0
	})
}

func TestOrdersEndWithTheHost(t *testing.T) {
	t.Parallel()
	b := serve(t, keeping(t))
	b.stop()
	if err := b.host.Reload(t.Context(), "chaos", false); !errors.Is(err, errStopping) {
		t.Errorf("after the end: %v", err)
	}
	h, err := New(b.cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(job.ErrDismissed)
	if err := h.Rollback(ctx, "chaos"); !errors.Is(err, job.ErrDismissed) {
		t.Errorf("before the start: %v", err)
	}
}
