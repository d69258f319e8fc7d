package plugin

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"geomill/host/internal/job"
	"geomill/host/internal/plugin/sandbox"

	"go.uber.org/goleak"
)

// misdeed is a job that does what no job should.
type misdeed struct {
	process string
	what    string // for trespass
	path    func(t *testing.T, b *bench) string
	limits  Limits
	dismiss bool // it is dismissed once it runs

	harmless bool            // it ends well
	kind     job.FailureKind // else
	detail   string          // in what its client is told
	crash    bool            // its instance is gone
}

// misdeeds has what a plugin may do to its host and to others while it runs jobs.
// MISBEHAVIOUR.md says where the rest is tested.
func misdeeds() map[string]misdeed {
	lost := func(process, detail string) misdeed {
		return misdeed{process: process, kind: job.PluginDied, detail: detail, crash: true}
	}
	broken := func(process, detail string) misdeed {
		return misdeed{process: process, kind: job.ContractBroken, detail: detail}
	}
	elsewhere := func(what string, path func(t *testing.T, b *bench) string) misdeed {
		return misdeed{process: "trespass", what: what, path: path, kind: job.ProcessFailed, detail: "not permitted|permission denied|text file busy|not supported"}
	}
	return map[string]misdeed{
		"exits":                 lost("exit", "ended unexpectedly (exit status 2)"),
		"panics":                lost("panic", "ended unexpectedly (exit status 2)"),
		"stops itself":          lost("freeze", errWedged.Error()),
		"panics in its handler": {process: "boom", kind: job.ProcessFailed, detail: "the process crashed inside its plugin"},
		"leaks memory":          {process: "leak", limits: Limits{Limits: job.Limits{Memory: 128 << 20}}, kind: job.OutOfMemory, detail: "128 MiB"},
		"names its files in its error": {process: "hugefile", limits: Limits{Limits: job.Limits{Directory: 4 << 20}},
			kind: job.LimitExceeded, detail: "write [job]/"},
		"is a fork bomb":              {process: "bomb", limits: Limits{Processes: 20}, kind: job.LimitExceeded, detail: "processes"},
		"ignores its cancellation":    {process: "deaf", dismiss: true},
		"leaves processes behind":     {process: "brood-deaf", dismiss: true},
		"leaves one with its stderr":  {process: "grandchild", harmless: true},
		"writes a line of a megabyte": {process: "flood", harmless: true},
		"writes anything anywhere":    {process: "shout", harmless: true},

		"sends a message that is too large":   lost("giant", "it sent a message of more than 16 MiB"),
		"ends its session":                    lost("hangup", errCutOff.Error()),
		"sends 20 MiB inside the session":     {process: "heavy", harmless: true},
		"floods with log and progress":        {process: "storm", harmless: true},
		"ends its job twice":                  {process: "encore", harmless: true},
		"says that it succeeded, and no more": {process: "nothing", harmless: true},
		"hands over a file that is not there": broken("nowhere", "out"),
		"hands over a symbolic link":          broken("link", "out"),
		"hands over a file of somebody else":  broken("outside", "out"),
		"hands over what is not JSON":         broken("mumble", "not valid JSON"),

		"reads files of another job": elsewhere("read", func(t *testing.T, b *bench) string { return foreign(t, b.cfg.WorkDir) }),
		"writes to another job":      elsewhere("write", func(t *testing.T, b *bench) string { return foreign(t, b.cfg.WorkDir) }),
		"writes to its own file":     elsewhere("write", func(_ *testing.T, b *bench) string { return filepath.Join(b.dir, "chaos") }),
		"drops a plugin":             elsewhere("write", func(_ *testing.T, b *bench) string { return filepath.Join(b.dir, "another") }),
		"writes to /tmp":             elsewhere("write", func(t *testing.T, _ *bench) string { return filepath.Join(t.TempDir(), "file") }),
		"reads the host's password":  elsewhere("read", func(*testing.T, *bench) string { return "/etc/shadow" }),
		"connects out":               elsewhere("dial", listening),
	}
}

// foreign is a file of a job that runs elsewhere.
func foreign(t *testing.T, work string) string {
	t.Helper()
	dir := filepath.Join(work, "other", "1")
	path := filepath.Join(dir, "secret")
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(path, []byte("secret"), 0o600)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(filepath.Dir(dir)) })
	return path
}

