package plugin

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"geomill/host/internal/job"
	"geomill/host/internal/plugin/sandbox"
	"geomill/host/internal/plugin/users"
)

// withUsers is quick for plugins with users of their own.
func withUsers(t *testing.T) Config {
	t.Helper()
	within := users.Range{First: 231000, Last: 231099}
	if err := sandbox.ProbeUsers(within.First, within.Last); err != nil {
		t.Skipf("NOT TESTED: plugins cannot have users of their own: %v", err)
	}
	cfg := quick(t)
	base := filepath.Dir(cfg.Dir)
	if err := os.Chmod(base, passable); err != nil {
		t.Fatal(err)
	}
	cfg.Users, cfg.UsersFile, cfg.KeepDir = within, filepath.Join(base, "users.json"), filepath.Join(base, "previous")
	return cfg
}

// ownerOfFile returns the user and the mode of what is at a path.
func ownerOfFile(t *testing.T, path string) (int, os.FileMode) {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return ownerOf(info), info.Mode().Perm()
}

// statusOf reads a line of a process's status.
func statusOf(t *testing.T, pid int, key string) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, key+":"); ok {
			return strings.Join(strings.Fields(value), " ")
		}
	}
	return ""
}

func TestPluginsRunAsUsersOfTheirOwn(t *testing.T) {
	t.Parallel()
	cfg := withUsers(t)
	install(t, cfg.Dir, "chaos", "")
	b := serve(t, cfg)
	a, err := b.run(t.Context(), "echo")
	if err != nil {
		t.Fatal(err)
	}
	uid := strconv.Itoa(b.status("chaos").UID)
	four := strings.Join([]string{uid, uid, uid, uid}, " ")
	for key, want := range map[string]string{
		"Uid": four, "Gid": four, "Groups": "", "NoNewPrivs": "1", "CapEff": "0000000000000000", "CapPrm": "0000000000000000", "CapBnd": "0000000000000000",
	} {
		if got := statusOf(t, a.PID, key); got != want {
			t.Errorf("%s of the plugin is %q, want %q", key, got, want)
		}
	}
	if uid == "0" || statusOf(t, os.Getpid(), "Uid") != "0 0 0 0" {
		t.Errorf("plugin %s, host %s", uid, statusOf(t, os.Getpid(), "Uid"))
	}
	b.stop()
	again := serve(t, cfg)
	if got := strconv.Itoa(again.status("chaos").UID); got != uid {
		t.Errorf("after a restart it has %s, before %s", got, uid)
	}
}

func TestUserOfAPluginHoldsWithoutASandbox(t *testing.T) {
	t.Parallel()
	cfg := withUsers(t)
	cfg.Options = func(string) Options { return Options{Sandbox: sandbox.Off, Limits: Limits{Processes: 64, Files: 512}} }
	install(t, cfg.Dir, "chaos", "")
	b := serve(t, cfg)
	a, err := b.run(t.Context(), "echo")
	if err != nil {
		t.Fatal(err)
	}
	if uid := strconv.Itoa(b.status("chaos").UID); !strings.HasPrefix(statusOf(t, a.PID, "Uid"), uid+" ") || statusOf(t, a.PID, "CapEff") != "0000000000000000" {
		t.Errorf("it runs as %s with %s, want %s", statusOf(t, a.PID, "Uid"), statusOf(t, a.PID, "CapEff"), uid)
	}
}

func TestUserOfAPluginHasTheFilesOfItsJobs(t *testing.T) {
	t.Parallel()
	cfg := withUsers(t)
	install(t, cfg.Dir, "chaos", "")
	b := serve(t, cfg)
	for _, id := range []string{"look", "look-alone", "look-once"} {
		a, f, err := b.looks(id, withFile(t))
		if err != nil || f.Input != "large" {
			t.Fatalf("%s: %+v, %v", id, f, err)
		}
		for _, name := range []string{"1/in/content", "1/trace", "checkpoint/trace"} {
			if !exists(filepath.Join(a.JobDir, name)) {
				t.Errorf("%s: %s is not at home", id, name)
			}
		}
		// The next attempt finds what this one has left.
		_, f, err = b.looks(id, func(next *job.Attempt) { p := next.Process; *next = a; next.Process = p })
		if err != nil || f.Input != "large" {
			t.Errorf("%s: the second attempt: %+v, %v", id, f, err)
		}
	}
}

