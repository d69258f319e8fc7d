package plugin

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"geomill/host/internal/job"
)

func TestDroppedReplacedAndRemovedPluginsTakeEffect(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	b := serve(t, cfg)
	if _, err := b.host.Process("solo"); !errors.Is(err, job.ErrNoSuchProcess) {
		t.Fatalf("before: %v", err)
	}
	install(t, cfg.Dir, "solo", "1")
	eventually(t, "dropped plugin", func() bool { a, err := b.run(t.Context(), "solo"); return err == nil && a.Version == "1" })
	install(t, cfg.Dir, "solo", "2")
	eventually(t, "replaced plugin", func() bool { a, err := b.run(t.Context(), "solo"); return err == nil && a.Version == "2" })

	place(t, cfg.Dir, "solo", []byte("#!/bin/sh\nexit 1\n"), 0o755)
	eventually(t, "the error of a broken one", func() bool {
		return strings.Contains(b.status("solo").Reason, "the one before goes on: ended before the plugin handshake")
	})
	if a, err := b.run(t.Context(), "solo"); err != nil || a.Version != "2" {
		t.Errorf("the one before: %q, %v", a.Version, err)
	}
	offered := b.host.Processes()[0]
	if err := os.Remove(filepath.Join(cfg.Dir, "solo")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "removed plugin", func() bool { _, err := b.host.Process("solo"); return errors.Is(err, job.ErrNoSuchProcess) })
	_, err := b.host.Execute(t.Context(), job.Attempt{JobID: newID(), Process: offered}, &events{})
	if f := failureOf(t, err); f.Kind != job.Vanished {
		t.Errorf("a job of a removed plugin: %+v", f)
	}
	if s := b.status("solo"); s.File != "" {
		t.Errorf("status: %+v", s)
	}
}

func TestRunningJobsFinishOnTheVersionTheyBeganWith(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	install(t, cfg.Dir, "chaos", "1")
	b := serve(t, cfg)
	old, err := b.run(t.Context(), "echo")
	if err != nil {
		t.Fatal(err)
	}
	running, release := b.background("wait")
	install(t, cfg.Dir, "chaos", "2")
	eventually(t, "new version", func() bool { a, err := b.run(t.Context(), "echo"); return err == nil && a.Version == "2" })
	if gone(old.PID) {
		t.Error("old instance is gone although it has a job")
	}
	release()
	if err := <-running; !errors.Is(err, job.ErrDismissed) {
		t.Errorf("its job: %v", err)
	}
	eventually(t, "end of the old instance", func() bool { return gone(old.PID) })
}

func TestStopWithRunningJobsIsBounded(t *testing.T) {
	t.Parallel()
	b := chaosHost(t)
	running, _ := b.background("deaf")
	b.stop()
	if f := failureOf(t, <-running); f.Kind != job.PluginDied {
		t.Errorf("%+v", f)
	}
	_, err := b.run(t.Context(), "echo")
	if _, ok := errors.AsType[*job.UnavailableError](err); !ok {
		t.Errorf("a job afterwards: %v", err)
	}
}

func TestPluginThatKeepsCrashingIsQuarantined(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	cfg.QuarantineFor = 5 * time.Second // longer than a busy machine takes to look at it
	flag := filepath.Join(cfg.Dir, "..", "flag")
	cfg.Env = []string{"CHAOS_FLAG=" + flag}
	install(t, cfg.Dir, "grudge", "")
	b := serve(t, cfg)
	if err := os.WriteFile(flag, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		_, err := b.run(t.Context(), "grudge")
		if u, ok := errors.AsType[*job.UnavailableError](err); !ok || u.ProcessID != "grudge" || u.RetryAfter <= 0 {
			t.Fatalf("start %d: %v", i, err)
		}
	}
	p, err := b.host.Process("grudge")
	if u, ok := errors.AsType[*job.UnavailableError](err); !ok || p == nil || !strings.Contains(u.Reason, "quarantine") {
		t.Errorf("in quarantine: %v, %v", p, err)
	}
	if s := b.status("grudge"); s.State != StateQuarantined || !strings.Contains(s.Reason, "not today") || s.Crashes != 5 {
		t.Errorf("status: %+v", s)
	}
	if len(b.host.Processes()) != 1 {
		t.Error("its process is not listed")
	}
	if err := os.Remove(flag); err != nil {
		t.Fatal(err)
	}
	eventually(t, "recovery after the quarantine", func() bool { _, err := b.run(t.Context(), "grudge"); return err == nil })
	if s := b.status("grudge"); s.State != StateReady {
		t.Errorf("status: %+v", s)
	}
}

func TestSocketOfAnotherProcessIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(filepath.Dir(quick(t).Dir), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for pid, ok := range map[int]bool{os.Getpid(): true, os.Getpid() + 1: false} {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		if err := checkPeer(conn.(*net.UnixConn), pid, 0); (err == nil) != ok {
			t.Errorf("pid %d: %v", pid, err)
		}
		conn.Close()
	}
}

