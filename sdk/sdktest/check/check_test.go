package check_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"geomill/sdk/sdktest/check"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

// built is the broken plugin, to be copied under the names of its faults.
var built string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "check-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	built = filepath.Join(dir, "broken")
	if out, err := exec.Command("go", "build", "-o", built, "./testdata/broken").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the broken plugin: %v\n%s", err, out)
		os.RemoveAll(dir)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// slack keeps the tests true on a machine that does much else. A plugin that
// does not end costs it, which is why it is larger for one that is sound.
const slack, slackOfSound = 4, 30

// short are times that the broken plugin keeps to, unless that is its fault.
var short = check.Times{
	Handshake: 4 * time.Second, Call: 3 * time.Second, Job: 3 * time.Second, Grace: 3 * time.Second,
	Settle: 200 * time.Millisecond, Unread: 100 * time.Millisecond,
}

// place copies the broken plugin to a name of its own.
func place(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.Link(built, path); err != nil {
		t.Error(err)
	}
	return path
}

func run(t *testing.T, c check.Config) *check.Report {
	t.Helper()
	c.Timeout, c.Runs, c.Times = 10*time.Minute, 200, short
	if c.Slack == 0 {
		c.Slack = slack
	}
	report, err := check.Run(t.Context(), c)
	if err != nil {
		t.Error(err)
		return &check.Report{}
	}
	if !report.Complete {
		t.Error("not every check was tried")
	}
	return report
}

// came returns the checks with these outcomes, each with its outcome and what
// was seen.
func came(r *check.Report, outcomes ...check.Outcome) (ids []string, seen string) {
	for _, result := range r.Results {
		if slices.Contains(outcomes, result.Outcome) {
			ids = append(ids, result.ID)
			seen += fmt.Sprintf("%s %s: %s\n", result.Outcome, result.ID, result.Seen)
		}
	}
	return ids, seen
}

func TestSoundPluginPassesEveryCheck(t *testing.T) {
	t.Parallel()
	r := run(t, check.Config{Path: place(t, "sound"), Slack: slackOfSound})
	if ids, seen := came(r, check.Fail, check.Warn, check.Skip); !slices.Equal(ids, []string{"stdout-after"}) {
		t.Errorf("did not pass:\n%s", seen)
	}
	if !r.OK() || r.Name != "broken" || r.Version != "1.0.0" {
		t.Errorf("report %+v", r)
	}
}

func TestMegabyteOnStandardOutputIsSeen(t *testing.T) {
	t.Parallel()
	r := run(t, check.Config{Path: place(t, "stdout-after"), Slack: slackOfSound})
	ids, seen := came(r, check.Fail, check.Warn)
	if passes, _ := came(r, check.Pass); ids != nil || !slices.Contains(passes, "stdout-after") {
		t.Errorf("did not pass:\n%s", seen)
	}
}

// faults are the ways in which the broken plugin is broken, by the check that
// they must fail.
var faults = []string{
	"by-hand", "by-hand.silent", "by-hand-describe", "by-hand-version",
	"handshake", "handshake.late", "stdout-quiet", "handshake-line", "handshake-line.version", "socket", "socket.unserved", "health",
	"info", "info.version", "settings-schema", "settings-schema.array", "settings-schema.default", "processes", "processes.twins",
	"descriptions", "descriptions.outputs", "configure", "describe-agrees", "go-plugin-streams", "socket-name",
	"jobs-run", "outputs", "outputs.undeclared", "examples", "examples.refused", "no-such-process", "bad-input", "unknown-fields",
	"unknown-message", "unknown-message.attach", "large-frame", "second-session", "second-session.code", "sixteen-jobs",
	"slow-reader", "file-input", "memory", "check-answers", "second-start", "cancel", "cancel-children",
	"drain", "drain.open", "drain.hasty", "shutdown", "shutdown.status", "shutdown.socket",
	"protocol-versions", "instance-id", "processes-stable", "file-output", "file-output.size", "file-output.link", "file-output.outside",
	"slot-freed", "max-concurrency", "max-concurrency.final", "session-end", "attach", "attach.seq", "attach.ends", "attach.claim", "sigint", "sigterm", "no-common-version",
	"lifeline", "lifeline.children", "seq-rising", "one-end", "own-jobs", "progress-range", "inline-limit",
}

// slow are those of them that are waited for in vain.
var slow = []string{
	"handshake.late", "sixteen-jobs", "session-end", "second-session", "slow-reader", "check-answers", "cancel", "attach", "shutdown", "sigterm",
	"lifeline", "lifeline.children",
}

// besides are checks that a fault leaves nothing to try on, which is a warning.
var besides = map[string][]string{"processes.twins": {"cancel"}}

// laborious are faults that show only once the plugin has done much, with the
// slack for it.
var laborious = map[string]float64{"memory": slackOfSound, "slow-reader": 12}

