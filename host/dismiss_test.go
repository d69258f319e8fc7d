package host_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// grace is the grace time of the servers of these tests.
const grace = 400 * time.Millisecond

// startChaos runs the built server with the plugin that misbehaves.
func startChaos(t *testing.T, args ...string) (*server, *web) {
	t.Helper()
	dir := t.TempDir()
	plugin := filepath.Join(dir, "chaos")
	if out, err := exec.Command("go", "build", "-o", plugin, "./internal/plugin/testdata/chaos").CombinedOutput(); err != nil {
		t.Fatalf("build chaos plugin: %v\n%s", err, out)
	}
	if err := os.Mkdir(filepath.Join(dir, "plugins"), 0o755); err != nil {
		t.Fatal(err)
	}
	place(t, plugin, filepath.Join(dir, "plugins", "chaos"))
	s := startServer(t, dir, nil, append([]string{"--grace", grace.String()}, args...)...)
	return s, newWeb(t, s.url)
}

// brood starts a job that has children of every kind, and returns its path and
// the operating-system processes, the plugin first.
func brood(t *testing.T, c *web, process string) (path string, pids []int) {
	t.Helper()
	path = c.submit(t, process, `{}`)
	return path, broodOf(t, c, path)
}

// broodOf waits until a job has said which processes it has.
func broodOf(t *testing.T, c *web, path string) (pids []int) {
	t.Helper()
	eventually(t, func() error {
		s, err := c.status(path)
		if err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(s.Message), &pids); err != nil || s.Status != "running" {
			return fmt.Errorf("job is %s (%s)", s.Status, s.Message)
		}
		return nil
	})
	t.Cleanup(func() {
		for _, pid := range living(pids) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	return pids
}

// living returns those of some processes that have not ended.
func living(pids []int) []int {
	return slices.DeleteFunc(slices.Clone(pids), func(pid int) bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return true
		}
		_, state, _ := strings.Cut(string(stat), ") ")
		return strings.HasPrefix(state, "Z") || strings.HasPrefix(state, "X")
	})
}

// vanish waits until the processes have ended and reports whether that took, as
// promised, at most the grace time and a second after they were told to.
func vanish(t *testing.T, pids []int, told time.Time) bool {
	t.Helper()
	eventually(t, func() error {
		if left := living(pids); len(left) > 0 {
			return fmt.Errorf("processes %v of %v live on", left, pids)
		}
		return nil
	})
	took := time.Since(told)
	t.Logf("the processes lived for %s", took)
	return took <= grace+time.Second
}

// punctual runs a test that watches the clock, again if a busy machine made it
// late.
func punctual(t *testing.T, test func() bool) {
	t.Helper()
	for range 6 {
		if test() {
			return
		}
	}
	t.Error("it took too long each time")
}

// TestDismissalLeavesNoProcessInAnyMode is promise 2 on the built server: for a
// job that ignores its cancellation and is stopped by SIGSTOP, and for one that
// ends in good order but leaves its children.
func TestDismissalLeavesNoProcessInAnyMode(t *testing.T) {
	t.Parallel()
	s, c := startChaos(t)
	for _, mode := range []string{"", "-alone", "-once"} {
		for _, manner := range []string{"", "-deaf"} {
			t.Run("brood"+manner+mode, func(t *testing.T) {
				punctual(t, func() bool { return testDismissesBrood(t, c, "brood"+manner+mode, manner != "") })
			})
		}
	}
	if strings.Contains(s.log.String(), "plugin crashed") {
		t.Error("a dismissal counts as a crash")
	}
}

