package host_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// event is one server-sent event.
type event struct{ id, kind, data string }

// listener reads a stream of events.
type listener struct {
	*http.Response
	lines *bufio.Scanner
	id    string // the newest
}

// listen opens a stream, which ends with the test. last is the id of the last
// event that the client got before, or empty.
func (c *web) listen(t testing.TB, path, last string) *listener {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", c.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	res, err := c.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	return &listener{Response: res, lines: bufio.NewScanner(res.Body)}
}

// next returns the next event, and false at the end of the stream.
func (l *listener) next() (e event, more bool) {
	for l.lines.Scan() {
		name, value, _ := strings.Cut(l.lines.Text(), ": ")
		switch name {
		case "id":
			l.id = value
		case "event":
			e.kind = value
		case "data":
			e.data = value
		case "":
			if e.id = l.id; e.kind != "" {
				return e, true
			}
		}
	}
	return e, false
}

// brief is what a test expects of an event: its kind, and the status or progress.
func (e event) brief() string {
	var d struct {
		JobID, Status string
		Progress      int
		Message       string
	}
	if err := json.Unmarshal([]byte(e.data), &d); err != nil {
		return err.Error()
	}
	if e.kind == "progress" {
		return fmt.Sprint(d.Progress, " ", d.Message)
	}
	return e.kind + " " + d.Status
}

// rest reads to the end.
func (l *listener) rest() (all []string) {
	for e, more := l.next(); more; e, more = l.next() {
		all = append(all, e.brief())
	}
	return all
}

// TestAClientFollowsAJobToItsEnd leaves in the middle, and misses nothing.
func TestAClientFollowsAJobToItsEnd(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir(), []string{"sleep"})
	c := newWeb(t, s.url)
	job := c.submit(t, "sleep", `{"seconds":10,"steps":10}`)
	c.await(t, job, "running")
	whole, part := c.listen(t, job, ""), c.listen(t, job, "")
	if ct := whole.Header.Get("Content-Type"); whole.StatusCode != 200 || ct != "text/event-stream" || whole.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%d %s", whole.StatusCode, ct)
	}
	first, _ := part.next()
	second, _ := part.next()
	if first.brief() != "status running" || !strings.Contains(second.brief(), "step ") {
		t.Errorf("it begins with %v, %v", first, second)
	}
	_ = part.Body.Close()
	all := whole.rest()
	steps := slices.IndexFunc(all, func(s string) bool { return strings.Contains(s, "step ") })
	if n := len(all); all[0] != "status running" || all[n-1] != "status successful" || steps != 1 || !strings.HasSuffix(all[n-2], "step 10 of 10") || !consecutive(all[1:n-1]) {
		t.Errorf("the whole stream: %q", all)
	}
	if again := c.listen(t, job, part.id).rest(); len(again) == 0 || again[len(again)-1] != "status successful" {
		t.Errorf("after the end, from the middle: %q", again)
	}
	if r := c.listen(t, job, whole.id); r.StatusCode != 204 {
		t.Errorf("after the end, from there: %d", r.StatusCode)
	}
	if r := c.listen(t, "/jobs/none", ""); r.StatusCode != 404 {
		t.Errorf("no such job: %d", r.StatusCode)
	}
	c.must(t, 200, "DELETE", job, "")
	if r := c.listen(t, job, ""); r.StatusCode != 410 {
		t.Errorf("a removed job: %d", r.StatusCode)
	}
}

// consecutive reports whether steps follow one another without holes.
func consecutive(all []string) bool {
	last := 0
	for _, s := range all {
		var percent, step int
		if _, err := fmt.Sscanf(s, "%d step %d", &percent, &step); err != nil || last > 0 && step != last+1 {
			return false
		}
		last = step
	}
	return true
}

// TestAClientThatComesBackGetsWhatItMissed leaves a running job and, with the list
// of jobs, a host that is killed.
func TestAClientThatComesBackGetsWhatItMissed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := startServer(t, dir, []string{"sleep", "hello-world"})
	c := newWeb(t, s.url)
	list := c.listen(t, "/jobs?processID=sleep", "")
	job := c.submit(t, "sleep", `{"seconds":600}`)
	c.await(t, c.submit(t, "hello-world", `{"name":"x"}`), "successful")
	for _, want := range []string{"status accepted", "status running"} {
		if e, _ := list.next(); e.brief() != want || !strings.Contains(e.data, strings.TrimPrefix(job, "/jobs/")) {
			t.Errorf("the list says %v, want %s", e, want)
		}
	}
	one := c.listen(t, job, "")
	if e, _ := one.next(); e.brief() != "status running" {
		t.Errorf("the job says %v", e)
	}
	if err := s.end(t, syscall.SIGKILL); err == nil {
		t.Error("the host was not killed")
	}
	one.rest()
	s = startServer(t, dir, nil)
	c = newWeb(t, s.url)
	if all := c.listen(t, job, one.id).rest(); !slices.Equal(all, []string{"status failed"}) {
		t.Errorf("the job says to whom comes back: %q", all)
	}
	if e, _ := c.listen(t, "/jobs", list.id).next(); e.kind != "reset" && e.brief() != "status failed" {
		t.Errorf("the list says to whom comes back: %v", e)
	}
	list = c.listen(t, "/jobs", "")
	c.must(t, 200, "DELETE", job, "")
	if e, _ := list.next(); e.kind != "removed" || !strings.Contains(e.data, strings.TrimPrefix(job, "/jobs/")) {
		t.Errorf("a job was removed: %v", e)
	}
}

