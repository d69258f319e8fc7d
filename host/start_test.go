package host_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// held puts a plugin in place that offers the process sleep once open was called,
// to a server with the arguments given.
func held(t *testing.T, dir string) (args []string, open func()) {
	t.Helper()
	flag, at := filepath.Join(dir, "flag"), filepath.Join(dir, "plugins")
	if err := os.MkdirAll(at, 0o755); err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(dir, "script")
	text := fmt.Sprintf("#!/bin/sh\nuntil test -e %s; do test -d /proc/$PPID || exit; sleep 0.02; done\nexec %s\n", flag, filepath.Join(built(t), "plugins", "sleep"))
	if err := os.WriteFile(script, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	place(t, script, filepath.Join(at, "held"))
	return granting(t, dir, built(t), filepath.Join(dir, "nothing")), func() {
		if err := os.WriteFile(flag, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// still reports whether none of the requests has been answered.
func still(t *testing.T, requests ...<-chan answer) {
	t.Helper()
	for i, r := range requests {
		select {
		case a := <-r:
			t.Fatalf("request %d was answered with %v, %v", i, a.reply, a.err)
		default:
		}
	}
}

// TestRequestsAreAnsweredBeforeEveryPluginIsDescribed starts a host with two
// plugins, one of which takes its time.
func TestRequestsAreAnsweredBeforeEveryPluginIsDescribed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	grant, open := held(t, dir)
	s := startServer(t, dir, []string{"hello-world"}, grant...)
	c := newWeb(t, s.url)
	list, sleeper := c.background("GET", "/processes", ""), c.background("POST", sleep, `{"inputs":{"seconds":0}}`)
	api, nobody := c.background("GET", "/api", ""), c.background("GET", "/processes/nobody", "")
	for _, path := range []string{"/", "/conformance", "/jobs", "/processes/hello-world"} {
		c.must(t, 200, "GET", path, "")
	}
	c.must(t, 404, "GET", "/jobs/nothing", "")
	c.must(t, 200, "POST", hello, `{"inputs":{"name":"you"}}`)
	job := c.submit(t, "hello-world", `{"name":"you"}`)
	still(t, list, sleeper, api, nobody)
	open()
	for _, want := range []struct {
		answer <-chan answer
		status int
		text   string
	}{{list, 200, `"sleep"`}, {sleeper, 200, ""}, {api, 200, `"sleep"`}, {nobody, 404, "no-such-process"}} {
		if a := <-want.answer; a.err != nil || a.StatusCode != want.status || !strings.Contains(string(a.body), want.text) {
			t.Errorf("%v, %v; want %d, %q", a.reply, a.err, want.status, want.text)
		}
	}
	c.await(t, job, "successful")
}

// TestQueuedJobsWaitForTheirProcessAfterARestart starts a host that does not know
// its plugins any more on jobs that wait.
func TestQueuedJobsWaitForTheirProcessAfterARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	grant, open := held(t, dir)
	open()
	s := startServer(t, dir, nil, append(grant, "--slots", "1")...)
	c := newWeb(t, s.url)
	c.await(t, c.submit(t, "sleep", `{"seconds":600}`), "running")
	job := c.submit(t, "sleep", `{"seconds":0}`)
	_ = s.end(t, syscall.SIGKILL)
	s.leavesNothing(t)
	if err := errors.Join(os.Remove(filepath.Join(dir, "flag")), os.RemoveAll(filepath.Join(s.data(), "cache"))); err != nil {
		t.Fatal(err)
	}
	_, open = held(t, dir)
	s = startServer(t, dir, []string{"hello-world"}, grant...)
	c = newWeb(t, s.url)
	c.must(t, 200, "POST", hello, `{"inputs":{"name":"you"}}`)
	if now, err := c.status(job); err != nil || now.Status != "accepted" {
		t.Fatalf("the job is %s (%s), %v", now.Status, now.Message, err)
	}
	open()
	if end := c.await(t, job, "successful", "failed", "dismissed"); end.Status != "successful" {
		t.Errorf("the job is %s (%s)", end.Status, end.Message)
	}
}

// TestStopWhilePluginsAreDescribed has requests wait for a plugin when the host
// is told to stop.
func TestStopWhilePluginsAreDescribed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	grant, _ := held(t, dir)
	s := startServer(t, dir, nil, append(grant, "--drain", "300ms", "--log-level", "debug")...)
	c := newWeb(t, s.url)
	waits := []<-chan answer{c.background("GET", "/processes", ""), c.background("GET", "/processes/sleep", "")}
	eventually(t, func() error { // a host that stops takes no new connection
		if n := connections(t, s.url); n < len(waits) {
			return fmt.Errorf("%d connections", n)
		}
		return nil
	})
	c.must(t, 200, "GET", "/jobs", "") // by now the server knows the connections before
	if err := s.end(t, syscall.SIGTERM); err != nil {
		t.Errorf("the server ended with %v", err)
	}
	for _, w := range waits {
		if a := <-w; a.err != nil || a.StatusCode != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" {
			t.Errorf("a request that waited got %v, %v, want 503", a.reply, a.err)
		}
	}
	s.leavesNothing(t)
}

// connections returns how many connections the server at url has accepted.
func connections(t *testing.T, url string) int {
	t.Helper()
	var port int
	if _, err := fmt.Sscanf(url, "http://127.0.0.1:%d", &port); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		const local, state, inode = 1, 3, 9 // columns; what is not accepted has no inode
		f := strings.Fields(line)
		if strings.HasSuffix(f[local], fmt.Sprintf(":%04X", port)) && f[state] == "01" && f[inode] != "0" {
			n++
		}
	}
	return n
}

// TestAHostThatCannotStartSaysWhyInOneLine makes an operator's mistakes.
func TestAHostThatCannotStartSaysWhyInOneLine(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() })
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"plugins path": {[]string{"--plugins", file}, "is not a directory"},
		"data path":    {[]string{"--data", file}, "data directory"},
		"port":         {[]string{"--listen", taken.Addr().String()}, "in use"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			cmd := exec.CommandContext(ctx, filepath.Join(built(t), "geomill"), append([]string{"serve", "--listen", "127.0.0.1:0",
				"--plugins", filepath.Join(dir, "plugins"), "--data", filepath.Join(dir, "data")}, c.args...)...)
			var out, errs journal
			cmd.Stdout, cmd.Stderr = &out, &errs
			err := cmd.Run()
			if cmd.ProcessState.ExitCode() != 1 || out.String() != "" || strings.Count(errs.String(), "\n") != 1 || !strings.Contains(errs.String(), c.want) {
				t.Errorf("%v, %q, %q; want exit code 1 and one line with %q", err, out.String(), errs.String(), c.want)
			}
		})
	}
}
