package host_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
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

// The end-to-end tests drive the built server, or an assembled one in this
// process, over real HTTP with real plugins. They try to break it.

// patience bounds every wait; only a hang is longer.
const patience = 3 * time.Minute

// eventually tries f until it succeeds, for the time of patience.
func eventually(t testing.TB, f func() error) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	end := time.After(patience)
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-end:
			t.Fatalf("it took too long: %v", err)
		case <-tick.C:
		}
	}
}

// server is a built host in a process of its own.
type server struct {
	cmd   *exec.Cmd
	url   string
	dir   string // with plugins and data
	mark  string // in the environment of every process it starts
	ended chan struct{}
	err   error // how it ended; valid after ended
	log   journal
}

// journal gathers what a process prints while tests read it.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// startServer runs the built server on dir with the named bundled plugins. It
// is killed at the end of the test if it still runs, and must leave no process
// behind in any case.
func startServer(t testing.TB, dir string, plugins []string, args ...string) *server {
	t.Helper()
	return startServerAs(t, nil, dir, plugins, args...)
}

// startServerAs is startServer for a user of its own; nil: that of the tests.
func startServerAs(t testing.TB, user *syscall.Credential, dir string, plugins []string, args ...string) *server {
	t.Helper()
	at := filepath.Join(dir, "plugins")
	if err := os.MkdirAll(at, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range plugins {
		place(t, filepath.Join(built(t), "plugins", name), filepath.Join(at, name))
	}
	s := &server{dir: dir, mark: "TEST_MARK=" + dir, ended: make(chan struct{})}
	s.cmd = exec.Command(filepath.Join(built(t), "geomill"), append([]string{"serve", "--listen", "127.0.0.1:0",
		"--plugins", at, "--data", s.data(), "--plugin-env", s.mark}, args...)...)
	s.cmd.Stderr = &s.log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: user}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	watchdog := time.AfterFunc(patience, func() { _ = s.cmd.Process.Kill() })
	lines := bufio.NewReader(out)
	line, err := lines.ReadString('\n')
	watchdog.Stop()
	go func() {
		_, _ = io.Copy(io.Discard, lines)
		s.err = s.cmd.Wait()
		close(s.ended)
	}()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		<-s.ended
		s.leavesNothing(t)
		if t.Failed() {
			t.Logf("log of the server:\n%s", s.log.String())
		}
	})
	s.url = strings.TrimSpace(strings.TrimPrefix(line, "listening on "))
	if err != nil || !strings.HasPrefix(line, "listening on ") {
		t.Fatalf("the server does not listen: %q, %v\n%s", line, err, s.log.String())
	}
	return s
}

func (s *server) data() string { return filepath.Join(s.dir, "data") }

// end sends a signal and waits for the end of the server.
func (s *server) end(t testing.TB, sig syscall.Signal) error {
	t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	return s.wait(t)
}

// wait returns how the server ended.
func (s *server) wait(t testing.TB) error {
	t.Helper()
	select {
	case <-s.ended:
		return s.err
	case <-time.After(patience):
		t.Fatal("the server does not end")
		return nil
	}
}

// leavesNothing waits until no process of the ended server is left.
func (s *server) leavesNothing(t testing.TB) {
	t.Helper()
	eventually(t, func() error {
		if pids := withEnvironment(s.mark); len(pids) > 0 {
			return fmt.Errorf("processes are left: %v", pids)
		}
		return nil
	})
}

// children returns the processes of the server's plugins whose executable was
// the named file.
func (s *server) children(name string) []int {
	var pids []int
	for _, pid := range withEnvironment(s.mark) {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if filepath.Base(string(bytes.Split(text, []byte{0})[0])) == name {
			pids = append(pids, pid)
		}
	}
	return pids
}

// withEnvironment returns the processes that have a variable in their environment.
func withEnvironment(variable string) []int {
	var pids []int
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, f := range files {
		env, err := os.ReadFile(f)
		if err == nil && slices.Contains(strings.Split(string(env), "\x00"), variable) {
			var pid int
			if _, err := fmt.Sscanf(f, "/proc/%d/", &pid); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// place puts an executable where plugins are found: beside it first, then renamed.
func place(t testing.TB, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	arriving := filepath.Join(filepath.Dir(to), "."+filepath.Base(to))
	// Another test may fork while the file is open for writing, and keep it so
	// for a moment: an executable that is open for writing does not start.
	syscall.ForkLock.RLock()
	err = os.WriteFile(arriving, content, 0o755)
	syscall.ForkLock.RUnlock()
	if err == nil {
		err = os.Rename(arriving, to)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// reply is an answer that was read to its end.
type reply struct {
	*http.Response
	body []byte
}

// job returns the path of the Location.
func (r reply) job() string {
	location := r.Header.Get("Location")
	return location[max(0, strings.Index(location, "/jobs/")):]
}

func (r reply) String() string {
	return fmt.Sprintf("%d %.600s", r.StatusCode, r.body)
}

// web is a client with connections of its own.
type web struct {
	http *http.Client
	url  string
}

func newWeb(t testing.TB, url string) *web {
	transport := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &web{url: url, http: &http.Client{Transport: transport, Timeout: patience}}
}

// send makes a request; header lists names and values in turns.
func (c *web) send(method, path, body string, header ...string) (reply, error) {
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	req, err := http.NewRequest(method, c.url+path, content)
	if err != nil {
		return reply{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := c.http.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return reply{res, text}, err
}

// must is send for requests that cannot fail on the way and get the status.
func (c *web) must(t testing.TB, status int, method, path, body string, header ...string) reply {
	t.Helper()
	r, err := c.send(method, path, body, header...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	if r.StatusCode != status {
		t.Fatalf("%s %s: %v, want %d", method, path, r, status)
	}
	return r
}

// submit makes an async job and returns its path.
func (c *web) submit(t testing.TB, process, inputs string) string {
	t.Helper()
	r := c.must(t, 201, "POST", "/processes/"+process+"/execution", `{"inputs":`+inputs+`}`, "Prefer", "respond-async")
	return r.job()
}

// status is what tests read of a status document.
type status struct {
	JobID, Status, Message string
}

func (c *web) status(path string) (status, error) {
	r, err := c.send("GET", path, "")
	if err != nil {
		return status{}, err
	}
	if r.StatusCode != 200 {
		return status{}, fmt.Errorf("%s: %v", path, r)
	}
	var s status
	return s, json.Unmarshal(r.body, &s)
}

// await waits until the job has one of the statuses.
func (c *web) await(t testing.TB, path string, statuses ...string) status {
	t.Helper()
	var s status
	eventually(t, func() (err error) {
		if s, err = c.status(path); err == nil && !slices.Contains(statuses, s.Status) {
			err = fmt.Errorf("job %s is %s (%s)", path, s.Status, s.Message)
		}
		return err
	})
	return s
}