// victimHost is a host of its own that says when its plugin runs and waits to
// be killed.
func victimHost(dir string) {
	cfg := Config{Dir: filepath.Join(dir, "plugins"), RunDir: filepath.Join(dir, "run"), Log: slog.New(slog.DiscardHandler)}
	h, err := New(cfg)
	if err != nil {
		panic(err)
	}
	if err := h.Open(); err != nil {
		panic(err)
	}
	go h.Run(context.Background())
	<-h.Ready()
	p, err := h.Process("grandchild")
	if err != nil {
		panic(err)
	}
	out, err := h.Execute(context.Background(), job.Attempt{JobID: "1", Number: 1, Process: p, Dir: dir}, &events{})
	if err != nil {
		panic(err)
	}
	fmt.Println(string(out["out"].JSON))
	select {}
}

func TestPluginsEndWithinASecondOfAKilledHost(t *testing.T) {
	t.Parallel()
	late := 2 * time.Second
	for try := 0; try < 6 && late > time.Second; try++ { // a busy machine gets several tries
		late = killHost(t)
	}
	if late > time.Second {
		t.Errorf("plugin lived on for %s", late)
	}
}

// killHost kills a host with a plugin, and returns how long that lived on.
func killHost(t *testing.T) (late time.Duration) {
	t.Helper()
	cfg := quick(t)
	install(t, cfg.Dir, "chaos", "")
	base := filepath.Dir(cfg.Dir)
	victim := exec.Command("/proc/self/exe")
	victim.Env = append(os.Environ(), "TEST_VICTIM_HOST="+base)
	victim.Stderr = os.Stderr
	out, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	victim.Process.Kill()
	killed := time.Now()
	victim.Wait()
	if err != nil {
		t.Fatal(err)
	}
	pid, parent := numberAfter(line, `"pid":`), numberAfter(line, `"parent":`)
	if parent == 0 {
		t.Fatalf("victim said %q", line)
	}
	eventually(t, "end of the plugin", func() bool { return gone(parent) })
	late = time.Since(killed)
	if gone(pid) {
		t.Fatal("what the plugin had started ended by itself")
	}
	// What the dead host left behind is swept by the next.
	d, err := openRunDir(cfg.RunDir, quiet())
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	if !gone(pid) {
		t.Error("what the plugin had started lives on")
	}
	if left, _ := filepath.Glob(filepath.Join(cfg.RunDir, "h*")); len(left) != 1 {
		t.Errorf("run directory holds %q", left)
	}
	return late
}

func numberAfter(s, key string) int {
	_, rest, _ := strings.Cut(s, key)
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	n, _ := strconv.Atoi(rest[:max(end, 0)])
	return n
}

func TestFileThatIsStillBeingCopiedIsNotTried(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	cfg.Settle, cfg.RescanEvery = 5*time.Second, 10*time.Millisecond // longer than a busy machine stops the copy
	b := serve(t, cfg)
	content, err := os.ReadFile(chaos)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(cfg.Dir, "chaos"), os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	pace := time.NewTicker(50 * time.Millisecond)
	defer pace.Stop()
	for part := range slices.Chunk(content, len(content)/10+1) {
		<-pace.C
		if _, err := f.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	f.Close()
	eventually(t, "copied plugin", func() bool { _, err := b.run(t.Context(), "echo"); return err == nil })
	if r := b.logs.record("plugin refused"); r != nil {
		t.Errorf("record: %v", r)
	}
}

func TestBusyDirectoryHidesNoNewPlugin(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	cfg.RescanEvery = time.Hour
	b := serve(t, cfg)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		pace := time.NewTicker(2 * time.Millisecond)
		defer pace.Stop()
		for {
			select {
			case <-pace.C:
				os.WriteFile(filepath.Join(cfg.Dir, ".noise"), nil, 0o600)
			case <-stop:
				return
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	install(t, cfg.Dir, "solo", "1")
	eventually(t, "dropped plugin", func() bool { _, err := b.run(t.Context(), "solo"); return err == nil })
}

func TestContentReplacedDuringItsAdmissionTakesEffect(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	cfg.RescanEvery = time.Hour
	trace := t.TempDir()
	flag := filepath.Join(trace, "flag")
	cfg.Options = func(string) Options { return Options{Write: []string{trace}} }
	b := serve(t, cfg)
	place(t, cfg.Dir, "solo", []byte("#!/bin/sh\n: >"+flag+"\nsleep 1\n"), 0o755)
	eventually(t, "admission of the first content", func() bool { _, err := os.Stat(flag); return err == nil })
	install(t, cfg.Dir, "solo", "2")
	eventually(t, "replaced plugin", func() bool { _, err := b.run(t.Context(), "solo"); return err == nil })
}

// A job that waits for the old version when it is replaced is not refused.
func TestJobThatWaitsDuringAReloadRunsOnTheNewVersion(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	install(t, cfg.Dir, "chaos", "1")
	b := serve(t, cfg)
	one, releaseOne := b.background("alone")
	two, releaseTwo := b.background("alone")
	type outcome struct {
		answer
		err error
	}
	third := make(chan outcome, 1)
	go func() {
		a, err := b.run(t.Context(), "alone")
		third <- outcome{a, err}
	}()
	install(t, cfg.Dir, "chaos", "2")
	eventually(t, "new version", func() bool { a, err := b.run(t.Context(), "echo"); return err == nil && a.Version == "2" })
	releaseOne()
	releaseTwo()
	<-one
	<-two
	if o := <-third; o.err != nil || o.Version != "2" {
		t.Errorf("ran on version %q: %v", o.Version, o.err)
	}
}
