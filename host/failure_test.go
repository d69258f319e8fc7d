package host_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"

	"github.com/google/go-cmp/cmp"
)

const (
	fails  = "/processes/faulty/execution"
	secret = "correct-horse-battery"
)

// startFaulty runs the built server with the plugin that fails as it is told.
func startFaulty(t *testing.T, dir string, args ...string) *server {
	t.Helper()
	at := filepath.Join(dir, "plugins", "faulty")
	if _, err := os.Stat(at); errors.Is(err, os.ErrNotExist) {
		binary := filepath.Join(dir, "faulty")
		if out, err := exec.Command("go", "build", "-o", binary, "./testdata/faulty").CombinedOutput(); err != nil {
			t.Fatalf("build: %v\n%s", err, out)
		}
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		place(t, binary, at)
	}
	return startServer(t, dir, nil, append([]string{"--plugin-env", "FAULTY_SECRET=" + secret}, args...)...)
}

// works waits until the plugin runs jobs again: after a crash it is started
// with some delay.
func (c *web) works(t *testing.T) {
	t.Helper()
	eventually(t, func() error {
		r, err := c.send("POST", fails, `{"inputs":{"how":"not"}}`)
		if err == nil && r.StatusCode != 200 {
			err = errors.New(r.String())
		}
		return err
	})
}

// places returns the problem document at the two places that a failed job has
// it, which are to be the same.
func (c *web) places(t *testing.T, doc promised, path string) ogc.Exception {
	t.Helper()
	var s struct {
		Status    string
		Message   string
		Exception ogc.Exception
	}
	r := c.must(t, 200, "GET", path, "")
	doc.keeps(t, "GET", path, r)
	if err := json.Unmarshal(r.body, &s); err != nil || s.Status != "failed" || s.Message != s.Exception.Detail {
		t.Errorf("status: %v, %v", r, err)
	}
	results, err := c.send("GET", path+"/results", "")
	if err != nil {
		t.Fatal(err)
	}
	doc.keeps(t, "GET", path+"/results", results)
	var e ogc.Exception
	if err := json.Unmarshal(results.body, &e); err != nil || results.StatusCode != e.Status {
		t.Errorf("results: %v, %v", results, err)
	}
	if d := cmp.Diff(s.Exception, e); d != "" {
		t.Errorf("status and results differ: %s", d)
	}
	return e
}