func testDismissesBrood(t *testing.T, c *web, process string, freeze bool) (inTime bool) {
	path, pids := brood(t, c, process)
	if freeze {
		if err := syscall.Kill(pids[0], syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	told := time.Now()
	if r := c.must(t, 200, "DELETE", path, ""); !strings.Contains(string(r.body), `"dismissed"`) {
		t.Errorf("%v", r)
	}
	inTime = vanish(t, pids, told)
	if end, err := c.status(path); err != nil || end.Status != "dismissed" {
		t.Errorf("then it is %+v, %v", end, err)
	}
	return inTime
}

// TestClientThatLeavesASyncRequestLeavesNoProcess breaks off sync requests in
// every mode, recorded or not.
func TestClientThatLeavesASyncRequestLeavesNoProcess(t *testing.T) {
	t.Parallel()
	s, c := startChaos(t)
	for _, mode := range []string{"", "-alone", "-once"} {
		for _, reference := range []bool{false, true} {
			t.Run(fmt.Sprintf("brood-deaf%s by reference %t", mode, reference), func(t *testing.T) {
				body := `{"inputs":{}}`
				if reference {
					body = `{"inputs":{},"outputs":{"out":{"transmissionMode":"reference"}}}`
				}
				punctual(t, func() bool { return testLeavesBrood(t, s, c, "/processes/brood-deaf"+mode+"/execution", body) })
			})
		}
	}
	r := c.must(t, 200, "GET", "/jobs", "")
	if n := strings.Count(string(r.body), `"status":"dismissed"`); n < 3 || n != strings.Count(string(r.body), `"status":`) {
		t.Errorf("of at least 3 recorded jobs %d are dismissed: %v", n, r)
	}
}

func testLeavesBrood(t *testing.T, s *server, c *web, path, body string) (inTime bool) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	left := make(chan error, 1)
	go func() { left <- leavable(ctx, c, path, body) }()
	var pids []int
	eventually(t, func() error { // the plugin and four sleepers carry the mark of the test
		if pids = append(s.children("sleep"), s.children("chaos")...); len(pids) < 5 {
			return fmt.Errorf("processes %v", pids)
		}
		return nil
	})
	told := time.Now()
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("the request ended with %v", err)
	}
	return vanish(t, pids, told)
}