func TestLargeInputInMemoryReachesAPluginWithAUserOfItsOwn(t *testing.T) {
	t.Parallel()
	cfg := withUsers(t)
	install(t, cfg.Dir, "chaos", "")
	b := serve(t, cfg)
	large := strings.Repeat("x", 2<<20)
	a, err := b.runWith(t.Context(), "look", map[string]job.Value{"content": {Data: []byte(large)}}, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	// What it says of its input is large, too.
	if text, err := os.ReadFile(a.raw["out"].File); err != nil || !strings.Contains(string(text), large) {
		t.Errorf("it says %d bytes of its input, %v", len(text), err)
	}
}

func TestOutputOfAPluginWithAUserOfItsOwnIsTheHosts(t *testing.T) {
	t.Parallel()
	cfg := withUsers(t)
	cfg.Options = func(string) Options { return Options{Sandbox: sandbox.Off} } // its user alone must do
	install(t, cfg.Dir, "chaos", "")
	b := serve(t, cfg)
	a, err := b.run(t.Context(), "cling")
	if err != nil {
		t.Fatal(err)
	}
	file := a.raw["out"].File
	for path, want := range map[string]os.FileMode{file: 0o600, filepath.Dir(file): 0o700} {
		if uid, mode := ownerOfFile(t, path); uid != os.Geteuid() || mode != want {
			t.Errorf("%s is that of %d with mode %o", path, uid, mode)
		}
	}
	a, err = b.runWith(t.Context(), "cling", map[string]job.Value{"change": {Data: []byte("now")}}, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	var tried map[string]string
	if err := json.Unmarshal(a.raw["out"].JSON, &tried); err != nil {
		t.Fatal(err)
	}
	if tried["reopened"] == "" || tried["exchanged"] == "" || tried["mode"] == "" {
		t.Errorf("it could change the file: %v", tried)
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != "result" {
		t.Errorf("the result is now %q, %v", got, err)
	}
}

// TestPluginsWithUsersOfTheirOwnAreKeptApart looks at what their users alone are
// good for, and at all layers together.
func TestPluginsWithUsersOfTheirOwnAreKeptApart(t *testing.T) {
	t.Parallel()
	for _, mode := range []sandbox.Mode{sandbox.Off, sandbox.On} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			keptApart(t, mode)
		})
	}
}