// TestEveryCauseOfFailureHasOneDocument fails in every way, synchronously and as
// a job: the reply, the status and the results tell the same.
func TestEveryCauseOfFailureHasOneDocument(t *testing.T) {
	t.Parallel()
	s := startFaulty(t, t.TempDir(), "--record-sync")
	c := newWeb(t, s.url)
	c.works(t)
	doc := promises(t, c)
	for _, want := range []struct {
		how    string
		prefer string
		ogc.Exception
		stderr string
	}{
		{"refuse", "", ogc.Exception{Type: ogc.InvalidParameterValue, Title: "Invalid input", Status: 400, Detail: "how/x is odd; times is odd too",
			Errors: []ogc.Fault{{Input: "how", Pointer: "/inputs/how/x", Message: "is odd"}, {Input: "times", Pointer: "/inputs/times", Message: "is odd too"}}}, ""},
		{"error", "", ogc.Exception{Type: job.TypeProcessFailed, Title: "Process failed", Status: 500, Detail: "no luck today"}, ""},
		{"missing", "", ogc.Exception{Type: job.TypeProcessFailed, Title: "Process failed", Status: 404, Detail: "no data of that day", Code: "NoData"}, ""},
		{"passing", "", ogc.Exception{Type: job.TypeProcessFailed, Title: "Process failed", Status: 500, Detail: "no luck yet"}, ""},
		{"panic", "", ogc.Exception{Type: job.TypeProcessFailed, Title: "Process failed", Status: 500, Detail: "the process crashed inside its plugin"}, ""},
		{"hang", "timeout=1", ogc.Exception{Type: job.TypeTimeout, Title: "Process took too long", Status: 504,
			Detail: "the process did not end in the time it is allowed, 1s", Timeout: 1}, ""},
		{"exit", "", ogc.Exception{Type: job.TypePluginCrashed, Title: "Plugin crashed", Status: 500,
			Detail: "the plugin ended unexpectedly (exit status 3)", ExitCode: new(3)}, "my data is gone from [run]"},
		{"crash", "", ogc.Exception{Type: job.TypePluginCrashed, Title: "Plugin crashed", Status: 500,
			Detail: "the plugin ended unexpectedly (exit status 2)", ExitCode: new(2)}, "panic: in a goroutine"},
		{"kill", "", ogc.Exception{Type: job.TypePluginCrashed, Title: "Plugin crashed", Status: 500,
			Detail: "the plugin ended unexpectedly (signal: killed)", Signal: "SIGKILL"}, ""},
		{"memory", "", ogc.Exception{Type: job.TypeOutOfMemory, Title: "Out of memory", Status: 500,
			Detail: "the plugin ran out of memory (exit status 2)", ExitCode: new(2)}, "out of memory"},
	} {
		t.Run(want.how, func(t *testing.T) {
			c.works(t)
			body := fmt.Sprintf(`{"inputs":{"how":%q}}`, want.how)
			// Crashes often enough to be quarantined are not wanted: those are tried once.
			async := want.Type != job.TypePluginCrashed && want.Type != job.TypeOutOfMemory
			r := c.must(t, want.Status, "POST", fails, body, "Prefer", want.prefer)
			doc.keeps(t, "POST", fails, r)
			var e ogc.Exception
			if err := json.Unmarshal(r.body, &e); err != nil {
				t.Fatal(err)
			}
			id, ok := strings.CutPrefix(e.Instance, "urn:uuid:")
			if !ok {
				t.Fatalf("instance %q", e.Instance)
			}
			if d := cmp.Diff(e, c.places(t, doc, "/jobs/"+id)); d != "" {
				t.Errorf("reply and job differ: %s", d)
			}
			documents := []ogc.Exception{e}
			if async {
				path := c.must(t, 201, "POST", fails, body, "Prefer", "respond-async, "+want.prefer).job()
				c.await(t, path, "failed")
				documents = append(documents, c.places(t, doc, path))
			}
			for _, e := range documents {
				if text := strings.Join(e.Stderr, "\n"); !strings.Contains(text, want.stderr) || (want.stderr == "") != (text == "") ||
					strings.Contains(text, secret) || strings.Contains(text, s.dir) || len(e.Stderr) > 20 {
					t.Errorf("stderr %q, want %q", e.Stderr, want.stderr)
				}
				want.Instance, want.Attempt, want.Stderr = e.Instance, 1, e.Stderr
				if d := cmp.Diff(want.Exception, e); d != "" {
					t.Error(d)
				}
			}
		})
	}
}

// TestWhatAJobLeftBehindIsThereInTheNextAttempt crashes twice and then succeeds,
// once with the plugin and once with the host.
func TestWhatAJobLeftBehindIsThereInTheNextAttempt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := startFaulty(t, dir)
	c := newWeb(t, s.url)
	path := c.submit(t, "undeterred", `{"how":"kill","times":2}`)
	c.await(t, path, "successful")
	c.succeedsAt(t, path, 3, "1;2;")

	again := c.submit(t, "undeterred", `{"how":"hang","times":1}`)
	not := c.submit(t, "faulty", `{"how":"hang","times":1}`)
	for _, p := range []string{again, not} {
		c.await(t, p, "running")
	}
	eventually(t, func() error { // both attempts have begun for the process, too
		notes, err := filepath.Glob(filepath.Join(s.data(), "work", "*", "*", "checkpoint", "note"))
		if err == nil && len(notes) != 1 {
			err = fmt.Errorf("notes %v", notes)
		}
		return err
	})
	_ = s.end(t, syscall.SIGKILL)
	s.leavesNothing(t)
	s = startFaulty(t, dir)
	c = newWeb(t, s.url)
	c.await(t, again, "successful")
	c.succeedsAt(t, again, 2, "1;")
	c.await(t, not, "failed")
	doc := promises(t, c)
	if e := c.places(t, doc, not); e.Type != job.TypeHostCrashed || e.Attempt != 1 || e.Status != 500 {
		t.Errorf("%+v", e)
	}
	if err := s.end(t, syscall.SIGTERM); err != nil {
		t.Errorf("the server ended with %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(s.data(), "[jw]o*", "*")); len(left) > 0 { // jobs and work
		t.Errorf("directories are left: %v", left)
	}
}