// Each fault fails the check that it is named for, and no other.
func TestEachFaultFailsItsCheckAlone(t *testing.T) {
	t.Parallel()
	// They mostly wait: many of them at once spare the time.
	reports := make(map[string]*check.Report)
	var mu sync.Mutex
	var running sync.WaitGroup
	slots := make(chan struct{}, 16)
	begun := make(map[string]bool)
	for _, fault := range slices.Concat(slow, faults) {
		if begun[fault] {
			continue
		}
		begun[fault] = true
		running.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			r := run(t, check.Config{Path: place(t, fault), Slack: laborious[fault]})
			mu.Lock()
			defer mu.Unlock()
			reports[fault] = r
		})
	}
	running.Wait()
	for _, fault := range faults {
		t.Run(fault, func(t *testing.T) {
			id, _, _ := strings.Cut(fault, ".")
			r := reports[fault]
			ids, seen := came(r, check.Fail, check.Warn)
			ids = slices.DeleteFunc(ids, func(other string) bool { return slices.Contains(besides[fault], other) })
			if diff := cmp.Diff([]string{id}, ids); diff != "" {
				t.Errorf("failed (-want +got):\n%s\n%s", diff, seen)
			}
			t.Log(seen)
			i := slices.IndexFunc(r.Results, func(r check.Result) bool { return r.ID == id })
			if must := r.Results[i].Severity == check.Must; must == r.OK() {
				t.Errorf("OK is %v", r.OK())
			}
		})
	}
}

// Every check has a plugin that fails it, but for the one that only tells what
// the plugin wrote.
func TestEveryCheckCanFail(t *testing.T) {
	t.Parallel()
	known := map[string]bool{"executable": true, "stdout-after": true}
	for _, fault := range faults {
		id, _, _ := strings.Cut(fault, ".")
		known[id] = true
	}
	seen := make(map[string]bool)
	for _, c := range check.Table() {
		if !known[c.ID] {
			t.Errorf("no plugin fails %s", c.ID)
		}
		if seen[c.ID] {
			t.Errorf("there are two checks %s", c.ID)
		}
		seen[c.ID] = true
		if c.Wants == "" || c.Why == "" || c.Fix == "" || c.Section == "" || c.Severity == "" {
			t.Errorf("%s does not explain itself", c.ID)
		}
	}
	for id := range known {
		if !seen[id] {
			t.Errorf("there is no check %s", id)
		}
	}
}

func TestFilesThatCannotBeExecutedFailTheFirstCheckAlone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		content string
		mode    os.FileMode
		want    string
	}{
		"empty":             {"", 0o755, "is empty"},
		"no program":        {"\x7fELF, but no", 0o755, "not a program for this machine"},
		"no interpreter":    {"#!/nowhere/python3\n", 0o755, "its interpreter"},
		"not executable":    {"#!/bin/sh\n", 0o644, "not executable: chmod 755 it"},
		"others may write":  {"#!/bin/sh\necho no plugin >&2; exit 2\n", 0o777, "may write to it"},
		"group may write":   {"#!/bin/sh\necho no plugin >&2; exit 2\n", 0o775, "may write to it"},
		"no plugin, but ok": {"#!/bin/sh\necho no plugin >&2; exit 2\n", 0o755, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "plugin")
			if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, c.mode); err != nil {
				t.Fatal(err)
			}
			first := run(t, check.Config{Path: path}).Results[0]
			if failed := first.Outcome == check.Fail; failed != (c.want != "") || !strings.Contains(first.Seen, c.want) {
				t.Errorf("%s: %s", first.Outcome, first.Seen)
			}
		})
	}
}

func TestAPluginThatCannotBeServedIsQuoted(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "plugin")
	if err := os.WriteFile(path, []byte("#!/bin/sh\nprintf 'a is missing: add it\\nb is wrong: mend it\\n' >&2; exit 78\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	const want = "a is missing: add it; b is wrong: mend it"
	results := run(t, check.Config{Path: path}).Results
	if !slices.ContainsFunc(results, func(r check.Result) bool { return r.ID == "handshake" && r.Seen == want }) {
		t.Errorf("none is the handshake that says %q: %+v", want, results)
	}
}

func TestWhatCannotBeCheckedIsAnError(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]check.Config{
		"no file":     {Path: filepath.Join(t.TempDir(), "nothing")},
		"a directory": {Path: t.TempDir()},
		"slack":       {Path: built, Slack: -1},
		"times":       {Path: built, Times: check.Times{Job: -1}},
		"runs":        {Path: built, Runs: -1},
	} {
		if _, err := check.Run(t.Context(), c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestTimeThatIsUpLeavesTheReportIncomplete(t *testing.T) {
	t.Parallel()
	r, err := check.Run(t.Context(), check.Config{Path: place(t, "sound"), Timeout: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	last := r.Results[len(r.Results)-1]
	if r.Complete || r.OK() || r.Count(check.Fail) > 0 || last.Outcome != check.Skip || !strings.Contains(last.Seen, "time") {
		t.Errorf("complete %v, %+v", r.Complete, last)
	}
}

func TestInputsAreUsedAndHeldAgainstThePlugin(t *testing.T) {
	t.Parallel()
	inputs := map[string]map[string]json.RawMessage{"copy": {"text": json.RawMessage(`7`)}}
	r := run(t, check.Config{Path: place(t, "sound"), Inputs: inputs, Slack: slackOfSound})
	if ids, seen := came(r, check.Warn, check.Fail); !slices.Contains(ids, "jobs-run") || !strings.Contains(seen, "input text") {
		t.Errorf("got:\n%s", seen)
	}
	inputs["copy"] = map[string]json.RawMessage{"text": json.RawMessage(`"hello"`)}
	long := map[string]map[string]json.RawMessage{"wait": {"seconds": json.RawMessage(`30`)}}
	if r := run(t, check.Config{Path: place(t, "sound"), Inputs: inputs, Long: long, Slack: slackOfSound}); !r.OK() {
		_, seen := came(r, check.Fail)
		t.Errorf("failed:\n%s", seen)
	}
}