func keptApart(t *testing.T, mode sandbox.Mode) {
	cfg := withUsers(t)
	cfg.Options = func(string) Options { return Options{Sandbox: mode} }
	install(t, cfg.Dir, "solo-a", "")
	install(t, cfg.Dir, "chaos", "")
	b := serve(t, cfg)
	a, err := b.run(t.Context(), "solo-a")
	if err != nil {
		t.Fatal(err)
	}
	one, other := b.status("solo-a").UID, b.status("chaos").UID
	if one == 0 || other == 0 || one == other {
		t.Fatalf("users %d and %d", one, other)
	}
	sockets, err := filepath.Glob(filepath.Join(cfg.RunDir, "h*", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	socket, work := "", ""
	for _, path := range sockets {
		if info, err := os.Lstat(path); err == nil && info.Mode().Type() == os.ModeSocket && ownerOf(info) == one {
			socket = path
		}
	}
	dirs, err := os.ReadDir(cfg.WorkDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		if uid, _ := ownerOfFile(t, filepath.Join(cfg.WorkDir, d.Name())); uid == one {
			work = filepath.Join(cfg.WorkDir, d.Name())
		}
	}
	if socket == "" || work == "" {
		t.Fatalf("socket %q, directory %q", socket, work)
	}
	in := map[string]job.Value{
		"pid": {Data: []byte(strconv.Itoa(a.PID))}, "list": {Data: []byte(cfg.WorkDir)}, "work": {Data: []byte(work)}, "socket": {Data: []byte(socket)},
	}
	got, err := b.runWith(t.Context(), "neighbour", in, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	var tried map[string]string
	if err := json.Unmarshal(got.raw["out"].JSON, &tried); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%d:%d", other, other); tried["user"] != want {
		t.Errorf("the neighbour is %s, want %s", tried["user"], want)
	}
	delete(tried, "user")
	for act, result := range maps.All(tried) {
		if !strings.Contains(result, "not permitted") && !strings.Contains(result, "denied") {
			t.Errorf("%s: %q", act, result)
		}
	}
	if len(tried) != 6 {
		t.Errorf("tried: %v", tried)
	}
}

func TestPluginThatItsUserMayNotExecuteIsRefused(t *testing.T) {
	t.Parallel()
	cfg := withUsers(t)
	if err := os.Chmod(install(t, cfg.Dir, "chaos", ""), 0o700); err != nil {
		t.Fatal(err)
	}
	b := serve(t, cfg)
	if s := b.status("chaos"); s.State != StateRefused || !strings.Contains(s.Reason, "chmod o+rx") {
		t.Errorf("%s: %q", s.State, s.Reason)
	}
}

func TestProgramThatAUserMayNotExecuteIsNamed(t *testing.T) {
	t.Parallel()
	cfg := withUsers(t)
	cfg.Program = install(t, filepath.Dir(cfg.Dir), "program", "")
	if err := os.Chmod(cfg.Program, 0o700); err != nil {
		t.Fatal(err)
	}
	place(t, cfg.Dir, "a.yaml", []byte(aManifest), 0o644)
	b := serve(t, cfg)
	if s := b.status("a.yaml"); s.State != StateRefused || !strings.Contains(s.Reason, "chmod o+x "+cfg.Program) {
		t.Errorf("%s: %q", s.State, s.Reason)
	}
}

func TestScriptRunsAsAUserOfItsOwn(t *testing.T) {
	t.Parallel()
	cfg := withUsers(t)
	place(t, cfg.Dir, "script", []byte("#!/bin/sh\n[ \"$USER $LOGNAME\" = \"plugin-$(id -u) plugin-$(id -u)\" ] && exec "+chaos+"\n"), 0o755)
	b := serve(t, cfg)
	if _, err := b.run(t.Context(), "echo"); err != nil {
		t.Error(err)
	}
}

func TestNothingOfAPluginWithAUserOfItsOwnIsLeft(t *testing.T) {
	t.Parallel()
	cfg := withUsers(t)
	install(t, cfg.Dir, "chaos", "")
	b := serve(t, cfg)
	a, err := b.run(t.Context(), "grandchild")
	if err != nil {
		t.Fatal(err)
	}
	b.stop()
	eventually(t, "end of what the plugin has started", func() bool { return gone(a.PID) })
	for _, dir := range []string{cfg.WorkDir, cfg.RunDir} {
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("left in %s: %v, %v", dir, left, err)
		}
	}
}

func TestDirectoriesThatPluginsCannotPassAreNamed(t *testing.T) {
	t.Parallel()
	cfg := withUsers(t)
	closed := filepath.Join(filepath.Dir(cfg.Dir), "closed")
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	cfg.WorkDir, cfg.Log = filepath.Join(closed, "data", "work"), quiet()
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Open(); err == nil || !strings.Contains(err.Error(), "chmod o+x") || !strings.Contains(err.Error(), closed) {
		t.Errorf("opened with %v", err)
	}
}

func TestUsersAreAskedForByRootOnly(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		t.Skip("NOT TESTED: this user is root")
	}
	cfg := quick(t)
	cfg.Users, cfg.Log = users.Range{First: 231000, Last: 231001}, quiet()
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Open(); err == nil || !strings.Contains(err.Error(), "root") {
		t.Errorf("opened with %v", err)
	}
}

func TestLinksAreNotGivenToTheUserOfAPlugin(t *testing.T) {
	t.Parallel()
	const uid = 231050
	if err := sandbox.ProbeUsers(uid, uid); err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	dir := t.TempDir()
	secret, own := filepath.Join(dir, "secret"), filepath.Join(dir, "job")
	if err := errors.Join(os.Mkdir(own, 0o700), os.WriteFile(secret, nil, 0o600), os.WriteFile(filepath.Join(own, "input"), nil, 0o600),
		os.Symlink(secret, filepath.Join(own, "link")), os.Link(secret, filepath.Join(own, "name")), syscall.Mkfifo(filepath.Join(own, "pipe"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := giveAll(uid, own); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{secret: 0, own: uid, filepath.Join(own, "input"): uid, filepath.Join(own, "name"): 0} {
		if got, _ := ownerOfFile(t, path); got != want {
			t.Errorf("%s is that of %d, want %d", path, got, want)
		}
	}
}
