package host_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"geomill/host"
	"geomill/host/internal/job"
)

// lasting is a job that outlives its host, told what to do by files.
type lasting struct {
	t    *testing.T
	dir  string // of the server
	ctl  string // with the orders
	text string
	path string
}

// startLasting runs the built server with the plugin, and submits a job to it.
func startLasting(t *testing.T, config string) (*lasting, *server, *web) {
	t.Helper()
	l := &lasting{t: t, dir: t.TempDir(), ctl: t.TempDir(), text: strings.Repeat("lasting ", 100<<10)}
	if err := os.Chmod(l.ctl, 0o777); err != nil { // for a plugin with a user of its own
		t.Fatal(err)
	}
	binary := filepath.Join(l.dir, "lasting")
	if out, err := exec.Command("go", "build", "-o", binary, "./testdata/lasting").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	if err := os.MkdirAll(filepath.Join(l.dir, "plugins"), 0o755); err != nil {
		t.Fatal(err)
	}
	place(t, binary, filepath.Join(l.dir, "plugins", "lasting"))
	config += fmt.Sprintf("plugin-config:\n  lasting: {write: [%q]}\n", l.ctl)
	if err := os.WriteFile(filepath.Join(l.dir, "config.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	s, c := l.serve()
	l.path = c.submit(t, "lasting", fmt.Sprintf(`{"dir":%q,"text":%q}`, l.ctl, l.text))
	return l, s, c
}

func (l *lasting) serve() (*server, *web) {
	l.t.Helper()
	s := startServer(l.t, l.dir, nil, "--config", filepath.Join(l.dir, "config.yaml"))
	return s, newWeb(l.t, s.url)
}

// order has the job do something.
func (l *lasting) order(what string) {
	l.t.Helper()
	if err := os.WriteFile(filepath.Join(l.ctl, what), nil, 0o600); err != nil {
		l.t.Fatal(err)
	}
}

// pid is the process that runs an attempt.
func (l *lasting) pid(attempt int) (pid int) {
	l.t.Helper()
	eventually(l.t, func() error {
		text, err := os.ReadFile(filepath.Join(l.ctl, fmt.Sprintf("pid%d", attempt)))
		if err == nil {
			pid, err = strconv.Atoi(string(text))
		}
		return err
	})
	l.t.Cleanup(func() {
		if l.t.Failed() && pid > 0 && lives(pid) {
			_ = syscall.Kill(-pid, syscall.SIGKILL)
		}
	})
	return pid
}

func lives(pid int) bool { return len(living([]int{pid})) > 0 }

func (l *lasting) reaches(c *web, progress int) {
	l.t.Helper()
	eventually(l.t, func() error {
		s, err := c.status(l.path)
		if err == nil && (s.Message != fmt.Sprintf("did step %d", progress/10) || s.Status != "running") {
			err = fmt.Errorf("%+v", s)
		}
		return err
	})
}

// succeeds holds the results against what the job was asked for, and looks for
// what it has left.
func (l *lasting) succeeds(s *server, c *web, attempt, steps int, note string) {
	l.t.Helper()
	c.await(l.t, l.path, "successful")
	var out struct {
		Attempt, Steps int
		Note           string
		Text           struct{ Value string }
	}
	r := c.must(l.t, 200, "GET", l.path+"/results", "")
	if err := json.Unmarshal(r.body, &out); err != nil || out.Attempt != attempt || out.Steps != steps || out.Note != note || out.Text.Value != l.text {
		l.t.Errorf("attempt %d, %d steps, note %q, %d bytes of text (%v)", out.Attempt, out.Steps, out.Note, len(out.Text.Value), err)
	}
	l.leavesNothing(s)
}

// listed holds what an operator is shown of the plugin against its one process.
func (l *lasting) listed(s *server, pid int) {
	l.t.Helper()
	p, err := host.NewOperator(s.data()).Plugin(l.t.Context(), "lasting")
	if err != nil || len(p.Instances) != 1 || p.Instances[0].PID != pid || p.Instances[0].Jobs != 1 || p.Instances[0].MemoryBytes == 0 {
		l.t.Errorf("the operator is shown %+v, %v", p.Instances, err)
	}
}

// leavesNothing looks for files of jobs and instances.
func (l *lasting) leavesNothing(s *server) {
	l.t.Helper()
	eventually(l.t, func() error {
		left, err := filepath.Glob(filepath.Join(s.data(), "[jw]o*", "*"))
		if err == nil && len(left) > 0 {
			err = fmt.Errorf("left: %v", left)
		}
		return err
	})
}

// outlives kills the server amid the job, and sees the job through with another.
func (l *lasting) outlives(s *server, c *web, pid int) {
	l.t.Helper()
	l.order("1")
	l.reaches(c, 10)
	_ = s.end(l.t, syscall.SIGKILL)
	s, c = l.serve()
	l.order("2")
	l.reaches(c, 20)
	l.order("end")
	l.succeeds(s, c, 1, 2, "")
	l.gone(pid)
}

func (l *lasting) gone(pid int) {
	l.t.Helper()
	eventually(l.t, func() error {
		if lives(pid) {
			return errors.New("the process lives on")
		}
		return nil
	})
}

func TestDetachedJobGoesOnWhenTheHostIsKilled(t *testing.T) {
	t.Parallel()
	l, s, c := startLasting(t, "")
	pid := l.pid(1)
	l.order("1")
	l.reaches(c, 10)
	for round := 2; round <= 3; round++ {
		_ = s.end(t, syscall.SIGKILL)
		l.order(strconv.Itoa(round))
		s, c = l.serve()
		l.reaches(c, 10*round)
		if !lives(pid) {
			t.Fatal("the process has ended")
		}
		l.listed(s, pid)
	}
	l.order("4")
	l.reaches(c, 40)
	l.order("end")
	l.succeeds(s, c, 1, 4, "")
	l.gone(pid)
	_, words := c.logOf(t, l.path, "")
	for step := 1; step <= 4; step++ {
		if !strings.Contains(strings.Join(words, "\n"), fmt.Sprintf("step %d", step)) {
			t.Errorf("the log lacks step %d: %q", step, words)
		}
	}
}

func TestDetachedJobIsNeitherAwaitedNorStoppedWhenTheHostStops(t *testing.T) {
	t.Parallel()
	l, s, c := startLasting(t, "drain: 30s\n")
	pid := l.pid(1)
	l.order("1")
	l.reaches(c, 10)
	if err := s.end(t, syscall.SIGTERM); err != nil {
		t.Errorf("the server ended with %v", err)
	}
	if !lives(pid) {
		t.Fatal("the process was stopped")
	}
	s, c = l.serve()
	l.order("2")
	l.reaches(c, 20)
	c.must(t, 200, "DELETE", l.path, "")
	l.gone(pid)
	l.leavesNothing(s)
}

// TestDetachedJobThatTidiesItsHomeIsAttachedTo: nothing of the host's is there.
func TestDetachedJobThatTidiesItsHomeIsAttachedTo(t *testing.T) {
	t.Parallel()
	l, s, c := startLasting(t, "")
	pid := l.pid(1)
	l.order("tidy")
	eventually(t, func() error {
		if _, err := os.Stat(filepath.Join(l.ctl, "tidy")); err == nil {
			return errors.New("not yet")
		}
		return nil
	})
	l.outlives(s, c, pid)
}

func TestDetachedJobThatEndedWithoutAHostHasItsResults(t *testing.T) {
	t.Parallel()
	l, s, _ := startLasting(t, "")
	pid := l.pid(1)
	_ = s.end(t, syscall.SIGKILL)
	l.order("1")
	l.order("end")
	if err := os.Remove(filepath.Join(l.dir, "plugins", "lasting")); err != nil { // its version goes on
		t.Fatal(err)
	}
	eventually(t, func() error {
		files, err := filepath.Glob(filepath.Join(s.data(), "work", "*", "*", "1", "tmp", "text"))
		if err == nil && len(files) == 0 {
			err = errors.New("no output yet")
		}
		return err
	})
	s, c := l.serve()
	l.succeeds(s, c, 1, 1, "")
	l.gone(pid)
}

func TestDetachedJobWhoseProcessDiedWithoutAHostFailsOrRunsAgain(t *testing.T) {
	t.Parallel()
	for retries, want := range []string{"failed", "successful"} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			l, s, _ := startLasting(t, fmt.Sprintf("processes:\n  lasting: {retry-attempts: %d, retry-backoff: 1ms}\n", retries))
			pid := l.pid(1)
			_ = s.end(t, syscall.SIGKILL)
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			l.gone(pid)
			s, c := l.serve()
			if want == "successful" {
				l.pid(2)
				l.order("end")
				l.succeeds(s, c, 2, 0, "1;")
				return
			}
			c.await(t, l.path, "failed")
			if e := c.places(t, promises(t, c), l.path); e.Type != job.TypePluginCrashed || !strings.Contains(e.Detail, "while no server was connected") {
				t.Errorf("%+v", e)
			}
			l.leavesNothing(s)
		})
	}
}

