package host_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const (
	smallDisk = 160 << 20
	minFree   = 48 << 20
)

// mountSmall makes the data directory below dir a file system of its own, of
// smallDisk bytes.
func mountSmall(t *testing.T, dir string) (data string) {
	t.Helper()
	data = filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", data, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", smallDisk)); err != nil {
		t.Skipf("a small file system cannot be mounted, which takes root: %v", err)
	}
	t.Cleanup(func() {
		eventually(t, func() error { return syscall.Unmount(data, 0) })
	})
	return data
}

// fill leaves so many bytes of a file system free, or gives back what it took.
func fillDisk(t *testing.T, data string, free int64) {
	t.Helper()
	name := filepath.Join(data, "ballast")
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(0); err != nil {
		t.Fatal(err)
	}
	if free < 0 {
		return
	}
	var st syscall.Statfs_t
	if err := syscall.Statfs(data, &st); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Fallocate(int(f.Fd()), 0, 0, int64(st.Bavail)*st.Bsize-free); err != nil {
		t.Fatal(err)
	}
}

// TestAFullDiskRefusesJobsAndLosesNone fills the disk while the server runs, and
// makes room again.
func TestAFullDiskRefusesJobsAndLosesNone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data := mountSmall(t, dir)
	args := []string{"--min-free", fmt.Sprint(minFree), "--slots", "2"}
	s := startServer(t, dir, []string{"hello-world", "echo"}, args...)
	c := newWeb(t, s.url)
	large := strings.Repeat("x", 1<<20)
	stored := c.submit(t, "echo", `{"text":"`+large+`"}`)
	c.await(t, stored, "successful")
	running := c.submit(t, "echo", `{"text":"`+large+`","pause":8}`)
	c.await(t, running, "running")

	fillDisk(t, data, minFree*3/4)
	for range 3 {
		r := c.must(t, 507, "POST", echo, `{"inputs":{"text":"`+large+`"}}`, "Prefer", "respond-async")
		if !strings.Contains(string(r.body), "no space left") {
			t.Errorf("%v", r)
		}
		c.must(t, 507, "POST", hello, `{"inputs":{"name":"you"}}`, "Prefer", "respond-async")
	}
	c.must(t, 200, "POST", hello, `{"inputs":{"name":"you"}}`) // needs no room
	eventually(t, func() error {                               // its process has ended, but nothing can be stored
		if !strings.Contains(s.log.String(), strings.TrimPrefix(running, "/jobs/")) {
			return fmt.Errorf("the server does not say that outputs have no room")
		}
		return nil
	})
	if now, err := c.status(running); err != nil || now.Status != "running" {
		t.Errorf("without room it is %s (%s), %v", now.Status, now.Message, err)
	}

	fillDisk(t, data, -1)
	c.await(t, running, "successful")
	c.await(t, c.submit(t, "echo", `{"text":"`+large+`"}`), "successful")
	waits := c.submit(t, "echo", `{"text":"later","pause":5}`)
	c.await(t, waits, "running")
	fillDisk(t, data, 0)
	c.must(t, 507, "POST", hello, `{"inputs":{"name":"you"}}`, "Prefer", "respond-async")
	c.must(t, 200, "GET", stored, "")
	eventually(t, func() error {
		if !strings.Contains(s.log.String(), waits[len("/jobs/"):]) {
			return fmt.Errorf("the server does not say that an end is not recorded")
		}
		return nil
	})
	fillDisk(t, data, -1)
	c.await(t, waits, "successful")
	c.must(t, 200, "GET", stored+"/results", "")

	fillDisk(t, data, 0)
	_ = s.end(t, syscall.SIGKILL)
	s.leavesNothing(t)
	fillDisk(t, data, -1)
	s = startServer(t, dir, []string{"hello-world", "echo"}, args...)
	c = newWeb(t, s.url)
	c.await(t, stored, "successful")
	c.await(t, running, "successful")
	c.must(t, 200, "GET", stored+"/results", "")
	if err := s.end(t, syscall.SIGTERM); err != nil {
		t.Errorf("the server ended with %v", err)
	}
}
