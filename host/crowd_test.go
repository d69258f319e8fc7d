package host_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"geomill/host"

	"go.uber.org/goleak"
)

// inside is a host that runs in this process, under its race detector.
type inside struct {
	url  string
	stop func() error
	log  *journal
}

// startInside runs a host on dir with the named bundled plugins.
func startInside(t testing.TB, dir string, plugins ...string) *inside {
	t.Helper()
	c := host.Default()
	c.Listen, c.Plugins, c.Data = "127.0.0.1:0", filepath.Join(dir, "plugins"), filepath.Join(dir, "data")
	c.PluginEnv = []string{"TEST_MARK=" + dir}
	if err := os.MkdirAll(c.Plugins, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range plugins {
		place(t, filepath.Join(built(t), "plugins", name), filepath.Join(c.Plugins, name))
	}
	in := &inside{log: new(journal)}
	ctx, cancel := context.WithCancel(context.Background())
	listening, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- host.Run(ctx, c, slog.New(slog.NewTextHandler(in.log, nil)), host.News{Listening: func(url string) { listening <- url }})
	}()
	in.stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() {
		_ = in.stop()
		if t.Failed() {
			t.Logf("log of the host:\n%.20000s", in.log.String())
		}
	})
	select {
	case in.url = <-listening:
	case err := <-ended:
		ended <- err
		t.Fatalf("the host does not start: %v", err)
	}
	return in
}

// crowd is many clients that do everything at once. What it submits it expects
// to find again.
type crowd struct {
	url string

	mu   sync.Mutex
	kept map[string]string // jobs not removed, with what their result must contain
}

