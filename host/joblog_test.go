package host_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
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

// startTalkative is startServer with the plugin that logs and prints.
func startTalkative(t *testing.T, dir string, args ...string) *server {
	t.Helper()
	at := filepath.Join(dir, "plugins", "talkative")
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(at); errors.Is(err, fs.ErrNotExist) {
		binary := filepath.Join(dir, "talkative")
		if out, err := exec.Command("go", "build", "-o", binary, "./testdata/talkative").CombinedOutput(); err != nil {
			t.Fatalf("build: %v\n%s", err, out)
		}
		place(t, binary, at)
	}
	return startServer(t, dir, nil, args...)
}

// logLine is a line of a log as JSON.
type logLine struct {
	Seq                    int64
	Level, Source, Message string
	Attempt                int
	Fields                 map[string]any
}

// logOf returns the lines of a job's log, each as "level source message", too.
func (c *web) logOf(t testing.TB, path, query string) (lines []logLine, words []string) {
	t.Helper()
	r := c.must(t, 200, "GET", path+"/logs?f=json&"+query, "")
	var d struct{ Logs []logLine }
	if err := json.Unmarshal(r.body, &d); err != nil {
		t.Fatal(err)
	}
	for _, l := range d.Logs {
		words = append(words, l.Level+" "+l.Source+" "+l.Message)
	}
	return d.Logs, words
}

// TestALogHoldsLinesAndStreamsOfItsJobOnly runs jobs one after another and at
// once in every isolation mode.
func TestALogHoldsLinesAndStreamsOfItsJobOnly(t *testing.T) {
	t.Parallel()
	s := startTalkative(t, t.TempDir(), "--slots", "4")
	c := newWeb(t, s.url)
	var clients sync.WaitGroup
	for process, streams := range map[string]bool{"talk": false, "talk-alone": true, "talk-per-job": true} {
		clients.Go(func() {
			for n := range 4 {
				say := fmt.Sprintf("%s-%d", process, n)
				path := c.submit(t, process, `{"say":"`+say+`"}`)
				c.await(t, path, "successful")
				_, words := c.logOf(t, path, "")
				var lines, printed []string
				for _, w := range words {
					if strings.Contains(w, " std") {
						printed = append(printed, w)
					} else {
						lines = append(lines, w)
					}
				}
				want := []string{"info host accepted", "info host started attempt 1", "debug process debug " + say, "info process info " + say,
					"error process error " + say, "info host successful"}
				if !slices.Equal(lines, want) {
					t.Errorf("%s: lines %q, want %q", say, lines, want)
				}
				want = nil
				if streams {
					want = []string{"info stderr stderr " + say, "info stdout stdout " + say}
				}
				slices.Sort(printed)
				if !slices.Equal(printed, want) {
					t.Errorf("%s: printed %q, want %q", say, printed, want)
				}
			}
		})
	}
	clients.Wait()
	path := c.submit(t, "talk", `{"say":"<b>"}`)
	c.await(t, path, "successful")
	_, words := c.logOf(t, path, "level=warn&limit=1")
	if !slices.Equal(words, []string{"error process error <b>"}) {
		t.Errorf("from level warn on: %q", words)
	}
	r := c.must(t, 200, "GET", path+"/logs?after=3", "")
	if text := strings.Split(string(r.body), "\n"); len(text) != 4 || !strings.HasSuffix(text[0], ` INFO  process info <b> {"attempt":1}`) {
		t.Errorf("as text: %q", text)
	}
	s.hasLogs(t, 13)
	c.must(t, 200, "DELETE", path, "")
	c.must(t, 410, "GET", path+"/logs", "")
	c.must(t, 404, "GET", "/jobs/none/logs", "")
	s.hasLogs(t, 12)
}

// logFile is where the log of a job is kept.
func (s *server) logFile(path string) string {
	return filepath.Join(s.data(), "store", "logs", path[len(path)-2:], filepath.Base(path))
}

// hasLogs checks how many log files there are, and returns their size together.
func (s *server) hasLogs(t testing.TB, want int) (size int64) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.data(), "store", "logs", "*", "*"))
	if err != nil || len(files) != want {
		t.Errorf("%d log files (%v), want %d", len(files), err, want)
	}
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	return size
}

