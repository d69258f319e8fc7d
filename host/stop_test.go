package host_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// answer is what a request in the background came to.
type answer struct {
	reply
	err error
}

func (c *web) background(method, path, body string, header ...string) <-chan answer {
	a := make(chan answer, 1)
	go func() {
		r, err := c.send(method, path, body, header...)
		a <- answer{r, err}
	}()
	return a
}

// TestASignalLetsWorkEnd sends SIGTERM while a sync request and an async job
// run: both end well, and what is queued waits for the next start.
func TestASignalLetsWorkEnd(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := startServer(t, dir, []string{"sleep", "hello-world"}, "--slots", "1", "--record-sync", "--drain", "1m")
	c := newWeb(t, s.url)
	job := c.submit(t, "sleep", `{"seconds":4}`)
	queued := c.submit(t, "hello-world", `{"name":"queued"}`)
	c.await(t, job, "running")
	request := c.background("POST", sleep, `{"inputs":{"seconds":4}}`)
	c.awaitRunning(t, 2)
	if err := s.end(t, syscall.SIGTERM); err != nil {
		t.Errorf("the server ended with %v", err)
	}
	a := <-request
	var slept float64 // seconds; more on a busy machine
	if a.err != nil || a.StatusCode != 200 || json.Unmarshal(a.body, &slept) != nil || slept < 4 {
		t.Errorf("the request was answered with %v, %v", a.reply, a.err)
	}
	s = startServer(t, dir, nil)
	c = newWeb(t, s.url)
	for _, path := range []string{job, queued} {
		if end := c.await(t, path, "successful", "failed", "dismissed"); end.Status != "successful" {
			t.Errorf("%s is %s (%s)", path, end.Status, end.Message)
		}
	}
}

// TestWorkBeyondTheDrainIsCutOff sends SIGTERM while work goes on for longer
// than --drain: a job that may not run again fails, one that may waits for the
// next start, a sync request is told that the server stops; no job stays running.
func TestWorkBeyondTheDrainIsCutOff(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := startServer(t, dir, []string{"sleep", "echo"}, "--drain", "300ms", "--record-sync", "--log-level", "debug")
	c := newWeb(t, s.url)
	fails := c.submit(t, "sleep", `{"seconds":600}`)
	waits := c.submit(t, "echo", `{"text":"again","pause":6}`)
	c.await(t, fails, "running")
	c.await(t, waits, "running")
	request := c.background("POST", sleep, `{"inputs":{"seconds":601}}`)
	waiter := c.background("POST", sleep, `{"inputs":{"seconds":602}}`, "Prefer", "wait=60")
	c.awaitRunning(t, 4)
	if err := s.end(t, syscall.SIGTERM); err != nil {
		t.Errorf("the server ended with %v", err)
	}
	if a := <-request; a.err != nil {
		t.Errorf("the request got no answer: %v", a.err)
	} else if a.StatusCode != 503 || a.Header.Get("Retry-After") == "" {
		t.Errorf("the request was answered with %v, want 503", a.reply)
	}
	if a := <-waiter; a.err != nil {
		t.Errorf("the request that waits got no answer: %v", a.err)
	} else if a.StatusCode != 201 && a.StatusCode != 500 {
		t.Errorf("the request that waits was answered with %v, want its job", a.reply)
	}
	s = startServer(t, dir, nil)
	c = newWeb(t, s.url)
	if end := c.await(t, fails, "successful", "failed", "dismissed"); end.Status != "failed" || !strings.Contains(end.Message, "stopped") {
		t.Errorf("the job that may not run again is %s (%s)", end.Status, end.Message)
	}
	if end := c.await(t, waits, "successful", "failed", "dismissed"); end.Status != "successful" {
		t.Errorf("the job that may run again is %s (%s)", end.Status, end.Message)
	}
	r := c.must(t, 200, "GET", "/jobs", "")
	if strings.Contains(string(r.body), `"running"`) || strings.Contains(string(r.body), `"dismissed"`) || strings.Contains(string(r.body), "crashed") {
		t.Errorf("after a stop in good order: %s", r.body)
	}
}

// TestASecondSignalEndsTheHostAtOnce does not wait for work that goes on, and
// still leaves no plugin behind.
func TestASecondSignalEndsTheHostAtOnce(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir(), []string{"sleep"}, "--drain", "1h")
	c := newWeb(t, s.url)
	job := c.submit(t, "sleep", `{"seconds":600}`)
	c.await(t, job, "running")
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if !strings.Contains(s.log.String(), "stopping") {
			return errors.New("it does not stop")
		}
		return nil
	})
	if err := s.end(t, syscall.SIGTERM); err == nil {
		t.Error("the server ended in good order though work went on")
	}
	s.leavesNothing(t)
}

// TestWhatAKilledHostLeftIsRemoved starts on a data directory with the body of a
// request and the directory of a job that nobody knows.
func TestWhatAKilledHostLeftIsRemoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, left := range []string{"data/spool/body-1", "data/jobs/01890a5d-ac96-774b-bcce-b302099a8057/in/text"} {
		name := filepath.Join(dir, left)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte("x"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	s := startServer(t, dir, nil)
	s.settles(t, newWeb(t, s.url), openFiles(t, s.cmd.Process.Pid))
}

// awaitRunning waits until n jobs run.
func (c *web) awaitRunning(t *testing.T, n int) {
	t.Helper()
	eventually(t, func() error {
		r, err := c.send("GET", "/jobs?status=running", "")
		if err == nil && strings.Count(string(r.body), `"status":"running"`) != n {
			err = errors.New(r.String())
		}
		return err
	})
}

// TestASecondHostOnTheDataDirectoryIsRefused wants its reason in one line.
func TestASecondHostOnTheDataDirectoryIsRefused(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir(), nil)
	cmd := exec.Command(filepath.Join(built(t), "geomill"), "serve", "--listen", "127.0.0.1:0", "--plugins", filepath.Join(s.dir, "plugins"), "--data", s.data())
	var out, errs journal
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if cmd.ProcessState.ExitCode() != 1 || out.String() != "" || strings.Count(errs.String(), "\n") != 1 || !strings.Contains(errs.String(), "another") {
		t.Errorf("%v: %q, want exit code 1 and one line that names the other host", err, errs.String())
	}
	newWeb(t, s.url).must(t, 200, "GET", "/jobs", "") // the first one goes on
	if err := s.end(t, syscall.SIGTERM); err != nil {
		t.Errorf("the server ended with %v", err)
	}
}
