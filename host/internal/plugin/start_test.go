package plugin

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestWhatIsNoPluginIsRefusedWithAReason(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	cfg.Admissions = 4
	truth, err := os.ReadFile("/bin/true")
	if err != nil {
		t.Fatal(err)
	}
	place(t, cfg.Dir, "true", truth, 0o755)
	place(t, cfg.Dir, "script", []byte("#!/bin/sh\necho hello from a script\n"), 0o755)
	place(t, cfg.Dir, "silent", []byte("#!/bin/sh\necho some trouble >&2; exit 7\n"), 0o755)
	place(t, cfg.Dir, "text", []byte("just some text\n"), 0o755)
	place(t, cfg.Dir, "lost", []byte("#!/no/such/interpreter\n"), 0o755)
	place(t, cfg.Dir, "wrapper", []byte("#!/bin/sh\n"+chaos+"\n"), 0o755)
	place(t, cfg.Dir, "README.md", []byte("# hello\n"), 0o644)
	for _, name := range []string{"garbage", "exit", "stumble", "future", "tcp", "parent", "mute", "chaos"} {
		install(t, cfg.Dir, name, "")
	}
	b := serve(t, cfg)
	for name, want := range map[string]string{
		"true":      "ended before the plugin handshake (exit status 0)",
		"script":    `wrote "hello from a script" to standard output`,
		"silent":    "(exit status 7); is it a Geomill plugin? (geomill plugin check FILE finds out); it last wrote: some trouble",
		"text":      "must begin with #!",
		"lost":      "interpreter",
		"wrapper":   "must end in exec",
		"README.md": "not executable: chmod +x " + filepath.Join(cfg.Dir, "README.md"),
		"garbage":   `wrote "hello, I am no handshake"`,
		"exit":      "(exit status 3); is it a Geomill plugin? (geomill plugin check FILE finds out); it last wrote: cannot find my data",
		"stumble":   "it last wrote: panic: cannot begin | ",
		"future":    "incompatible API version",
		"tcp":       "only a Unix socket",
		"parent":    "not by process",
		"mute":      "offers no process",
	} {
		s := b.status(name)
		if s.State != StateRefused || !strings.Contains(s.Reason, want) {
			t.Errorf("%s: %s, %q; want refused, %q", name, s.State, s.Reason, want)
		}
	}
	if s := b.status("chaos"); s.State != StateIdle || s.Name != "chaos" || len(s.Processes) == 0 {
		t.Errorf("the good one beside them: %+v", s)
	}
	if _, err := b.run(t.Context(), "echo"); err != nil {
		t.Errorf("job of the good one: %v", err)
	}
}

func TestPluginsThatHangAtTheirStartAreRefused(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	cfg.HandshakeTimeout = 5 * time.Second
	install(t, cfg.Dir, "hang", "")
	install(t, cfg.Dir, "partial", "")
	b := serve(t, cfg)
	b.refused("hang", "no plugin handshake within 5s")
	b.refused("partial", `wrote "never a line"`)
}

func TestReadyDoesNotWaitForAPluginThatHangs(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	cfg.HandshakeTimeout = time.Minute
	cfg.ReadyTimeout = 300 * time.Millisecond
	install(t, cfg.Dir, "hang", "")
	b := serve(t, cfg)
	eventually(t, "its start", func() bool { return b.status("hang").State == StateAdmitting })
}

func TestScriptThatExecutesAPluginIsOne(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	place(t, cfg.Dir, "script", []byte("#!/bin/sh\nexec "+chaos+"\n"), 0o755)
	b := serve(t, cfg)
	if _, err := b.run(t.Context(), "echo"); err != nil {
		t.Fatal(err)
	}
}

func TestABadProcessHidesNoOther(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	install(t, cfg.Dir, "liar", "")
	b := serve(t, cfg)
	s := b.status("liar")
	if len(s.Processes) != 2 || s.Processes[0].Reason == "" || s.Processes[1].Reason != "" || s.Reason == "" {
		t.Errorf("status: %+v", s)
	}
	if _, err := b.run(t.Context(), "good"); err != nil {
		t.Error(err)
	}
}

func TestFirstFileByNameHasAProcess(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	install(t, cfg.Dir, "twin-b", "b")
	install(t, cfg.Dir, "twin-a", "a")
	b := serve(t, cfg)
	a, err := b.run(t.Context(), "echo")
	if err != nil || a.Version != "a" {
		t.Errorf("ran version %q: %v", a.Version, err)
	}
	s := b.status("twin-b")
	if s.Processes[0].Reason != alreadyOffered("twin-a") || s.Processes[1].Reason != "" {
		t.Errorf("status: %+v", s)
	}
	if _, err := b.run(t.Context(), "own-twin-b"); err != nil {
		t.Error(err)
	}
}

func TestKnownPluginsAreNotStartedAtTheStartOfTheHost(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	flag := filepath.Join(cfg.Dir, "..", "flag")
	cfg.Env = []string{"CHAOS_FLAG=" + flag}
	install(t, cfg.Dir, "grudge", "")
	serve(t, cfg).stop()
	// From now on a start would fail, so a process that is listed was known.
	if err := os.WriteFile(flag, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b := serve(t, cfg)
	if s := b.status("grudge"); s.State != StateIdle || len(s.Processes) != 1 {
		t.Fatalf("status: %+v", s)
	}
	if b.host.launcher.count.Load() != 0 {
		t.Error("an instance was started")
	}
}

func TestScanReportsAndLeavesNothing(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	cfg.Log = quiet()
	install(t, cfg.Dir, "chaos", "")
	install(t, cfg.Dir, "exit", "")
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	list, err := h.Scan(t.Context())
	if err != nil || len(list) != 2 || list[0].State != StateIdle || list[1].State != StateRefused {
		t.Errorf("%+v, %v", list, err)
	}
	left, err := os.ReadDir(cfg.RunDir)
	if err != nil || len(left) != 0 {
		t.Errorf("run directory holds %v, %v", left, err)
	}
	if _, err := h.Scan(t.Context()); err == nil {
		t.Error("a second scan with the same host")
	}
}

func TestStartThatIsCancelledBeforehandEndsAtOnce(t *testing.T) {
	t.Parallel()
	l, exe := launch(t, "hang")
	l.cfg.HandshakeTimeout = time.Minute
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	done := make(chan error, 1)
	go func() {
		_, err := l.start(ctx, exe, Options{})
		done <- err
	}()
	select {
	case err := <-done:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	case <-time.After(patience):
		t.Error("the start goes on")
		<-done
	}
}

func TestPlaceOfAJobIsCountedAlthoughItsInstanceDiesAtOnce(t *testing.T) {
	t.Parallel()
	l, exe := launch(t, "chaos")
	conn, err := l.start(t.Context(), exe, Options{})
	if err != nil {
		t.Fatal(err)
	}
	in, err := newInstance(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	defer in.session.Close()
	conn.kill()
	<-in.session.Done()
	if in.seize(); in.jobs() != 1 {
		t.Errorf("%d jobs", in.jobs())
	}
	if in.release(); in.jobs() != 0 {
		t.Errorf("%d jobs once it was given back", in.jobs())
	}
}
