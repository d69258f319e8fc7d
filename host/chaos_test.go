package host_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// chaosRounds is how often the host, its plugins or all of them are killed. make
// chaos asks for more.
func chaosRounds(t *testing.T) int {
	t.Helper()
	text, ok := os.LookupEnv("GEOMILL_CHAOS_ROUNDS")
	if !ok {
		return 9
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("GEOMILL_CHAOS_ROUNDS is %q", text)
	}
	return n
}

// chaos is a data directory whose servers are killed while they work.
type chaos struct {
	dir    string
	ledger string
	random *rand.Rand

	accepted map[string]string // path of a job to its process
	ended    map[string]status // jobs that were seen to have ended
}

// TestKillsLoseNoJobAndRunNoneTwice submits jobs from 16 clients and kills the
// host, its plugins or all of them at a random moment, again and again on one
// data directory. Every job that was answered with 201 is there and ends; one
// that may not run again is started once at most; what is said to have succeeded
// has; what has ended stays as it is; the store opens every time.
func TestKillsLoseNoJobAndRunNoneTwice(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := &chaos{
		dir: dir, ledger: filepath.Join(dir, "notes", "ledger"), random: rand.New(rand.NewPCG(5, uint64(chaosRounds(t)))),
		accepted: map[string]string{}, ended: map[string]status{},
	}
	if err := os.Mkdir(filepath.Join(dir, "plugins"), 0o755); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "ledger-plugin")
	if out, err := exec.Command("go", "build", "-o", binary, "./testdata/ledger").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	place(t, binary, filepath.Join(dir, "plugins", "ledger"))
	start := time.Now()
	for round := range chaosRounds(t) {
		s := c.start(t)
		c.settle(t, s)
		c.load(t, s, round)
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
	}
	s := c.start(t)
	c.settle(t, s)
	c.remain(t, s)
	c.tally(t)
	if err := s.end(t, syscall.SIGTERM); err != nil {
		t.Errorf("the server ended with %v", err)
	}
	t.Logf("%d kills, %d jobs accepted, in %s", chaosRounds(t), len(c.accepted), time.Since(start).Round(time.Second))
}

func (c *chaos) start(t *testing.T) *server {
	grant := granting(t, c.dir, filepath.Dir(c.ledger), filepath.Dir(c.ledger))
	return startServer(t, c.dir, nil, append(grant, "--slots", "8", "--plugin-env", "LEDGER="+c.ledger)...)
}

// settle waits until no job waits or runs, and reads how those of the last round
// ended.
func (c *chaos) settle(t *testing.T, s *server) {
	t.Helper()
	w := newWeb(t, s.url)
	eventually(t, func() error {
		r, err := w.send("GET", "/jobs?status=accepted,running&limit=1", "")
		if err == nil && (r.StatusCode != 200 || !strings.Contains(string(r.body), `"jobs":[]`)) {
			err = fmt.Errorf("jobs that do not end: %v", r)
		}
		return err
	})
	for path := range c.accepted {
		if _, known := c.ended[path]; known {
			continue
		}
		end, err := w.status(path)
		switch {
		case err != nil:
			t.Errorf("an accepted job is lost: %v", err)
		case end.Status == "successful":
			w.must(t, 200, "GET", path+"/results", "")
		case end.Status != "failed":
			t.Errorf("%s is %s (%s)", path, end.Status, end.Message)
		}
		c.ended[path] = end
	}
}

// load submits jobs from 16 clients until the server is killed at some moment. In
// two rounds of three its plugins are killed too: before it, or with it.
func (c *chaos) load(t *testing.T, s *server, round int) {
	t.Helper()
	moment := time.Duration(c.random.IntN(400)) * time.Millisecond
	var mu sync.Mutex
	var killed atomic.Bool
	var clients sync.WaitGroup
	for i := range 16 {
		random := rand.New(rand.NewPCG(uint64(round), uint64(i)))
		w := newWeb(t, s.url)
		clients.Go(func() {
			for !killed.Load() {
				process := []string{"once", "again"}[random.IntN(2)]
				r, err := w.send("POST", "/processes/"+process+"/execution", c.request(random), "Prefer", "respond-async")
				if err != nil {
					return
				}
				if r.StatusCode != 201 {
					t.Errorf("%v, want 201", r)
					return
				}
				mu.Lock()
				c.accepted[r.job()] = process
				mu.Unlock()
			}
		})
	}
	time.Sleep(moment) // when, not until: any moment is to be survived
	if round%3 == 1 {
		c.kill(s.children("ledger"))
		time.Sleep(moment / 4)
	}
	killed.Store(true)
	if round%3 == 2 {
		c.kill(append(withEnvironment(s.mark), s.cmd.Process.Pid))
	}
	_ = s.cmd.Process.Kill()
	clients.Wait()
	_ = s.wait(t)
	s.leavesNothing(t)
}

// request has a job that takes 0 to 29 ms; one in eight comes with an input that
// is large enough to be a file.
func (c *chaos) request(random *rand.Rand) string {
	ballast := ""
	if random.IntN(8) == 0 {
		ballast = strings.Repeat("x", 300<<10)
	}
	return fmt.Sprintf(`{"inputs":{"name":"x","milliseconds":%d,"ballast":%q}}`, random.IntN(30), ballast)
}

func (c *chaos) kill(pids []int) {
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// remain checks that what once has ended is as it was.
func (c *chaos) remain(t *testing.T, s *server) {
	t.Helper()
	w := newWeb(t, s.url)
	for path, was := range c.ended {
		if is, err := w.status(path); err != nil || is != was {
			t.Errorf("%s was %v, is %v, %v", path, was, is, err)
		}
	}
	if left, err := os.ReadDir(filepath.Join(s.data(), "jobs")); err != nil || len(left) > 0 {
		t.Errorf("left of jobs that have ended: %v, %v", left, err)
	}
}

// tally holds what the jobs are said to have done against what they did.
func (c *chaos) tally(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(c.ledger)
	if err != nil {
		t.Fatal(err)
	}
	starts, ends := map[string]int{}, map[string]int{}
	for line := range strings.Lines(string(text)) {
		id, event, _ := strings.Cut(strings.TrimSpace(line), " ")
		if event == "start" {
			starts["/jobs/"+id]++
		} else {
			ends["/jobs/"+id]++
		}
	}
	count := map[string]int{}
	for path, process := range c.accepted {
		end := c.ended[path].Status
		count[process+" "+end]++
		if process == "once" && starts[path] > 1 {
			t.Errorf("%s (%s) was started %d times", path, end, starts[path])
		}
		if end == "successful" && ends[path] == 0 {
			t.Errorf("%s is successful, but never came to its end", path)
		}
	}
	t.Logf("%v", count)
}
