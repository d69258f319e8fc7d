package plugin

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"geomill/host/internal/job"
	"geomill/host/internal/plugin/sandbox"

	"go.uber.org/goleak"
)

// launch prepares an executable and a launcher for starts without a host.
func launch(t testing.TB, name string) (*launcher, *executable) {
	t.Helper()
	return launchFrom(t, func(dir string) { install(t, dir, name, "") })
}

// launchFrom is launch for the one plugin that put puts into a directory.
func launchFrom(t testing.TB, put func(dir string)) (*launcher, *executable) {
	t.Helper()
	cfg := quick(t)
	cfg.Log = quiet()
	if err := cfg.prepare(); err != nil {
		t.Fatal(err)
	}
	put(cfg.Dir)
	dir, err := openRunDir(cfg.RunDir, quiet())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dir.close)
	found, _, err := discover(cfg.Dir, os.Geteuid())
	if err != nil {
		t.Fatal(err)
	}
	exe, err := openExecutable(found[0], os.Geteuid(), unhashed)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(exe.close)
	return &launcher{cfg: &cfg, runDir: dir.path, machine: sandbox.Probe()}, exe
}

// Not parallel: it counts what the whole test process holds.
func TestStartsAndStopsLeaveNothing(t *testing.T) {
	l, exe := launch(t, "chaos")
	broken, bad := launch(t, "exit")
	cycles := 100
	if testing.Short() {
		cycles = 10
	}
	cycle := func() {
		conn, err := l.start(t.Context(), exe, Options{})
		if err != nil {
			t.Fatal(err)
		}
		conn.stop(nil, l.cfg.TermAfter, l.cfg.KillAfter)
		if _, err := broken.start(t.Context(), bad, Options{}); err == nil {
			t.Fatal("it started")
		}
	}
	cycle() // opens what stays open, such as the poller's descriptors
	before, running := descriptors(t), goleak.IgnoreCurrent()
	for range cycles {
		cycle()
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d file descriptors, %d before", after, before)
	}
	goleak.VerifyNone(t, running)
	if left := children(t); len(left) > 0 {
		t.Errorf("processes %v are left", left)
	}
	for _, dir := range []string{l.runDir, broken.runDir} {
		if left, err := os.ReadDir(dir); err != nil || len(left) != 1 { // the lock
			t.Errorf("run directory holds %v, %v", left, err)
		}
	}
}

func descriptors(t testing.TB) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// children lists the child processes of this one, zombies included.
func children(t testing.TB) []string {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		if fields[1] == strconv.Itoa(os.Getpid()) {
			list = append(list, path)
		}
	}
	return list
}

// BenchmarkStart is from exec to a configured plugin; its yardstick is to exec
// the same file, which then ends at once.
func BenchmarkStart(b *testing.B) {
	b.Run("instance", func(b *testing.B) {
		l, exe := launch(b, "chaos")
		for b.Loop() {
			conn, err := l.start(b.Context(), exe, Options{})
			if err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			conn.kill()
			b.StartTimer()
		}
	})
	b.Run("exec", func(b *testing.B) {
		path := install(b, quick(b).Dir, "exit", "")
		for b.Loop() {
			if err := exec.Command(path).Run(); err == nil {
				b.Fatal("it did not exit")
			}
		}
	})
}

// BenchmarkExecute is one small job in a shared instance.
func BenchmarkExecute(b *testing.B) {
	cfg := quick(b)
	cfg.HeartbeatEvery = 0
	install(b, cfg.Dir, "chaos", "")
	h := serve(b, cfg)
	p, err := h.host.Process("echo")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			a := job.Attempt{JobID: newID(), Number: 1, Process: p, Dir: cfg.CacheDir}
			if _, err := h.host.Execute(b.Context(), a, &events{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
