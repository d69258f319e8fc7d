package plugin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"geomill/host/internal/job"
	"geomill/host/internal/plugin/sandbox"
)

func TestStrictSandboxRefusesPluginsThatCannotBeConfined(t *testing.T) {
	t.Parallel()
	l := &launcher{machine: &sandbox.Machine{}}
	if r := l.refusal(Options{}); r != "" {
		t.Errorf("without strict: %s", r)
	}
	r := l.refusal(Options{Sandbox: sandbox.Strict})
	if !strings.Contains(r, "every layer") || !strings.Contains(r, "geomill doctor") {
		t.Errorf("refused with %q", r)
	}
}

func TestPluginThatMayNotReadItsPartsIsToldWhatToAllow(t *testing.T) {
	t.Parallel()
	for _, l := range sandbox.Probe().Missing() {
		if l.Name == "landlock-files" {
			t.Skip("NOT TESTED: this machine lacks Landlock: " + l.Reason)
		}
	}
	parts := filepath.Join(t.TempDir(), "parts")
	if err := os.WriteFile(parts, []byte("exec "+chaos+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	cfg := quick(t)
	allowed := Options{Read: []string{chaos, filepath.Dir(parts)}}
	cfg.Options = func(file string) Options {
		if file == "poor" {
			return Options{}
		}
		return allowed
	}
	for _, name := range []string{"poor", "rich"} {
		place(t, cfg.Dir, name, []byte("#!/bin/sh\n# "+name+"\n. "+parts+"\n"), 0o755)
	}
	b := serve(t, cfg)
	if s := b.status("poor"); s.State != StateRefused || !strings.Contains(s.Reason, "plugin-config.poor") {
		t.Errorf("poor: %s, %q", s.State, s.Reason)
	}
	if s := b.status("rich"); s.State == StateRefused {
		t.Errorf("rich: %s, %q", s.State, s.Reason)
	}
}

// TestPluginsAreConfined looks at a plugin from outside.
func TestPluginsAreConfined(t *testing.T) {
	t.Parallel()
	if m := sandbox.Probe().Complaint(); m != "" {
		t.Skip("NOT TESTED: this machine lacks " + m)
	}
	cfg := quick(t)
	install(t, cfg.Dir, "chaos", "")
	b := serve(t, cfg)
	a, err := b.run(t.Context(), "echo")
	if err != nil {
		t.Fatal(err)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", a.PID))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"NoNewPrivs:\t1\n", "Seccomp:\t2\n", "CapEff:\t0000000000000000\n", "CapPrm:\t0000000000000000\n"} {
		if !strings.Contains(string(status), want) {
			t.Errorf("status of the plugin lacks %q:\n%s", want, status)
		}
	}
	self, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(self), "NoNewPrivs:\t1\n") {
		t.Error("the host has confined itself")
	}
}

func TestStartThatFailsSaysWhyThroughTheSandbox(t *testing.T) {
	t.Parallel()
	m := sandbox.Probe()
	missing, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer missing.Close()
	if _, err := io.WriteString(missing, "no program"); err != nil {
		t.Fatal(err)
	}
	if err := missing.Chmod(0o755); err != nil {
		t.Fatal(err)
	}
	err = m.Start(&sandbox.Spec{Read: []string{filepath.Dir(missing.Name())}}, func() (int, error) {
		return 0, exec.Command(missing.Name()).Start()
	})
	if !errors.Is(err, syscall.ENOEXEC) && !errors.Is(err, syscall.ETXTBSY) {
		t.Errorf("started with %v", err)
	}
}

// aScript makes a plugin whose interpreter belongs to an environment in a
// directory that refers to others, and returns it with the file of references.
func aScript(t *testing.T, dir, home string) (exe *executable, references string) {
	t.Helper()
	python := filepath.Join(home, "bin", "python3")
	references = filepath.Join(home, "lib", "python3.11", "site-packages", "e.pth")
	if err := errors.Join(os.MkdirAll(filepath.Dir(references), 0o755), os.MkdirAll(filepath.Dir(python), 0o755),
		os.WriteFile(python, nil, 0o755), os.WriteFile(references, []byte("/srv/first\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	place(t, dir, "script", []byte("#!"+python+"\n"), 0o755)
	return opened(t, candidateAt(t, dir, "script")), references
}

// candidateAt returns the candidate with a name.
func candidateAt(t *testing.T, dir, name string) candidate {
	t.Helper()
	found, _, err := discover(dir, os.Geteuid())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range found {
		if c.file == name {
			return c
		}
	}
	t.Fatalf("no %s among %v", name, found)
	return candidate{}
}

func TestAPluginDoesNotChooseWhatItMayRead(t *testing.T) {
	t.Parallel()
	dir, elsewhere := t.TempDir(), t.TempDir()
	for name, c := range map[string]struct {
		home  string
		write []string
		want  bool
	}{
		"elsewhere":                    {filepath.Join(elsewhere, "venv"), nil, true},
		"elsewhere, beside its own":    {filepath.Join(elsewhere, "venv"), []string{filepath.Join(elsewhere, "other")}, true},
		"elsewhere, where it may":      {filepath.Join(elsewhere, "venv"), []string{elsewhere}, false},
		"among the plugins":            {filepath.Join(dir, "raster", "venv"), nil, false},
		"among the plugins, by a link": {filepath.Join(elsewhere, "link", "raster", "venv"), nil, false},
	} {
		if err := os.Symlink(dir, filepath.Join(elsewhere, "link")); err != nil && !errors.Is(err, os.ErrExist) {
			t.Fatal(err)
		}
		exe, _ := aScript(t, dir, c.home)
		l := &launcher{cfg: &Config{Dir: dir}}
		if got := l.spec(exe, Options{Write: c.write}, &workDir{}).Read; slices.Contains(got, "/srv/first") != c.want {
			t.Errorf("%s: may read what its environment refers to: %v", name, !c.want)
		}
	}
}

func TestAnInstallationIsLookedUpOncePerVersion(t *testing.T) {
	t.Parallel()
	dir, venv := t.TempDir(), filepath.Join(t.TempDir(), "venv")
	exe, references := aScript(t, dir, venv)
	l := &launcher{cfg: &Config{Dir: dir}}
	reads := func(exe *executable, path string) bool {
		return slices.Contains(l.spec(exe, Options{}, &workDir{}).Read, path)
	}
	if !reads(exe, "/srv/first") {
		t.Error("the first time it is not looked up")
	}
	if err := os.WriteFile(references, []byte("/srv/second\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if !reads(exe, "/srv/first") || reads(exe, "/srv/second") {
		t.Error("it is looked up at another start")
	}
	next, err := exe.clone()
	if err != nil {
		t.Fatal(err)
	}
	defer next.close()
	if reads(next, "/srv/first") || !reads(next, "/srv/second") {
		t.Error("it is not looked up for what is admitted anew")
	}
}

func TestAnInstallationIsLookedUpAgainAfterAStartThatFails(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	venv := filepath.Join(t.TempDir(), "venv")
	exe, _ := aScript(t, cfg.Dir, venv)
	b := serve(t, cfg)
	exe.installed.Store(&[]string{"/srv/before"})
	if _, err := b.host.launcher.dial(t.Context(), exe, Options{}); err == nil {
		t.Fatal("an empty file has started")
	}
	if got := exe.installed.Load(); got != nil {
		t.Errorf("still %v", *got)
	}
}

func TestHomeOfAPluginIsADirectoryBelowThatOfPluginsOnly(t *testing.T) {
	t.Parallel()
	plugins, elsewhere := t.TempDir(), t.TempDir()
	deep := filepath.Join(plugins, "raster", "1.0.0")
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{filepath.Join(plugins, "bare"), filepath.Join(deep, "plugin"), filepath.Join(elsewhere, "far")} {
		if err := os.WriteFile(file, nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(elsewhere, "far"), filepath.Join(plugins, "link")); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string][]string{
		filepath.Join(plugins, "bare"): nil, filepath.Join(plugins, "link"): nil, filepath.Join(deep, "plugin"): {deep}, "/nowhere": nil,
	} {
		if got := homeOf(path, plugins); strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("home of %s is %v, want %v", path, got, want)
		}
	}
}

func TestPluginSeesNoFilesOfOthers(t *testing.T) {
	t.Parallel()
	if m := sandbox.Probe().Complaint(); m != "" {
		t.Skip("NOT TESTED: this machine lacks " + m)
	}
	cfg := quick(t)
	data, allowed := filepath.Dir(cfg.Dir), t.TempDir()
	cfg.Private = []string{data}
	// What is listed does not reach into the host's own.
	cfg.Options = func(string) Options { return Options{Read: []string{"/"}, Write: []string{data, allowed}} }
	foreign := filepath.Join(cfg.WorkDir, "other", "job", "1", "secret")
	for _, path := range []string{foreign, filepath.Join(data, "store", "index"), filepath.Join(allowed, "open")} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("x"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	install(t, cfg.Dir, "chaos", "")
	b := serve(t, cfg)
	for path, want := range map[string]string{
		foreign: "permission denied", filepath.Join(data, "store", "index"): "permission denied", filepath.Join(allowed, "open"): "",
	} {
		a, err := b.runWith(t.Context(), "peek", map[string]job.Value{"path": {Data: []byte(path)}}, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		var got struct{ Reading, Writing string }
		if err := json.Unmarshal(a.raw["out"].JSON, &got); err != nil {
			t.Fatal(err)
		}
		for act, result := range map[string]string{"reading": got.Reading, "writing": got.Writing} {
			if !strings.HasSuffix(result, want) || want == "" && result != "" {
				t.Errorf("%s %s: %q, want %q", act, path, result, want)
			}
		}
	}
}
