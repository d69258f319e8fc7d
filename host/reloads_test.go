package host_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// reloadRounds is how often a plugin is replaced under load. make chaos asks for
// a hundred.
func reloadRounds(t *testing.T) int {
	t.Helper()
	text, ok := os.LookupEnv("GEOMILL_RELOADS")
	if !ok {
		return 8
	}
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		t.Fatalf("GEOMILL_RELOADS is %q", text)
	}
	return n
}

// serveVersioned starts a server with the plugin versioned in use, and returns
// where its file is.
func serveVersioned(t *testing.T, versions string) (s *server, at string) {
	t.Helper()
	dir := t.TempDir()
	at = filepath.Join(dir, "plugins", "versioned")
	if err := os.Mkdir(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	place(t, filepath.Join(versions, "1.0.0"), at)
	s = startServer(t, dir, nil, "--log-format", "json")
	newWeb(t, s.url).must(t, 200, "POST", versioned, `{"inputs":{"milliseconds":0}}`)
	return s, at
}

// TestReplacementsUnderLoadLoseNothing has 16 clients call a plugin, and leave
// jobs with it, while it is replaced again and again, now and then by a file that
// is no plugin.
func TestReplacementsUnderLoadLoseNothing(t *testing.T) {
	t.Parallel()
	versions := buildVersions(t, "1.0.0", "1.0.1")
	if err := os.WriteFile(filepath.Join(versions, "broken"), []byte("#!/bin/sh\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	fresh, _ := serveVersioned(t, versions)
	files := openFiles(t, fresh.cmd.Process.Pid)
	goroutines := fresh.dumped(t)

	s, at := serveVersioned(t, versions)
	load := &customers{stop: make(chan struct{})}
	for i := range 16 {
		load.begin(newWeb(t, s.url), i)
	}
	c := newWeb(t, s.url)
	answersWith := func(v string) func() error {
		return func() error {
			r, err := c.send("POST", versioned, `{"inputs":{"milliseconds":0}}`)
			if err == nil && !strings.Contains(string(r.body), v) {
				err = fmt.Errorf("%v, want %s", r, v)
			}
			return err
		}
	}
	rounds := reloadRounds(t)
	var memory []int
	for n := range rounds {
		if n%4 == 3 {
			place(t, filepath.Join(versions, "broken"), at)
			eventually(t, func() error {
				if got, want := strings.Count(s.log.String(), "the one before goes on: ended before the plugin handshake"), n/4+1; got < want {
					return fmt.Errorf("refused %d times, not %d", got, want)
				}
				return nil
			})
			eventually(t, answersWith([]string{"1.0.0", "1.0.1"}[n%2]))
		}
		v := []string{"1.0.1", "1.0.0"}[n%2]
		place(t, filepath.Join(versions, v), at)
		eventually(t, answersWith(v))
		memory = append(memory, resident(t, s.cmd.Process.Pid))
	}
	requests, jobs := load.end(t)
	for _, path := range jobs {
		if end := c.await(t, path, "successful", "failed", "dismissed"); end.Status != "successful" {
			t.Errorf("%s is %s (%s)", path, end.Status, end.Message)
		}
	}
	s.isLeftWith(t, c, files)
	if middle, last := peak(memory[len(memory)/3:2*len(memory)/3]), peak(memory[2*len(memory)/3:]); last > middle+memorySlack {
		t.Errorf("memory in MiB: %d", memory)
	}
	t.Logf("%d replacements, %d requests, %d jobs; memory in MiB: %d at first, %d at most in the middle third, %d in the last",
		rounds, requests, len(jobs), memory[0], peak(memory[len(memory)/3:2*len(memory)/3]), peak(memory[2*len(memory)/3:]))
	if n := s.dumped(t); n > goroutines+10 {
		t.Errorf("%d goroutines, %d in a fresh server", n, goroutines)
	}
}

// isLeftWith waits until one instance of the plugin and no more files than
// before are left.
func (s *server) isLeftWith(t *testing.T, c *web, files int) {
	t.Helper()
	eventually(t, func() error {
		c.http.CloseIdleConnections()
		pid := s.cmd.Process.Pid
		if n, more := openFiles(t, pid), len(tables(t, s)); n > files+more+5 {
			return fmt.Errorf("%d open files, %d of them tables, %d before", n, more, files)
		}
		if n := len(childrenOf(pid)); n != 1 {
			return fmt.Errorf("%d plugin processes", n)
		}
		return nil
	})
}

// customers are clients that call a plugin until they are told to stop.
type customers struct {
	stop     chan struct{}
	running  sync.WaitGroup
	requests atomic.Int64

	mu   sync.Mutex
	errs []error
	jobs []string // paths
}

// begin starts a client. Every other one leaves a job now and then.
func (l *customers) begin(c *web, i int) {
	l.running.Go(func() {
		defer c.http.CloseIdleConnections()
		for k := 0; ; k++ {
			select {
			case <-l.stop:
				return
			default:
			}
			if err := l.call(c, i, k); err != nil {
				l.mu.Lock()
				l.errs = append(l.errs, fmt.Errorf("client %d, request %d: %w", i, k, err))
				l.mu.Unlock()
				return
			}
			l.requests.Add(1)
		}
	})
}

func (l *customers) call(c *web, i, k int) error {
	body := fmt.Sprintf(`{"inputs":{"milliseconds":%d}}`, 5*i)
	if i%2 == 0 || k%10 != 0 {
		r, err := c.send("POST", versioned, body)
		if err == nil && r.StatusCode != 200 {
			err = errors.New(r.String())
		}
		return err
	}
	r, err := c.send("POST", versioned, body, "Prefer", "respond-async")
	if err == nil && r.StatusCode != 201 {
		err = errors.New(r.String())
	}
	if err != nil {
		return err
	}
	l.mu.Lock()
	l.jobs = append(l.jobs, "/jobs"+r.Header.Get("Location")[strings.LastIndex(r.Header.Get("Location"), "/"):])
	l.mu.Unlock()
	return nil
}

// end stops the clients. None of their requests may have failed.
func (l *customers) end(t *testing.T) (requests int64, jobs []string) {
	t.Helper()
	close(l.stop)
	l.running.Wait()
	if err := errors.Join(l.errs...); err != nil {
		t.Errorf("a request failed: %v", err)
	}
	return l.requests.Load(), l.jobs
}

// TestConfigurationIsReadAgainAtAHangup changes the time limit of a process.
func TestConfigurationIsReadAgainAtAHangup(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "geomill.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("")
	s := startServer(t, dir, []string{"sleep"}, "--config", file)
	c := newWeb(t, s.url)
	c.must(t, 200, "POST", sleep, `{"inputs":{"seconds":0.2}}`)
	said := func(text string) {
		t.Helper()
		if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() error {
			if !strings.Contains(s.log.String(), text) {
				return errors.New("the log does not have: " + text)
			}
			return nil
		})
	}
	write("processes: {sleep: {timeout: 50ms}}\n")
	said("configuration is in force")
	c.must(t, 504, "POST", sleep, `{"inputs":{"seconds":0.2}}`)
	write("processes: {sleep: {timeout: -1s}}\n")
	said("configuration is left as it was")
	c.must(t, 504, "POST", sleep, `{"inputs":{"seconds":0.2}}`)
	write("processes: {}\ndrain: 9s\n")
	said(`after the next start only" keys=drain`)
	eventually(t, func() error {
		r, err := c.send("POST", sleep, `{"inputs":{"seconds":0.2}}`)
		if err == nil && r.StatusCode != 200 {
			err = errors.New(r.String())
		}
		return err
	})
	write("plugin-config: {sleeep: {isolation: job}}\n")
	said(`names a plugin that is not there" plugin=sleeep known=sleep`)
	if err := s.end(t, syscall.SIGTERM); err != nil {
		t.Errorf("the server ended with %v", err)
	}
}

// TestNamesThatNoPluginHasAreToldOnceThePluginsAreKnown changes the configuration
// while a plugin is still asked for its processes.
func TestNamesThatNoPluginHasAreToldOnceThePluginsAreKnown(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	grant, open := held(t, dir)
	before, err := os.ReadFile(grant[1])
	if err != nil {
		t.Fatal(err)
	}
	name := func(stranger string) {
		t.Helper()
		if err := os.WriteFile(grant[1], append(before, "  "+stranger+": {breaking: allow}\n"...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	name("hold")
	s := startServer(t, dir, nil, grant...)
	logged := func(text string) {
		t.Helper()
		eventually(t, func() error {
			if !strings.Contains(s.log.String(), text) {
				return errors.New("the log does not have: " + text)
			}
			return nil
		})
	}
	name("helt")
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	logged("configuration is in force")
	const told = "names a plugin that is not there"
	if strings.Contains(s.log.String(), told) {
		t.Error("told before the plugins are known")
	}
	open()
	logged(told + `" plugin=helt known=held`)
	if strings.Contains(s.log.String(), "plugin=hold") {
		t.Error("told of a configuration that is no longer in force")
	}
}

// TestARemovedPluginThatComesBackServesAgain removes a plugin, whose results can
// be read all the same, and puts it back.
func TestARemovedPluginThatComesBackServesAgain(t *testing.T) {
	t.Parallel()
	s, at := serveVersioned(t, buildVersions(t, "1.0.0"))
	c := newWeb(t, s.url)
	job := c.submit(t, "versioned", `{"milliseconds":0}`)
	c.await(t, job, "successful")
	aside := filepath.Join(s.dir, "aside")
	if err := os.Rename(at, aside); err != nil {
		t.Fatal(err)
	}
	answers := func(status int) {
		t.Helper()
		eventually(t, func() error {
			r, err := c.send("POST", versioned, `{"inputs":{"milliseconds":0}}`)
			if err == nil && r.StatusCode != status {
				err = errors.New(r.String())
			}
			return err
		})
	}
	answers(404)
	if r := c.must(t, 200, "GET", job+"/results", ""); !strings.Contains(string(r.body), "1.0.0") {
		t.Errorf("results of the removed plugin: %v", r)
	}
	if err := os.Rename(aside, at); err != nil {
		t.Fatal(err)
	}
	answers(200)
}
