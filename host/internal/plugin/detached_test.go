package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"geomill/host/internal/job"
)

func TestPluginThatCannotGoOnAloneIsToldFromOneThatCannotStart(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	install(t, cfg.Dir, "chaos", "")
	b := serve(t, cfg)
	_, _, err := b.looks("look-once", func(a *job.Attempt) { a.Leave = make(chan struct{}) })
	if f := failureOf(t, err); f.Kind != job.ContractBroken || !strings.Contains(f.Detail, "cannot go on without its host") {
		t.Errorf("%+v", f)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(cfg.Dir), "*", "d*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestTailOfAFileThatIsCut begins anew with it, and reads to its end at last.
func TestTailOfAFileThatIsCut(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("before\nfirst\n")
	c := &console{log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tail(ctx, path, int64(len("before\n")), c.stream("stderr"))
	}()
	eventually(t, "the first line", func() bool { return c.written() == 1 })
	write("second\n")
	eventually(t, "the line after the cut", func() bool { return c.written() == 2 })
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("last"); err != nil {
		t.Fatal(err)
	}
	cancel()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("it goes on")
	}
	if got := strings.Join(c.last(9), " "); got != "first second last" {
		t.Errorf("lines %q", got)
	}
}

// TestTailOfAPluginThatNeverStopsWritingEnds has the file grow with each line that
// is read of it.
func TestTailOfAPluginThatNeverStopsWritingEnds(t *testing.T) {
	t.Parallel()
	f, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c := &console{log: slog.New(slog.DiscardHandler)}
	c.tap.Store(&tap{take: func(string, slog.Level, string, json.RawMessage) { _, _ = f.WriteString("more\n") }})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tail(ctx, f.Name(), 0, c.stream("stderr"))
	}()
	if _, err := f.WriteString("more\n"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "many lines", func() bool { return c.written() > 100 })
	cancel()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("it goes on")
	}
}

// TestDetachedInstancesThatCannotStartAreHeldBack lets one fail, and asks for
// another at once.
func TestDetachedInstancesThatCannotStartAreHeldBack(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	cfg.BackoffFirst, cfg.BackoffMax = time.Hour, time.Hour
	flag := filepath.Join(cfg.Dir, "..", "flag")
	cfg.Env = []string{"CHAOS_FLAG=" + flag}
	install(t, cfg.Dir, "grudge", "")
	b := serve(t, cfg)
	p, err := b.host.Process("grudge")
	if err != nil {
		t.Fatal(err)
	}
	place(t, filepath.Dir(flag), "flag", nil, 0o600)
	for range 2 {
		a := b.attempt(p, nil, time.Second)
		a.Leave = make(chan struct{})
		_, err := b.host.Execute(t.Context(), a, &events{})
		if u, ok := errors.AsType[*job.UnavailableError](err); !ok || !u.Passing || u.RetryAfter < time.Minute || u.ProcessID != "grudge" {
			t.Errorf("%+v", err)
		}
	}
	if s := b.status("grudge"); s.State != StateCrashed || s.Counters.Starts["failed"] != 1 {
		t.Errorf("%+v", s)
	}
}