func TestDetachedJobWhoseProcessDiesSaysHow(t *testing.T) {
	t.Parallel()
	l, s, c := startLasting(t, "")
	pid := l.pid(1)
	l.order("1")
	l.reaches(c, 10)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	c.await(t, l.path, "failed")
	if e := c.places(t, promises(t, c), l.path); e.Type != job.TypePluginCrashed || !strings.Contains(e.Detail, "signal: killed") {
		t.Errorf("%+v", e)
	}
	l.leavesNothing(s)
}

func TestDetachedJobThatWasDismissedAsTheHostDiedIsEnded(t *testing.T) {
	t.Parallel()
	l, s, c := startLasting(t, "")
	pid := l.pid(1)
	s2 := s
	c.must(t, 200, "DELETE", l.path, "")
	_ = s2.end(t, syscall.SIGKILL)
	s, _ = l.serve()
	l.gone(pid)
	l.leavesNothing(s)
}

func TestDetachedJobRunsOutOfTimeAsOfItsStart(t *testing.T) {
	t.Parallel()
	l, s, _ := startLasting(t, "processes:\n  lasting: {timeout: 15s}\n")
	pid := l.pid(1)
	_ = s.end(t, syscall.SIGKILL)
	_, c := l.serve()
	c.await(t, l.path, "failed")
	if e := c.places(t, promises(t, c), l.path); e.Type != job.TypeTimeout || e.Timeout != 15 {
		t.Errorf("%+v", e)
	}
	l.gone(pid)
}
