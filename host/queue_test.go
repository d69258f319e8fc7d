package host_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// as is the headers of an async request of a caller behind a trusted proxy.
func as(caller string, prefer ...string) []string {
	return []string{"X-Forwarded-For", caller, "Prefer", strings.Join(append([]string{"respond-async"}, prefer...), ", ")}
}

const anna, bert = "192.0.2.1", "192.0.2.2"

// queueArgs are those of a server with few slots that tells callers apart.
func queueArgs(t *testing.T, processes string, args ...string) []string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "geomill.yaml")
	if err := os.WriteFile(name, []byte(processes), 0o600); err != nil {
		t.Fatal(err)
	}
	return append([]string{"--config", name, "--trusted-proxies", "127.0.0.1"}, args...)
}

// flood submits n jobs of a caller from several clients and returns their paths.
func (c *web) flood(t testing.TB, n int, path, body string, header ...string) []string {
	t.Helper()
	paths := make([]string, n)
	var clients sync.WaitGroup
	const width = 16
	for i := range width {
		clients.Go(func() {
			for k := i; k < n; k += width {
				r, err := c.send("POST", path, body, header...)
				if err != nil || r.StatusCode != 201 {
					t.Errorf("%v, %v, want 201", r, err)
					return
				}
				paths[k] = r.job()
			}
		})
	}
	clients.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return paths
}

// TestAFloodDelaysNobodyElse has one caller queue more work than can be done in
// the time of the test. Others do not notice.
func TestAFloodDelaysNobodyElse(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir(), []string{"hello-world", "echo", "sleep"},
		queueArgs(t, "processes: {sleep: {slots: 2}, echo: {priority: low}}\n", "--slots", "4")...)
	c := newWeb(t, s.url)
	sleepy := `{"inputs":{"seconds":3000}}`
	c.flood(t, 300, sleep, sleepy, as(anna)...)
	c.flood(t, 3000, echo, `{"inputs":{"text":"x","pause":0.2}}`, as(anna)...)
	c.awaitRunning(t, 4) // three of echo: one slot of sleep is for sync executions

	// What blocks its own process does not block another one's, nor another caller's.
	for _, prefer := range []string{"priority=low", "priority=normal", "priority=high"} {
		path := c.must(t, 201, "POST", echo, `{"inputs":{"text":"bert","pause":0.01}}`, as(bert, prefer)...).job()
		c.await(t, path, "successful")
	}
	path := c.must(t, 201, "POST", hello, `{"inputs":{"name":"bert"}}`, as(bert)...).job()
	c.await(t, path, "successful")
	// Sync executions have slots of their own, of the host and of the process.
	c.must(t, 200, "POST", hello, `{"inputs":{"name":"bert"}}`)
	c.must(t, 200, "POST", sleep, `{"inputs":{"seconds":0}}`)

	r := c.must(t, 200, "GET", "/jobs?status=accepted&limit=1000", "")
	if n := strings.Count(string(r.body), "waits in the queue: about "); n != 1000 {
		t.Errorf("%d of a page of waiting jobs say so: the flood was over too soon", n)
	}
	if r := c.must(t, 200, "GET", "/jobs?status=running&processID=sleep", ""); strings.Count(string(r.body), `"status":"running"`) != 1 {
		t.Errorf("async jobs of sleep: %v", r)
	}
	if err := s.end(t, syscall.SIGTERM); err != nil {
		t.Errorf("the server ended with %v", err)
	}
}

// TestAFullQueueSaysSo fills a queue as one caller and then as many.
func TestAFullQueueSaysSo(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir(), []string{"sleep"},
		queueArgs(t, "", "--slots", "1", "--queue-limit", "6", "--queue-limit-per-caller", "4")...)
	c := newWeb(t, s.url)
	body := `{"inputs":{"seconds":3000}}`
	first := c.must(t, 201, "POST", sleep, body, as(anna)...).job()
	c.await(t, first, "running")
	c.flood(t, 4, sleep, body, as(anna)...)
	refused := func(status int, caller string) {
		t.Helper()
		// The reference would be refused too, if it were looked at.
		r := c.must(t, status, "POST", sleep, `{"inputs":{"seconds":{"href":"http://127.0.0.1:1/"}}}`, as(caller)...)
		if after, err := strconv.Atoi(r.Header.Get("Retry-After")); err != nil || after < 1 {
			t.Errorf("%d with Retry-After %q", status, r.Header.Get("Retry-After"))
		}
	}
	refused(http.StatusTooManyRequests, anna)
	c.flood(t, 2, sleep, body, as(bert)...)
	refused(http.StatusServiceUnavailable, "192.0.2.3")
	c.must(t, 200, "DELETE", first, "")
	eventually(t, func() error { // there is a place once the next one runs
		r, err := c.send("POST", sleep, body, as("192.0.2.3")...)
		if err == nil && r.StatusCode != 201 {
			err = fmt.Errorf("%v", r)
		}
		return err
	})
}