// TestClientThatLeavesAfterAHandoverKeepsItsJob breaks off a request with
// wait=N: its job is in the queue already, and ends well.
func TestClientThatLeavesAfterAHandoverKeepsItsJob(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir(), []string{"sleep"})
	c := newWeb(t, s.url)
	ctx, leave := context.WithCancel(context.Background())
	defer leave()
	req, err := http.NewRequestWithContext(ctx, "POST", c.url+sleep, strings.NewReader(`{"inputs":{"seconds":5}}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Prefer", "wait=50")
	req.Header.Set("Content-Type", "application/json")
	left := make(chan error, 1)
	go func() {
		_, err := c.http.Do(req)
		left <- err
	}()
	c.awaitRunning(t, 1)
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Fatalf("the request ended with %v", err)
	}
	eventually(t, func() error {
		r := c.must(t, 200, "GET", "/jobs", "")
		if strings.Contains(string(r.body), `"dismissed"`) {
			t.Fatalf("the job was dismissed: %v", r)
		}
		if !strings.Contains(string(r.body), `"status":"successful"`) {
			return errors.New(r.String())
		}
		return nil
	})
}

// TestDismissedFinishedJobIsRemovedWithItsFiles looks for them on the disk. The
// job is then gone (410), and later unknown (404), as spec 5.4 has it.
func TestDismissedFinishedJobIsRemovedWithItsFiles(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir(), []string{"echo", "sleep"}, "--tombstone", "15s", "--record-sync")
	c := newWeb(t, s.url)
	large := c.submit(t, "echo", `{"text":"`+strings.Repeat("x", 2<<20)+`"}`)
	c.await(t, large, "successful")
	kept := []string{filepath.Join(s.data(), "store", "results"), filepath.Join(s.data(), "jobs")}
	if _, err := os.Stat(filepath.Join(kept[0], filepath.Base(large))); err != nil {
		t.Fatalf("its output is not in a file: %v", err)
	}
	failed := c.submit(t, "sleep", `{"seconds":0,"fail":"no"}`)
	c.await(t, failed, "failed")
	dismissed := c.submit(t, "sleep", `{"seconds":600}`)
	c.await(t, dismissed, "running")
	c.must(t, 200, "DELETE", dismissed, "")
	c.must(t, 200, "POST", sleep, `{"inputs":{"seconds":0}}`)
	for _, path := range append(c.paths(t), large) {
		r, err := c.send("DELETE", path, "")
		if path == large && err == nil && r.StatusCode == 410 {
			continue // the second DELETE of this one
		}
		if err != nil || r.StatusCode != 200 || !strings.Contains(string(r.body), `"status":"dismissed"`) {
			t.Errorf("%s: %v, %v", path, r, err)
		}
		c.must(t, 410, "GET", path, "")
		c.must(t, 410, "DELETE", path, "")
	}
	if left := c.paths(t); len(left) > 0 {
		t.Errorf("jobs %v are left", left)
	}
	eventually(t, func() error {
		for _, dir := range kept {
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				return fmt.Errorf("%v, %v are left in %s", left, err, dir)
			}
		}
		return nil
	})
	eventually(t, func() error {
		r, err := c.send("GET", large, "")
		if err == nil && r.StatusCode != 404 {
			err = errors.New(r.String())
		}
		return err
	})
	c.must(t, 404, "DELETE", large, "")
}

// paths returns the jobs that the server lists.
func (c *web) paths(t *testing.T) (paths []string) {
	t.Helper()
	var list struct{ Jobs []status }
	if err := json.Unmarshal(c.must(t, 200, "GET", "/jobs", "").body, &list); err != nil {
		t.Fatal(err)
	}
	for _, j := range list.Jobs {
		paths = append(paths, "/jobs/"+j.JobID)
	}
	return paths
}

// TestJobsDismissedAtAnyMomentEndAsOne submits and dismisses from many clients
// at once, each job twice: while it is queued, claimed, runs or has just ended.
func TestJobsDismissedAtAnyMomentEndAsOne(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir(), []string{"sleep"}, "--slots", "3")
	c := newWeb(t, s.url)
	var clients sync.WaitGroup
	for client := range 8 {
		clients.Go(func() {
			for i := range 12 {
				r, err := c.send("POST", sleep, `{"inputs":{"seconds":0}}`, "Prefer", "respond-async")
				if err != nil || r.StatusCode != 201 {
					t.Errorf("%v, %v", r, err)
					return
				}
				path := r.job()
				if (client+i)%3 == 0 {
					_, _ = c.status(path) // a little later
				}
				if problem := c.dismissTwice(path); problem != "" {
					t.Error(problem)
				}
			}
		})
	}
	clients.Wait()
	for _, path := range c.paths(t) {
		if j, err := c.status(path); err != nil || j.Status != "dismissed" {
			t.Errorf("%s is %+v, %v", path, j, err)
		}
	}
}

// dismissTwice sends two DELETEs at once and says what is wrong with the
// answers and with what the job then is.
func (c *web) dismissTwice(path string) string {
	other := c.background("DELETE", path, "")
	one, err := c.send("DELETE", path, "")
	two := <-other
	if err != nil || two.err != nil {
		return fmt.Sprintf("DELETE %s: %v, %v", path, err, two.err)
	}
	for _, r := range []reply{one, two.reply} {
		if r.StatusCode != 410 && (r.StatusCode != 200 || !strings.Contains(string(r.body), `"status":"dismissed"`)) {
			return fmt.Sprintf("DELETE %s: %v", path, r)
		}
	}
	if one.StatusCode == 410 && two.StatusCode == 410 {
		return fmt.Sprintf("DELETE %s: nobody dismissed it", path)
	}
	now, err := c.send("GET", path, "")
	if err != nil || now.StatusCode != 410 && !strings.Contains(string(now.body), `"status":"dismissed"`) {
		return fmt.Sprintf("GET %s: %v, %v", path, now, err)
	}
	return ""
}

// TestWhatAKilledHostLeftBehindEndsWithTheNextStart kills the host, so that
// nobody is there to end what its plugins have started.
func TestWhatAKilledHostLeftBehindEndsWithTheNextStart(t *testing.T) {
	t.Parallel()
	s, c := startChaos(t)
	_, pids := brood(t, c, "brood-deaf")
	if err := s.end(t, syscall.SIGKILL); err == nil {
		t.Fatal("the server ended in good order")
	}
	pids = slices.Delete(slices.Clone(pids), 4, 5) // without the mark it is nobody's
	next := startServer(t, s.dir, nil)
	eventually(t, func() error {
		if left := living(pids); len(left) > 0 {
			return fmt.Errorf("processes %v of %v live on", left, pids)
		}
		return nil
	})
	if err := next.end(t, syscall.SIGTERM); err != nil {
		t.Errorf("the server ended with %v", err)
	}
}