// TestAJobOfAProcessThatIsGoneFails removes the plugin while a job waits.
func TestAJobOfAProcessThatIsGoneFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := startFaulty(t, dir, "--slots", "1", "--drain", "100ms")
	c := newWeb(t, s.url)
	running := c.submit(t, "faulty", `{"how":"hang"}`)
	c.await(t, running, "running")
	waiting := c.submit(t, "faulty", `{"how":"hang"}`)
	if err := s.end(t, syscall.SIGTERM); err != nil {
		t.Errorf("the server ended with %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "plugins", "faulty")); err != nil {
		t.Fatal(err)
	}
	s = startServer(t, dir, nil)
	c = newWeb(t, s.url)
	c.await(t, waiting, "failed")
	doc := promises(t, c)
	for path, want := range map[string]string{running: job.TypeHostStopped, waiting: job.TypeProcessVanished} {
		if e := c.places(t, doc, path); e.Type != want || e.Status != 500 || (e.Attempt == 0) != (path == waiting) {
			t.Errorf("%+v, want %s", e, want)
		}
	}
}

func (c *web) succeedsAt(t *testing.T, path string, attempt int, note string) {
	t.Helper()
	var out struct {
		Attempt int
		Note    string
	}
	r := c.must(t, 200, "GET", path+"/results", "")
	if err := json.Unmarshal(r.body, &out); err != nil || out.Attempt != attempt || out.Note != note {
		t.Errorf("%v, %v; want attempt %d with the note %q", r, err, attempt, note)
	}
}

// TestAJobIsNotRunForEver has one that kills its plugin each time and may be run
// ten times, and one that hangs each time and may be run again after that.
func TestAJobIsNotRunForEver(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config := filepath.Join(dir, "config.yaml")
	text := "show-stderr: false\nmax-timeout: 2s\nprocesses:\n  faulty: {retry-attempts: 1, retry-on: [timeout], retry-backoff: 1ms, timeout: 1s}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startFaulty(t, dir, "--config", config)
	c := newWeb(t, s.url)
	killer := c.submit(t, "undeterred", `{"how":"exit"}`)
	c.await(t, killer, "failed")
	doc := promises(t, c)
	e := c.places(t, doc, killer)
	if e.Type != job.TypePluginCrashed || e.Attempt != 3 || len(e.Stderr) > 0 || !strings.HasSuffix(e.Detail, "so it is not run again") {
		t.Errorf("%+v", e)
	}
	hanger := c.submit(t, "faulty", `{"how":"hang"}`)
	c.await(t, hanger, "failed")
	if e := c.places(t, doc, hanger); e.Type != job.TypeTimeout || e.Attempt != 2 || e.Timeout != 1 {
		t.Errorf("%+v", e)
	}
	for asked, applied := range map[string]string{"timeout=1": "timeout=1", "timeout=7": "timeout=2", "timeout=0": "", "timeout=x": ""} {
		r := c.must(t, 200, "POST", fails, `{"inputs":{"how":"not"}}`, "Prefer", asked)
		if got := r.Header.Get("Preference-Applied"); got != applied {
			t.Errorf("%s: applied %q, want %q", asked, got, applied)
		}
	}
}

// TestAJobThatIsThereWhenTheHostDiesThreeTimesFails kills the host as often.
func TestAJobThatIsThereWhenTheHostDiesThreeTimesFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var path string
	for crash := range 3 {
		s := startFaulty(t, dir)
		c := newWeb(t, s.url)
		if crash == 0 {
			path = c.submit(t, "undeterred", `{"how":"hang"}`)
		}
		c.await(t, path, "running")
		_ = s.end(t, syscall.SIGKILL)
		s.leavesNothing(t)
	}
	s := startFaulty(t, dir)
	c := newWeb(t, s.url)
	c.await(t, path, "failed")
	if e := c.places(t, promises(t, c), path); e.Type != job.TypeHostCrashed || e.Attempt != 3 || !strings.Contains(e.Detail, "3 times") {
		t.Errorf("%+v", e)
	}
}