// TestTheQueueOutlivesTheHost kills a server with 10,000 jobs in its queue.
func TestTheQueueOutlivesTheHost(t *testing.T) {
	t.Parallel()
	const many = 10_000
	dir := t.TempDir()
	args := queueArgs(t, "", "--slots", "1", "--queue-limit-per-caller", "20000")
	s := startServer(t, dir, []string{"sleep"}, args...)
	c := newWeb(t, s.url)
	body := `{"inputs":{"seconds":3000}}`
	first := c.must(t, 201, "POST", sleep, body, as(anna)...).job()
	c.await(t, first, "running")
	c.flood(t, many, sleep, body, as(anna, "priority=low")...)
	last := c.must(t, 201, "POST", sleep, body, as(anna, "priority=low")...).job()
	other := c.must(t, 201, "POST", sleep, body, as(bert, "priority=low")...).job()
	due := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	later := c.must(t, 201, "POST", sleep, body, as(bert, `not-before="`+due.Format(time.RFC3339)+`"`)...)
	if echo := later.Header["Preference-Applied"]; len(echo) != 2 {
		t.Errorf("applied: %q", echo)
	}
	_ = s.cmd.Process.Kill()
	_ = s.wait(t)
	s.leavesNothing(t)

	began := time.Now()
	s = startServer(t, dir, []string{"sleep"}, args...)
	t.Logf("%d jobs are recovered and the server listens after %s", many, time.Since(began))
	c = newWeb(t, s.url)
	says := func(path, want string) {
		t.Helper()
		eventually(t, func() error {
			now, err := c.status(path)
			if err == nil && !strings.Contains(now.Message, want) {
				err = fmt.Errorf("%s is %s: %q, want %q", path, now.Status, now.Message, want)
			}
			return err
		})
	}
	c.await(t, first, "failed", "running") // as its process may be run again or not
	c.awaitRunning(t, 1)
	says(later.job(), "waits until "+due.Format(time.RFC3339))
	says(last, fmt.Sprintf("about %d of %d", many+1, many+1))
	says(other, fmt.Sprintf("about 1 of %d", many+1))
	r := c.must(t, 200, "GET", "/jobs?status=running", "")
	_, id, _ := strings.Cut(string(r.body), `"jobID":"`)
	id, _, _ = strings.Cut(id, `"`)
	c.must(t, 200, "DELETE", "/jobs/"+id, "")
	c.await(t, other, "running") // its turn, before thousands of the other caller
	if err := s.end(t, syscall.SIGTERM); err != nil {
		t.Errorf("the server ended with %v", err)
	}
}

// TestAJobThatWaitsTooLongFails bounds the wait of one process.
func TestAJobThatWaitsTooLongFails(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir(), []string{"sleep"}, queueArgs(t, "processes: {sleep: {queue-timeout: 300ms}}\n", "--slots", "1")...)
	c := newWeb(t, s.url)
	body := `{"inputs":{"seconds":3000}}`
	first := c.must(t, 201, "POST", sleep, body, as(anna)...).job()
	c.await(t, first, "running")
	late := c.must(t, 201, "POST", sleep, body, as(anna)...).job()
	if end := c.await(t, late, "failed", "running", "successful"); end.Status != "failed" || !strings.Contains(end.Message, "within the 300ms") {
		t.Errorf("%s: %s", end.Status, end.Message)
	}
	if r := c.must(t, 503, "GET", late+"/results", ""); !strings.Contains(string(r.body), "Job waited too long") {
		t.Errorf("results: %v", r)
	}
	c.await(t, first, "running")
}
