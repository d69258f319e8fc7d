package host_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

const versioned = "/processes/versioned/execution"

// buildVersions builds the plugin versioned as several versions and returns
// their directory.
func buildVersions(t *testing.T, versions ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, v := range versions {
		cmd := exec.Command("go", "build", "-ldflags", "-X main.version="+v, "-o", filepath.Join(dir, v), "./testdata/versioned")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build: %v\n%s", err, out)
		}
	}
	return dir
}

// TestReplacingAPluginFailsNoRequest has 8 clients call a plugin that is
// replaced again and again.
func TestReplacingAPluginFailsNoRequest(t *testing.T) {
	t.Parallel()
	versions := buildVersions(t, "1.0.0", "2.0.0")
	dir := t.TempDir()
	at := filepath.Join(dir, "plugins", "versioned")
	if err := os.Mkdir(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	place(t, filepath.Join(versions, "1.0.0"), at)
	s := startServer(t, dir, nil)
	newWeb(t, s.url).must(t, 200, "POST", versioned, `{"inputs":{"milliseconds":0}}`) // it is served before it is replaced
	stop := make(chan struct{})
	var clients sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		c := newWeb(t, s.url)
		clients.Go(func() {
			for errs[i] == nil {
				select {
				case <-stop:
					return
				default:
				}
				r, err := c.send("POST", versioned, fmt.Sprintf(`{"inputs":{"milliseconds":%d}}`, 5*i))
				if err == nil && r.StatusCode != 200 {
					err = errors.New(r.String())
				}
				errs[i] = err
			}
		})
	}
	c := newWeb(t, s.url)
	for _, v := range []string{"2.0.0", "1.0.0", "2.0.0"} {
		place(t, filepath.Join(versions, v), at)
		eventually(t, func() error {
			r, err := c.send("POST", versioned, `{"inputs":{"milliseconds":0}}`)
			if err == nil && !strings.Contains(string(r.body), v) {
				err = fmt.Errorf("%v, want %s", r, v)
			}
			return err
		})
	}
	close(stop)
	clients.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Errorf("a request failed: %v", err)
	}
	if err := s.end(t, syscall.SIGTERM); err != nil {
		t.Errorf("the server ended with %v", err)
	}
}

// TestAPluginReplacedInTwoStepsFailsNoRequest removes the file before the new
// one is put in place, and does so while a broken version lies between.
func TestAPluginReplacedInTwoStepsFailsNoRequest(t *testing.T) {
	t.Parallel()
	versions := buildVersions(t, "1.0.0", "2.0.0")
	if err := os.WriteFile(filepath.Join(versions, "broken"), []byte("#!/bin/sh\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	at := filepath.Join(dir, "plugins", "versioned")
	if err := os.Mkdir(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	place(t, filepath.Join(versions, "1.0.0"), at)
	s := startServer(t, dir, nil)
	c := newWeb(t, s.url)
	c.must(t, 200, "POST", versioned, `{"inputs":{"milliseconds":0}}`) // it is served before it is replaced
	refused := 0
	for _, v := range []string{"broken", "2.0.0", "broken", "1.0.0"} {
		// The copy takes long on a busy machine. A file that is gone for longer
		// than a moment is removed, not replaced.
		ready := filepath.Join(filepath.Dir(at), ".ready")
		place(t, filepath.Join(versions, v), ready)
		if err := errors.Join(os.Remove(at), os.Rename(ready, at)); err != nil {
			t.Fatal(err)
		}
		if v == "broken" {
			refused++
		}
		eventually(t, func() error {
			r := c.must(t, 200, "POST", versioned, `{"inputs":{"milliseconds":0}}`)
			if v == "broken" {
				if n := strings.Count(s.log.String(), "plugin refused"); n < refused {
					return fmt.Errorf("the broken version is not refused: %s", s.log.String())
				}
			} else if !strings.Contains(string(r.body), v) {
				return fmt.Errorf("%v, want %s", r, v)
			}
			return nil
		})
	}
	if err := s.end(t, syscall.SIGTERM); err != nil {
		t.Errorf("the server ended with %v", err)
	}
}

// TestARemovedPluginFinishesItsJobs removes a plugin while a job of it runs and
// another waits for a slot.
func TestARemovedPluginFinishesItsJobs(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir(), []string{"sleep", "hello-world"}, "--slots", "1")
	c := newWeb(t, s.url)
	running := c.submit(t, "sleep", `{"seconds":10}`)
	waiting := c.submit(t, "sleep", `{"seconds":0}`)
	c.await(t, running, "running")
	if err := os.Remove(filepath.Join(s.dir, "plugins", "sleep")); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		r, err := c.send("POST", sleep, `{"inputs":{"seconds":0}}`)
		if err == nil && r.StatusCode != 404 {
			err = errors.New(r.String())
		}
		return err
	})
	if end := c.await(t, running, "successful", "failed", "dismissed"); end.Status != "successful" {
		t.Errorf("the running job is %s (%s)", end.Status, end.Message)
	}
	c.must(t, 200, "GET", running+"/results", "")
	c.must(t, 200, "GET", running+"/results/slept", "")
	if end := c.await(t, waiting, "successful", "failed", "dismissed"); end.Status != "failed" || !strings.Contains(end.Message, "no longer offered") {
		t.Errorf("the waiting job is %s (%s)", end.Status, end.Message)
	}
	c.must(t, 200, "POST", hello, `{"inputs":{"name":"others go on"}}`)
	if err := s.end(t, syscall.SIGTERM); err != nil {
		t.Errorf("the server ended with %v", err)
	}
}