// TestAClientThatReadsNothingHoldsUpNobody opens connections that are never read
// from, while a job reports more than they take.
func TestAClientThatReadsNothingHoldsUpNobody(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir(), []string{"sleep"})
	c := newWeb(t, s.url)
	job := c.submit(t, "sleep", `{"seconds":3,"steps":10000}`)
	c.await(t, job, "running")
	addr := strings.TrimPrefix(s.url, "http://")
	for range 20 {
		deaf(t, addr, job)
	}
	reads := c.listen(t, job, "")
	start := time.Now()
	all := reads.rest()
	if all[len(all)-1] != "status successful" {
		t.Errorf("the stream ends with %q", all[len(all)-1])
	}
	if took := time.Since(start); took > 30*time.Second { // the host waits for a minute with each that is deaf
		t.Errorf("the job took %s", took)
	}
}

// deaf opens a stream from which nobody reads.
func deaf(t testing.TB, addr, path string) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.(*net.TCPConn).SetReadBuffer(4096)
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: test\r\nAccept: text/event-stream\r\n\r\n", path); err != nil {
		t.Fatal(err)
	}
}

// TestAHostThatStopsDoesNotWaitForListeners has a long time to drain, and only
// streams that would go on.
func TestAHostThatStopsDoesNotWaitForListeners(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir(), []string{"sleep"}, "--drain", "10m", "--slots", "1")
	c := newWeb(t, s.url)
	c.await(t, c.submit(t, "sleep", `{"seconds":6}`), "running")
	queued := c.submit(t, "sleep", `{"seconds":600}`)
	one, list := c.listen(t, queued, ""), c.listen(t, "/jobs", "")
	if err := s.end(t, syscall.SIGTERM); err != nil { // waits for the job that runs
		t.Errorf("the server ended with %v", err)
	}
	if all := one.rest(); !slices.Equal(all, []string{"status accepted"}) || one.lines.Err() != nil {
		t.Errorf("the job says %q, %v", all, one.lines.Err())
	}
	if list.rest(); list.lines.Err() != nil {
		t.Errorf("the stream of the list is cut off: %v", list.lines.Err())
	}
}

// TestIdleListenersLeaveNothing opens a thousand streams and closes them.
func TestIdleListenersLeaveNothing(t *testing.T) {
	in := startInside(t, t.TempDir(), "sleep")
	w := newWeb(t, in.url)
	w.must(t, 200, "POST", sleep, `{"inputs":{"seconds":0}}`) // its instance starts
	job := w.submit(t, "sleep", `{"seconds":600}`)
	w.await(t, job, "running")
	w.http.CloseIdleConnections()
	goroutines, files := runtime.NumGoroutine(), openFiles(t, os.Getpid())
	conns := make([]net.Conn, 1000)
	for i := range conns {
		conns[i] = idle(t, strings.TrimPrefix(in.url, "http://"), []string{job, "/jobs"}[i%2])
	}
	if n := runtime.NumGoroutine(); n < goroutines+len(conns) {
		t.Errorf("%d goroutines with %d listeners", n, len(conns))
	}
	for _, conn := range conns {
		_ = conn.Close()
	}
	eventually(t, func() error {
		if n := runtime.NumGoroutine(); n > goroutines+5 {
			return fmt.Errorf("%d goroutines, %d before", n, goroutines)
		}
		if n := openFiles(t, os.Getpid()); n > files+5 {
			return fmt.Errorf("%d open files, %d before", n, files)
		}
		return nil
	})
	w.must(t, 200, "DELETE", job, "")
	if err := in.stop(); err != nil {
		t.Error(err)
	}
}

// idle opens a stream and reads the header of its reply.
func idle(t testing.TB, addr, path string) net.Conn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: test\r\nAccept: text/event-stream\r\n\r\n", path)
	var first [512]byte
	if err == nil {
		_, err = io.ReadFull(conn, first[:len("HTTP/1.1 200 OK")])
	}
	if err == nil && string(first[:len("HTTP/1.1 200 OK")]) != "HTTP/1.1 200 OK" {
		err = errors.New(string(first[:]))
	}
	if err != nil {
		t.Fatal(err)
	}
	return conn
}
