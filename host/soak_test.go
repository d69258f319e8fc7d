package host_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// soakTime is how long 64 clients load the server. make chaos asks for ten
// minutes.
func soakTime(t *testing.T) time.Duration {
	t.Helper()
	text, ok := os.LookupEnv("GEOMILL_SOAK")
	if !ok {
		return 5 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		t.Fatalf("GEOMILL_SOAK is %q", text)
	}
	return d
}

// memorySlack is what the memory of a server may grow by, in MiB, from the
// middle third of a soak to the last: a cache that fills up is no leak.
const memorySlack = 48

// TestLoadLeavesNothingBehind has 64 clients make requests of all kinds for a
// while. The memory of the server does not go on growing, and afterwards it has
// as many goroutines and open files as before.
func TestLoadLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	plugins := []string{"echo", "hello-world", "sleep"}
	fresh := startServer(t, t.TempDir(), plugins)
	awake(t, fresh)
	files := openFiles(t, fresh.cmd.Process.Pid)
	goroutines := fresh.dumped(t)

	s := startServer(t, t.TempDir(), plugins)
	awake(t, s)
	requests, memory := soak(t, s, soakTime(t))
	w := newWeb(t, s.url)
	eventually(t, func() error {
		r, err := w.send("GET", "/jobs?status=accepted,running&limit=1", "")
		if err == nil && !strings.Contains(string(r.body), `"jobs":[]`) {
			err = fmt.Errorf("jobs that do not end: %v", r)
		}
		return err
	})
	eventually(t, func() error {
		w.http.CloseIdleConnections()
		// Badger opens a file for each table.
		if n, more := openFiles(t, s.cmd.Process.Pid), len(tables(t, s)); n > files+more+5 {
			return fmt.Errorf("%d open files, %d of them tables, %d before", n, more, files)
		}
		return nil
	})
	middle, last := peak(memory[len(memory)/3:2*len(memory)/3]), peak(memory[2*len(memory)/3:])
	if last > middle+memorySlack {
		t.Errorf("memory in MiB: %d", memory)
	}
	if n := s.dumped(t); n > goroutines+10 {
		t.Errorf("%d goroutines, %d in a fresh server", n, goroutines)
	}
	t.Logf("%d requests in %s; memory at most %d MiB in the middle third, %d in the last", requests, soakTime(t), middle, last)
}

// awake starts the instances.
func awake(t *testing.T, s *server) {
	t.Helper()
	w := newWeb(t, s.url)
	defer w.http.CloseIdleConnections()
	for path, inputs := range map[string]string{hello: `{"name":"x"}`, echo: `{"text":"x"}`, sleep: `{"seconds":0}`} {
		w.must(t, 200, "POST", path, `{"inputs":`+inputs+`}`)
	}
}

// soak loads the server for d and samples its memory, in MiB.
func soak(t *testing.T, s *server, d time.Duration) (requests int64, memory []int) {
	t.Helper()
	c := &crowd{url: s.url}
	end := time.Now().Add(d)
	var count atomic.Int64
	var clients sync.WaitGroup
	for i := range 64 {
		w := newWeb(t, s.url)
		clients.Go(func() {
			defer w.http.CloseIdleConnections()
			random := rand.New(rand.NewPCG(uint64(i), 2))
			last := "/jobs/none"
			for k := 0; time.Now().Before(end); k++ {
				if err := c.act(w, random.IntN(10), fmt.Sprintf("%d-%d", i, k), &last, map[string]string{}); err != nil {
					t.Errorf("client %d, request %d: %v", i, k, err)
					return
				}
				count.Add(1)
			}
		})
	}
	sample := time.NewTicker(d / 30)
	defer sample.Stop()
	for range 30 {
		<-sample.C
		memory = append(memory, resident(t, s.cmd.Process.Pid))
	}
	clients.Wait()
	return count.Load(), memory
}

// tables are the files that the store keeps open as it grows.
func tables(t *testing.T, s *server) []string {
	t.Helper()
	var all []string
	for _, kind := range []string{"*.sst", "*.vlog", "*.mem"} {
		some, err := filepath.Glob(filepath.Join(s.data(), "store", "db", kind))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, some...)
	}
	return all
}

func peak(samples []int) (highest int) {
	for _, n := range samples {
		highest = max(highest, n)
	}
	return highest
}

// resident is the memory of a process in MiB, without the files it has mapped.
func resident(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var kib int
		if n, _ := fmt.Sscanf(line, "RssAnon: %d kB", &kib); n == 1 {
			return kib >> 10
		}
	}
	t.Fatal("no memory in the status of the process")
	return 0
}

// dumped ends a server with the signal at which a Go program lists its
// goroutines, and counts them.
func (s *server) dumped(t *testing.T) int {
	t.Helper()
	_ = s.end(t, syscall.SIGQUIT)
	n := 0
	for line := range bytes.Lines([]byte(s.log.String())) {
		if bytes.HasPrefix(line, []byte("goroutine ")) && bytes.HasSuffix(bytes.TrimSpace(line), []byte("]:")) {
			n++
		}
	}
	if n == 0 {
		t.Fatal("the server lists no goroutines")
	}
	return n
}
