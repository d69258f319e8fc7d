package host_test

import (
	"errors"
	"strings"
	"syscall"
	"testing"
)

// TestAKilledPluginFailsOnlyItsJobs kills instances while they run jobs: those
// that may not run again fail and say why, others do, the rest goes on.
func TestAKilledPluginFailsOnlyItsJobs(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir(), []string{"hello-world", "echo", "sleep"}, "--slots", "8")
	c := newWeb(t, s.url)
	c.must(t, 200, "POST", sleep, `{"inputs":{"seconds":0}}`) // the instances start
	c.must(t, 200, "POST", echo, `{"inputs":{"text":"x"}}`)
	var lost []string
	for range 3 {
		lost = append(lost, c.submit(t, "sleep", `{"seconds":600}`))
	}
	other := c.submit(t, "echo", `{"text":"other","pause":5}`)
	for _, path := range append(lost, other) {
		c.await(t, path, "running")
	}
	s.killPlugin(t, "sleep")
	for _, path := range lost {
		if end := c.await(t, path, "failed", "successful", "dismissed"); end.Status != "failed" || !strings.Contains(end.Message, "signal: killed") {
			t.Errorf("%s is %s (%s), want failed by the signal", path, end.Status, end.Message)
		}
		r := c.must(t, 500, "GET", path+"/results", "")
		if !strings.Contains(string(r.body), "signal: killed") {
			t.Errorf("results: %v", r)
		}
	}
	c.must(t, 200, "POST", sleep, `{"inputs":{"seconds":0}}`)
	if end := c.await(t, other, "successful", "failed", "dismissed"); end.Status != "successful" {
		t.Errorf("the job of another plugin is %s (%s)", end.Status, end.Message)
	}

	again := c.submit(t, "echo", `{"text":"again","pause":4}`)
	c.await(t, again, "running")
	s.killPlugin(t, "echo")
	if end := c.await(t, again, "successful", "failed", "dismissed"); end.Status != "successful" {
		t.Errorf("the job that may run again is %s (%s)", end.Status, end.Message)
	}
	if err := s.end(t, syscall.SIGTERM); err != nil {
		t.Errorf("the server ended with %v", err)
	}
}

// killPlugin kills all instances of a plugin.
func (s *server) killPlugin(t *testing.T, name string) {
	t.Helper()
	eventually(t, func() error {
		pids := s.children(name)
		if len(pids) == 0 {
			return errors.New("no instance of " + name + " runs")
		}
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		return nil
	})
}

// TestAKilledPluginFailsARequestWithItsReason kills the instance in the middle
// of a sync execution; the next one works.
func TestAKilledPluginFailsARequestWithItsReason(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir(), []string{"sleep"}, "--record-sync")
	c := newWeb(t, s.url)
	c.must(t, 200, "POST", sleep, `{"inputs":{"seconds":0}}`) // the instance starts
	request := c.background("POST", sleep, `{"inputs":{"seconds":600}}`)
	c.awaitRunning(t, 1)
	s.killPlugin(t, "sleep")
	if a := <-request; a.err != nil || a.StatusCode != 500 || !strings.Contains(string(a.body), "signal: killed") {
		t.Errorf("the request was answered with %q, %v", a.body, a.err)
	}
	c.must(t, 200, "POST", sleep, `{"inputs":{"seconds":0}}`)
	if err := s.end(t, syscall.SIGTERM); err != nil {
		t.Errorf("the server ended with %v", err)
	}
}
