package host_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"geomill/host/internal/plugin/sandbox"
)

// TestPythonThatDoesNotServeSaysWhatToDo lets every kind of mistake be found by
// the commands that an operator and an author have.
func TestPythonThatDoesNotServeSaysWhatToDo(t *testing.T) {
	t.Parallel()
	python := pythonWith(t, nil, "geomill")
	private := filepath.Join(t.TempDir(), "private")
	if err := os.WriteFile(private, []byte("a"), 0o600); err != nil {
		t.Fatal(err)
	}
	const a = "from geomill import process, serve\n@process\ndef a() -> str:\n    return ''\n"
	rows := map[string]struct{ line, text, want string }{
		"interpreter": {"/nowhere/python3", "", `its interpreter /nowhere/python3 does not exist: install it, or name another in the first line`},
		"by-env":      {"/usr/bin/env python3.999", "", `its interpreter python3\.999 is not in .*: install it there`},
		"package":     {python, "import no_such_package.io\n", `its Python, .*, has no package no_such_package: install it there \(.* -m pip install PACKAGE\)`},
		"sdk":         {python, "import sys\nsys.path[:] = [p for p in sys.path if 'packages' not in p and 'src' not in p]\nimport geomill\n", `has no package geomill: install it there \(.* -m pip install CHECKOUT/sdk/python\)`},
		"grpcio":      {python, a + "import sys\nsys.modules['grpc'] = None\nserve(a, name='a', version='1.0.0')\n", `its Python, .*, has no usable package grpcio \(.*\): install it there`},
		"syntax":      {python, a + "def b( -> str:\n", `line 6 of it is not Python \(def b\( -> str:\): .*: correct it`},
		"exception":   {python, a + "{}['key']\n", `line 6 of it \(\{\}\['key'\]\) raised KeyError: 'key'; correct it`},
		"no-process":  {python, a + "serve(name='a', version='1.0.0')\n", `line 6 of it .* raised ValueError: no processes: call serve with at least one`},
		"no-serve":    {python, a, `it ended without serving anything: call serve\(\.\.\.\) last`},
		"plain":       {python, a + "serve(lambda: 1, name='a', version='1.0.0')\n", `raised TypeError: <lambda> is not a process: write @process above it`},
		"same-id":     {python, a + "serve(a, a, name='a', version='1.0.0')\n", `raised ValueError: two processes have the id 'a': give one another`},
		"denied":      {python, "open('" + private + "')\n", `raised PermissionError: .*` + private},
	}
	if bridge := filepath.Join(filepath.Dir(python), "geomill-pygeoapi"); exec.Command(python, "-c", "import geomill_pygeoapi").Run() == nil {
		rows["bridge"] = struct{ line, text, want string }{bridge, "server: {}\n", `(?m:the configuration has no mapping named resources, with a process for each key$)`}
	} else {
		t.Log("NOT TESTED: a wrong configuration of pygeoapi; its bridge is not installed")
	}
	if m := sandbox.Probe().Complaint(); m != "" {
		t.Log("NOT TESTED: what the sandbox refuses; this machine lacks " + m)
		delete(rows, "denied")
	}
	dir := t.TempDir()
	for name, row := range rows {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!"+row.line+"\n"+row.text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	data := t.TempDir()
	listed := output(t, "plugins", "--plugins", dir, "--data", data)
	for name, row := range rows {
		want := regexp.MustCompile(`(?m)^` + name + `: .*` + row.want + `.*$`)
		if !want.MatchString(listed) {
			t.Errorf("%s: plugins lacks %s:\n%s", name, want, grep(listed, name+": "))
		}
		checked := output(t, "plugin", "check", filepath.Join(dir, name))
		if name != "denied" && !regexp.MustCompile(row.want).MatchString(checked) && name != "by-env" {
			t.Errorf("%s: plugin check does not say %s, but\n%s", name, row.want, checked)
		}
	}
	if _, tested := rows["denied"]; tested && !strings.Contains(listed, `plugin-config: {"denied": {read: ["`+private+`"]}}`) {
		t.Errorf("what would allow it is not named: %s", grep(listed, "denied: "))
	}
}

// output returns what the built program prints, whatever its exit status.
func output(t *testing.T, args ...string) string {
	t.Helper()
	var out strings.Builder
	cmd := exec.Command(filepath.Join(built(t), "geomill"), args...)
	cmd.Stdout = &out
	_ = cmd.Run() // it ends with 1 for what is wrong
	return out.String()
}

// grep returns the lines of a text that begin with something.
func grep(text, beginning string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, beginning) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}
