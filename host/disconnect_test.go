package host_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// slotProbe is how long a client waits to learn that another holds the slot.
const slotProbe = 300 * time.Millisecond

// leavable sends an execute request that ctx can end, and reads the answer.
func leavable(ctx context.Context, c *web, path, body string) error {
	req, err := http.NewRequestWithContext(ctx, "POST", c.url+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return err
}

// TestAClientThatGoesAwayStopsItsWork leaves in the middle of a sync execution,
// of an upload and of a download.
func TestAClientThatGoesAwayStopsItsWork(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir(), []string{"echo", "sleep"}, "--sync-slots", "1")
	c := newWeb(t, s.url)
	c.must(t, 200, "POST", sleep, `{"inputs":{"seconds":0}}`)
	pid := fmt.Sprint(s.children("sleep"))
	t.Run("execution", func(t *testing.T) { testLeavesExecution(t, s, c) })
	t.Run("upload", func(t *testing.T) { testLeavesUpload(t, s, c) })
	t.Run("download", func(t *testing.T) { testLeavesDownload(t, s, c) })
	if now := fmt.Sprint(s.children("sleep")); now != pid || strings.Contains(s.log.String(), "ignores a cancelled job") {
		t.Errorf("the plugin had to be stopped: %s, now %s\n%s", pid, now, s.log.String())
	}
	if err := s.end(t, syscall.SIGTERM); err != nil {
		t.Errorf("the server ended with %v", err)
	}
}

// testLeavesExecution leaves the only slot for sync executions to the next
// client, though each is for ten minutes.
func testLeavesExecution(t *testing.T, s *server, c *web) {
	for range 5 {
		ctx, cancel := context.WithCancel(context.Background())
		left := make(chan error, 1)
		go func() {
			left <- leavable(ctx, c, "/processes/sleep/execution", `{"inputs":{"seconds":600,"steps":10000}}`)
		}()
		eventually(t, func() error { // the slot is taken: a second client waits for it
			probe, end := context.WithTimeout(context.Background(), slotProbe)
			defer end()
			if err := leavable(probe, c, sleep, `{"inputs":{"seconds":0}}`); err == nil {
				return errors.New("the execution does not run yet")
			}
			return nil
		})
		cancel()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("the execution ended with %v", err)
		}
		c.must(t, 200, "POST", sleep, `{"inputs":{"seconds":0}}`)
	}
}

// testLeavesUpload breaks off bodies, small and spooled.
func testLeavesUpload(t *testing.T, s *server, c *web) {
	c.http.CloseIdleConnections()
	before := openFiles(t, s.cmd.Process.Pid)
	for _, size := range []int{1000, 10 << 20} {
		for range 10 {
			conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n{\"inputs\":{\"text\":\"%s",
				echo, size, strings.Repeat("x", size/2))
			if err != nil {
				t.Fatal(err)
			}
			_ = conn.(*net.TCPConn).SetLinger(0) // a reset, as of a machine that is gone
			conn.Close()
		}
	}
	s.settles(t, c, before)
}

// testLeavesDownload breaks off the results of a job.
func testLeavesDownload(t *testing.T, s *server, c *web) {
	path := c.submit(t, "echo", `{"text":"`+strings.Repeat("x", 20<<20)+`"}`)
	c.await(t, path, "successful")
	c.http.CloseIdleConnections()
	before := openFiles(t, s.cmd.Process.Pid)
	for range 5 {
		for _, of := range []string{"/results/text"} {
			res, err := c.http.Get(c.url + path + of)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.CopyN(io.Discard, res.Body, 64<<10); err != nil {
				t.Fatal(err)
			}
			res.Body.Close() // closes the connection
		}
	}
	s.settles(t, c, before)
	if r := c.must(t, 200, "GET", path+"/results/text", ""); len(r.body) != 20<<20+2 {
		t.Errorf("%d bytes of the value", len(r.body))
	}
}

// settles waits until the server has no more files open than before, and none
// in its spool.
func (s *server) settles(t *testing.T, c *web, before int) {
	t.Helper()
	eventually(t, func() error {
		c.http.CloseIdleConnections()
		if n := openFiles(t, s.cmd.Process.Pid); n > before {
			return fmt.Errorf("%d open files, %d before", n, before)
		}
		for _, name := range []string{"spool", "jobs"} {
			if left, err := os.ReadDir(filepath.Join(s.data(), name)); err != nil || len(left) > 0 {
				return fmt.Errorf("left: %v, %v", left, err)
			}
		}
		return nil
	})
}