// TestALogAndTheProgressSurviveAKilledHost kills the server in the middle of jobs
// that have said something.
func TestALogAndTheProgressSurviveAKilledHost(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := startTalkative(t, dir, "--slots", "2")
	c := newWeb(t, s.url)
	once, twice := c.submit(t, "talk", `{"say":"once","hold":true}`), c.submit(t, "talk-alone", `{"say":"twice","hold":true}`)
	for _, path := range []string{once, twice} {
		eventually(t, func() error { // that there is an estimate
			r := c.must(t, 200, "GET", path, "")
			var d struct {
				Progress            int
				EstimatedCompletion time.Time
			}
			if err := json.Unmarshal(r.body, &d); err != nil || d.Progress != 40 || d.EstimatedCompletion.Before(time.Now()) {
				return fmt.Errorf("%v: %v", r, err)
			}
			return nil
		})
		if r := c.must(t, 200, "HEAD", path+"/logs", ""); r.Header.Get("Cache-Control") != "no-store" || !strings.Contains(strings.Join(r.Header["Link"], ","), `rel="next"`) {
			t.Errorf("HEAD: %v", r.Header)
		}
	}
	eventually(t, func() error { // that it is written, of which no reply tells
		one, err := os.ReadFile(s.logFile(once))
		two, e := os.ReadFile(s.logFile(twice))
		if err = errors.Join(err, e); err == nil && !(bytes.Contains(one, []byte("info once")) &&
			bytes.Contains(two, []byte("info twice")) && bytes.Contains(two, []byte("stderr twice"))) {
			err = fmt.Errorf("the logs are %q and %q", one, two)
		}
		return err
	})
	_ = s.cmd.Process.Kill()
	_ = s.wait(t)
	s.leavesNothing(t)
	// The host was in the middle of a line.
	half, err := os.OpenFile(s.logFile(twice), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = half.WriteString(`{"seq":6,"time":"2026-01-`)
	if err = errors.Join(err, half.Close()); err != nil {
		t.Fatal(err)
	}

	s = startTalkative(t, dir, "--slots", "2")
	c = newWeb(t, s.url)
	c.await(t, once, "failed")
	lines, words := c.logOf(t, once, "")
	want := []string{"info host accepted", "info host started attempt 1", "debug process debug once", "info process info once",
		"error host failed: the server crashed while the process ran"}
	if !slices.Equal(words, want) {
		t.Errorf("log of the job that failed: %q, want %q", words, want)
	}
	for i, l := range lines {
		if l.Seq != int64(i)+1 {
			t.Errorf("line %d has number %d", i, l.Seq)
		}
	}
	var left struct{ Progress int }
	if r := c.must(t, 200, "GET", once, ""); json.Unmarshal(r.body, &left) != nil || left.Progress != 20 && left.Progress != 40 {
		t.Errorf("progress of the job that failed: %v", r)
	}
	want = []string{"info host accepted", "info host started attempt 1", "debug process debug twice", "info process info twice", "info stderr stderr twice",
		"warn host will run again: the server crashed while the process ran",
		"info host started attempt 2", "debug process debug twice", "info process info twice", "info stderr stderr twice"}
	eventually(t, func() error {
		if _, words = c.logOf(t, twice, "level=trace"); !sameWords(words, want) {
			return fmt.Errorf("log of the job that runs again: %q, want %q", words, want)
		}
		return nil
	})
	c.must(t, 200, "DELETE", twice, "")
	if _, words = c.logOf(t, twice, "after=10"); !slices.Equal(words, []string{"warn host dismissed: dismissed by the client"}) {
		t.Errorf("the log of the dismissed job ends in %q", words)
	}
}

// sameWords compares logs of attempts, in which lines of the streams of a process
// may come before or after others of the same attempt.
func sameWords(got, want []string) bool {
	order := func(words []string) []string {
		attempts := slices.Clone(words)
		attempt := 'a'
		for i, w := range attempts {
			if strings.Contains(w, " host ") {
				attempt++
			}
			attempts[i] = string(attempt) + w
		}
		slices.Sort(attempts)
		return attempts
	}
	return slices.Equal(order(got), order(want))
}

// TestAFloodOfLinesIsBoundedInMemoryAndOnDisk has jobs log and print 100,000 lines
// each.
func TestAFloodOfLinesIsBoundedInMemoryAndOnDisk(t *testing.T) {
	t.Parallel()
	const most = 100_000
	s := startTalkative(t, t.TempDir(), "--slots", "4", "--log-level", "error", "--log-max-bytes", fmt.Sprint(most))
	c := newWeb(t, s.url)
	c.must(t, 200, "POST", "/processes/talk/execution", `{"inputs":{"say":"hello"}}`)
	before := s.peakMemory(t)
	var paths []string
	for _, process := range []string{"talk", "talk", "talk-per-job"} {
		paths = append(paths, c.submit(t, process, `{"say":"flood","flood":100000}`))
	}
	for _, path := range paths {
		c.await(t, path, "successful")
		lines, words := c.logOf(t, path, "")
		isLast := func(w string) bool { return w == "error process error flood" || w == "info stderr flood 99999" }
		if words[0] != "info host accepted" || !slices.ContainsFunc(words[len(words)-5:], isLast) {
			t.Errorf("%s: begins %q, ends %q", path, words[:5], words[len(words)-5:])
		}
		if !slices.ContainsFunc(words, func(w string) bool { return strings.Contains(w, "lines left out") }) {
			t.Errorf("%s: no note among %d lines", path, len(words))
		}
		for i, l := range lines {
			if i > 0 && l.Seq <= lines[i-1].Seq {
				t.Fatalf("%s: line %d after line %d", path, l.Seq, lines[i-1].Seq)
			}
		}
	}
	if size := s.hasLogs(t, len(paths)); size > most*int64(len(paths)) {
		t.Errorf("the logs have %d bytes", size)
	}
	grown := s.peakMemory(t) - before
	if t.Logf("the memory of the server has grown by %d KiB", grown>>10); grown > 64<<20 {
		t.Errorf("the memory of the server has grown by %d bytes", grown)
	}
	if err := s.end(t, syscall.SIGTERM); err != nil {
		t.Errorf("the server ended with %v", err)
	}
}