// listening is the address of somebody on this machine.
func listening(t *testing.T, _ *bench) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// TestWhateverAJobDoesItHarmsNoOther has jobs do it: each ends as it should and
// its client is told why, the job of another plugin that runs meanwhile ends
// well, the next job of the same plugin too, and nothing is left. Not parallel:
// it counts what the whole test process holds.
func TestWhateverAJobDoesItHarmsNoOther(t *testing.T) {
	missing := sandbox.Probe().Complaint()
	run := func(t *testing.T, m misdeed) {
		if m.process == "trespass" && missing != "" {
			t.Skip("NOT TESTED: this machine lacks " + missing)
		}
		cfg := quick(t)
		flag := filepath.Join(cfg.Dir, "..", "flag")
		cfg.Env = []string{"CHAOS_FLAG=" + flag}
		cfg.Private = []string{filepath.Dir(cfg.Dir)}
		cfg.Options = func(string) Options { return Options{Limits: m.limits} }
		install(t, cfg.Dir, "chaos", "")
		install(t, cfg.Dir, "patient-neighbour", "")
		install(t, cfg.Dir, "rogue", "")
		b := serve(t, cfg)
		neighbour, _ := b.background("patient-neighbour")
		b.commit(m)
		for _, next := range []string{"echo", "encore"} {
			if _, err := b.run(t.Context(), next); err != nil {
				t.Errorf("the next job: %v", err)
			}
		}
		if err := os.WriteFile(flag, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := <-neighbour; err != nil {
			t.Errorf("the job of another plugin: %v", err)
		}
		b.stop()
		b.leavesNothing()
	}
	all := misdeeds()
	t.Run("warm up", func(t *testing.T) { run(t, all["exits"]) }) // opens what stays open
	before, running := descriptors(t), goleak.IgnoreCurrent()
	for name, m := range all {
		t.Run(name, func(t *testing.T) { run(t, m) })
	}
	leavesAsMuch(t, before, running)
}

// commit runs a misdeed and looks at how it ends.
func (b *bench) commit(m misdeed) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 2*patience)
	defer cancel()
	if m.dismiss {
		done, dismiss := b.background(m.process)
		dismiss()
		if err := <-done; !errors.Is(err, job.ErrDismissed) {
			b.t.Errorf("it ended with %v", err)
		}
		return
	}
	in := map[string]job.Value{}
	if m.what != "" {
		in["what"], in["path"] = job.Value{Data: []byte(m.what)}, job.Value{Data: []byte(m.path(b.t.(*testing.T), b))}
	}
	_, err := b.runWith(ctx, m.process, in, 200*time.Millisecond)
	if m.harmless {
		if err != nil {
			b.t.Error(err)
		}
		return
	}
	f, ok := errors.AsType[*job.Failure](err)
	if !ok || f.Kind != m.kind || !containsOne(f.Detail, m.detail) {
		b.t.Fatalf("it ended with %#v, want %s with %q", err, m.kind, m.detail)
	}
	if strings.Contains(f.Detail, filepath.Dir(b.dir)+"/plugins") || strings.Contains(f.Detail, b.cfg.WorkDir) {
		b.t.Errorf("its client is told where the host keeps its files: %s", f.Detail)
	}
}

// containsOne reports whether a text has one of the alternatives.
func containsOne(text, alternatives string) bool {
	for one := range strings.SplitSeq(alternatives, "|") {
		if strings.Contains(text, one) {
			return true
		}
	}
	return false
}

// leavesNothing looks for what a host that has stopped left: processes, files of
// jobs, sockets.
func (b *bench) leavesNothing() {
	b.t.Helper()
	eventually(b.t, "the end of all processes", func() bool { return len(marked(b.host.runDir.path)) == 0 })
	for _, dir := range []string{b.cfg.WorkDir, b.cfg.RunDir, filepath.Join(filepath.Dir(b.dir), "jobs")} {
		left, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			b.t.Error(err)
		}
		for _, e := range left {
			if e.Name() != "other" { // of the test
				b.t.Errorf("%s is left in %s", e.Name(), filepath.Base(dir))
			}
		}
	}
}

// TestWhatAPluginSaysOfItselfIsChecked has plugins lie in their descriptions.
func TestWhatAPluginSaysOfItselfIsChecked(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	flag := filepath.Join(cfg.Dir, "..", "flag")
	cfg.Env = []string{"CHAOS_FLAG=" + flag}
	cfg.Admissions = 4
	want := map[string]string{
		"rogue-nameless":    `the name "../../etc"`,
		"rogue-versionless": "the version \"999",
		"rogue-twice":       "twice",
		"rogue-broken":      "description",
		"rogue-huge":        "larger",
		"rogue-path":        "process id",
	}
	for name := range want {
		install(t, cfg.Dir, name, "")
	}
	install(t, cfg.Dir, "rogue-other", "")
	install(t, cfg.Dir, "chaos", "")
	b := serve(t, cfg)
	for name, reason := range want {
		s := b.status(name)
		text := s.Reason
		for _, p := range s.Processes {
			text += p.Reason
		}
		if !strings.Contains(text, reason) || len(text) > 1000 {
			t.Errorf("%s: %s, %.1000q; want %q", name, s.State, text, reason)
		}
	}
	if err := os.WriteFile(flag, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := b.run(t.Context(), "first")
	if f := failureOf(t, err); f.Kind != job.ContractBroken || f.Detail != "the plugin does not know the process that it offers" {
		t.Errorf("a process that is no longer there: %+v", f)
	}
	if _, err := b.run(t.Context(), "echo"); err != nil {
		t.Errorf("a job of another plugin: %v", err)
	}
}

// TestTheTestsThatTheTableNamesAreThere keeps its table true.
func TestTheTestsThatTheTableNamesAreThere(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("MISBEHAVIOUR.md")
	if err != nil {
		t.Fatal(err)
	}
	var tests strings.Builder
	for _, pattern := range []string{"*_test.go", "*/*_test.go", "../../*_test.go", "../../../sdk/wire/*_test.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			tests.Write(b)
		}
	}
	names := regexp.MustCompile("`(Test[A-Za-z0-9]+)`").FindAllStringSubmatch(string(text), -1)
	if len(names) == 0 {
		t.Error("it names none")
	}
	for _, name := range names {
		if !strings.Contains(tests.String(), "func "+name[1]+"(") {
			t.Errorf("there is no %s", name[1])
		}
	}
}