// visit makes n requests as client i, and leaves the jobs that it keeps in the
// crowd.
func (c *crowd) visit(w *web, i, n int) error {
	random := rand.New(rand.NewPCG(uint64(i), 1))
	mine := map[string]string{}
	last := "/jobs/none"
	for k := range n {
		name := fmt.Sprintf("%d-%d", i, k)
		if err := c.act(w, random.IntN(10), name, &last, mine); err != nil {
			return fmt.Errorf("client %d, request %d: %w", i, k, err)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for path, text := range mine {
		c.kept[path] = text
	}
	return nil
}

func (c *crowd) act(w *web, what int, name string, last *string, mine map[string]string) error {
	greet := `{"inputs":{"name":"` + name + `"}}`
	expect := func(r reply, err error, status int, text string) (reply, error) {
		if err == nil && (r.StatusCode != status || !strings.Contains(string(r.body), text)) {
			err = fmt.Errorf("%v, want %d and %q", r, status, text)
		}
		return r, err
	}
	switch what {
	case 0, 1:
		r, err := w.send("POST", hello, greet)
		_, err = expect(r, err, 200, "Hello "+name+"!")
		return err
	case 2:
		r, err := w.send("POST", echo, `{"inputs":{"text":"`+name+`","pause":0.01}}`, "Prefer", "wait=60")
		_, err = expect(r, err, 200, name)
		return err
	case 3, 4:
		r, err := w.send("POST", hello, greet, "Prefer", "respond-async")
		if r, err = expect(r, err, 201, "accepted"); err == nil {
			*last = r.job()
			mine[*last] = "Hello " + name + "!"
		}
		return err
	case 5:
		r, err := w.send("POST", sleep, `{"inputs":{"seconds":600}}`, "Prefer", "respond-async")
		if r, err = expect(r, err, 201, "accepted"); err != nil {
			return err
		}
		gone, err := w.send("DELETE", r.job(), "")
		if _, err = expect(gone, err, 200, "dismissed"); err == nil {
			mine[r.job()] = "dismissed"
		}
		return err
	case 6:
		r, err := w.send("GET", "/jobs?limit=7&status=successful,running", "")
		_, err = expect(r, err, 200, `"jobs"`)
		return err
	case 7:
		r, err := w.send("POST", hello, `{"inputs":{"name":1,"nam":2}}`)
		_, err = expect(r, err, 400, "/inputs/nam")
		return err
	}
	r, err := w.send("GET", *last+[]string{"", "/results"}[what%2], "")
	if err == nil && r.StatusCode != 200 && r.StatusCode != 404 {
		err = errors.New(r.String())
	}
	return err
}

// check waits for the end of every job that was kept, and looks for each in the
// list.
func (c *crowd) check(t *testing.T, w *web) {
	t.Helper()
	for path, text := range c.kept {
		if text == "dismissed" {
			c.endsAs(t, w, path, "dismissed")
			continue
		}
		c.endsAs(t, w, path, "successful")
		if r := w.must(t, 200, "GET", path+"/results", ""); !strings.Contains(string(r.body), text) {
			t.Errorf("%s: %v, want %q", path, r, text)
		}
	}
	listed := map[string]bool{}
	for next := "/jobs?limit=100"; next != ""; {
		var page struct {
			Jobs  []status
			Links []struct{ Rel, Href string }
		}
		if err := json.Unmarshal(w.must(t, 200, "GET", next, "").body, &page); err != nil {
			t.Fatal(err)
		}
		for _, j := range page.Jobs {
			listed["/jobs/"+j.JobID] = true
		}
		next = ""
		for _, l := range page.Links {
			if l.Rel == "next" {
				next = strings.TrimPrefix(l.Href, c.url)
			}
		}
	}
	for path := range c.kept {
		if !listed[path] {
			t.Errorf("%s is not in the list of jobs", path)
		}
	}
}

func (c *crowd) endsAs(t *testing.T, w *web, path, status string) {
	t.Helper()
	if s := w.await(t, path, "successful", "failed", "dismissed"); s.Status != status {
		t.Errorf("%s is %s (%s), want %s", path, s.Status, s.Message, status)
	}
}

// TestACrowdLosesNothingAndLeavesNothing has 64 clients at once make some 2,000
// requests of all kinds. No job is lost, and afterwards the host has as many
// goroutines and open files as before.
func TestACrowdLosesNothingAndLeavesNothing(t *testing.T) {
	in := startInside(t, t.TempDir(), "echo", "hello-world", "sleep")
	w := newWeb(t, in.url)
	for path, inputs := range map[string]string{hello: `{"name":"x"}`, echo: `{"text":"x"}`, sleep: `{"seconds":0}`} {
		w.must(t, 200, "POST", path, `{"inputs":`+inputs+`}`) // its instance starts
	}
	w.http.CloseIdleConnections()
	goroutines, files := runtime.NumGoroutine(), openFiles(t, os.Getpid())

	c := &crowd{url: in.url, kept: map[string]string{}}
	var clients sync.WaitGroup
	errs := make([]error, 64)
	for i := range errs {
		clients.Go(func() { errs[i] = c.visit(w, i, 32) })
	}
	clients.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
	c.check(t, w)
	eventually(t, func() error {
		w.http.CloseIdleConnections()
		if n := runtime.NumGoroutine(); n > goroutines+5 {
			return fmt.Errorf("%d goroutines, %d before", n, goroutines)
		}
		if n := openFiles(t, os.Getpid()); n > files+5 {
			return fmt.Errorf("%d open files, %d before", n, files)
		}
		return nil
	})
	if err := in.stop(); err != nil {
		t.Error(err)
	}
}

// TestAStoppedHostLeavesNothing starts, loads and stops a host several times
// on one data directory.
func TestAStoppedHostLeavesNothing(t *testing.T) {
	built(t)
	dir := t.TempDir()
	cycle := func() {
		in := startInside(t, dir, "echo", "hello-world", "sleep")
		w := newWeb(t, in.url)
		c := &crowd{url: in.url, kept: map[string]string{}}
		var clients sync.WaitGroup
		for i := range 8 {
			clients.Go(func() {
				if err := c.visit(w, i, 20); err != nil {
					t.Error(err)
				}
			})
		}
		clients.Wait()
		c.check(t, w)
		ctx, cancel := context.WithCancel(context.Background())
		left := make(chan struct{})
		go func() { // a client that goes away
			defer close(left)
			_ = leavable(ctx, w, sleep, `{"inputs":{"seconds":600}}`)
		}()
		eventually(t, func() error {
			if len(withEnvironment("TEST_MARK="+dir)) == 0 {
				return errors.New("no plugin runs")
			}
			return nil
		})
		cancel()
		<-left
		if err := in.stop(); err != nil {
			t.Error(err)
		}
		w.http.CloseIdleConnections()
	}
	cycle() // what a process opens once and keeps is open now
	ignored := goleak.IgnoreCurrent()
	files := openFiles(t, os.Getpid())
	for range 3 {
		cycle()
		eventually(t, func() error { // what the clients had open is closed behind their backs
			if n := openFiles(t, os.Getpid()); n > files {
				return fmt.Errorf("%d open files, %d before", n, files)
			}
			return nil
		})
		if pids := childrenOf(os.Getpid()); len(pids) > 0 {
			t.Errorf("child processes are left: %v", pids)
		}
		for _, name := range []string{"jobs", "spool"} {
			if left, err := filepath.Glob(filepath.Join(dir, "data", name, "*")); err != nil || len(left) > 0 {
				t.Errorf("left in the data directory: %v, %v", left, err)
			}
		}
	}
	eventually(t, func() error { return goleak.Find(ignored) })
}

// openFiles counts the file descriptors of a process.
func openFiles(t testing.TB, pid int) int {
	t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// childrenOf returns the processes whose parent is pid, those included that
// have ended and were not waited for.
func childrenOf(pid int) []int {
	var children []int
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, f := range stats {
		text, err := os.ReadFile(f)
		_, rest, ok := strings.Cut(string(text), ") ")
		if fields := strings.Fields(rest); err == nil && ok && fields[1] == strconv.Itoa(pid) {
			child, _ := strconv.Atoi(strings.Split(f, "/")[2])
			children = append(children, child)
		}
	}
	return children
}
