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
	"strings"
	"syscall"
	"testing"

	"geomill/host/internal/plugin/sandbox"
)

// pythonWith returns the Python of the tests, if it has some modules for a user;
// nil: that of the tests.
func pythonWith(t testing.TB, user *syscall.Credential, modules string) string {
	t.Helper()
	python := os.Getenv("GEOMILL_TEST_PYTHON")
	if python == "" {
		t.Skip("NOT TESTED: GEOMILL_TEST_PYTHON names no python3 with the SDK")
	}
	try := exec.Command(python, "-c", "import "+modules)
	try.Dir, try.SysProcAttr = "/", &syscall.SysProcAttr{Credential: user}
	if out, err := try.CombinedOutput(); err != nil {
		t.Skipf("NOT TESTED: %s cannot import %s for that user: %v\n%s", python, modules, err, out)
	}
	return python
}

// placePython puts a plugin of testdata/python into a directory of plugins, with a
// first line.
func placePython(t testing.TB, dir, name, line string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "python", name))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(text, []byte("\n"))
	at := filepath.Join(dir, "plugins")
	if err := errors.Join(os.MkdirAll(at, 0o755), os.WriteFile(filepath.Join(at, name), append([]byte("#!"+line+"\n"), rest...), 0o755)); err != nil {
		t.Fatal(err)
	}
}

// TestPythonDoesItsWorkInTheSandbox has a plugin do what libraries do, and looks
// what of it is refused.
func TestPythonDoesItsWorkInTheSandbox(t *testing.T) {
	t.Parallel()
	const (
		strict = "sandbox: strict\n"
		uids   = "plugin-uids: 232200-232299\n"
		shared = "plugin-config: {able: {write: [/dev/shm]}}\n"
	)
	nobody := &syscall.Credential{Uid: 65534, Gid: 65534}
	for name, c := range map[string]struct {
		user    *syscall.Credential
		config  string
		refused []string
	}{
		"by default":             {nil, "", []string{"shared_memory", "processes"}},
		"strict":                 {nil, strict, []string{"shared_memory", "processes"}},
		"strict, with memory":    {nil, strict + shared, nil},
		"an ordinary user":       {nobody, strict, []string{"shared_memory", "processes"}},
		"the same, with memory":  {nobody, strict + shared, nil},
		"users of plugins":       {nil, strict + uids, []string{"shared_memory", "processes"}},
		"the same, with memory ": {nil, strict + uids + shared, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if m := sandbox.Probe().Complaint(); m != "" {
				t.Skip("NOT TESTED: this machine lacks " + m)
			}
			reader := c.user
			if strings.Contains(c.config, uids) {
				ownUsers(t)
				reader = &syscall.Credential{Uid: 232200, Gid: 232200}
			}
			if reader != nil && os.Geteuid() != 0 {
				t.Skip("NOT TESTED: only root starts a host as another user")
			}
			python := pythonWith(t, reader, "geomill")
			dir := passable(t, c.user)
			placePython(t, dir, "able", python)
			able(t, startPythonHost(t, c.user, dir, c.config), c.refused)
		})
	}
}

// TestPythonOfTheSystemDoesItsWorkInTheSandbox has the packages elsewhere, where
// the operator allows them.
func TestPythonOfTheSystemDoesItsWorkInTheSandbox(t *testing.T) {
	t.Parallel()
	python := pythonWith(t, nil, "geomill")
	const where = "import sys, geomill, grpc, os; print(*dict.fromkeys(os.path.dirname(os.path.dirname(m.__file__)) for m in (geomill, grpc)), sep='\\n'); print('%d.%d' % sys.version_info[:2])"
	out, err := exec.Command(python, "-c", where).Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(string(out))
	paths, version := lines[:len(lines)-1], lines[len(lines)-1]
	const system = "/usr/bin/python3"
	if out, err := exec.Command(system, "-c", "import sys; print('%d.%d' % sys.version_info[:2])").Output(); err != nil || strings.TrimSpace(string(out)) != version {
		t.Skipf("NOT TESTED: %s is not of version %s: %s, %v", system, version, out, err)
	}
	line := "/usr/bin/env -S PYTHONPATH=" + strings.Join(paths, ":") + " python3"
	if len(line) > 240 || strings.ContainsAny(strings.Join(paths, ""), " '\"") {
		t.Skip("NOT TESTED: the paths do not fit into a first line")
	}
	dir := t.TempDir()
	placePython(t, dir, "able", line)
	config := filepath.Join(dir, "geomill.yaml")
	if err := os.WriteFile(config, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	list := exec.Command(filepath.Join(built(t), "geomill"), "plugins", "--plugins", filepath.Join(dir, "plugins"), "--data", filepath.Join(dir, "listed"))
	if out, _ := list.CombinedOutput(); !strings.Contains(string(out), "plugin-config.able.read must list where") {
		t.Errorf("without its packages it is refused with\n%s", out)
	}
	able(t, startPythonHost(t, nil, dir, fmt.Sprintf("plugin-config: {able: {read: [%s], write: [/dev/shm]}}\n", strings.Join(paths, ", "))), nil)
}

// passable returns a directory that a user can work in; nil: that of the tests.
func passable(t *testing.T, user *syscall.Credential) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o711); err != nil {
		t.Fatal(err)
	}
	if user != nil {
		if err := os.Chown(dir, int(user.Uid), int(user.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func startPythonHost(t *testing.T, user *syscall.Credential, dir, config string) *web {
	t.Helper()
	file := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	if user != nil { // who reads the executable that the tests have built
		if err := os.Chmod(built(t), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return newWeb(t, startServerAs(t, user, dir, nil, "--config", file).url)
}

// able runs all that the plugin tries; the named ones must be refused, all others
// work.
func able(t *testing.T, c *web, refused []string) {
	t.Helper()
	var tried map[string]string
	if err := json.Unmarshal(c.must(t, 200, "POST", "/processes/able/execution", `{"inputs":{}}`).body, &tried); err != nil {
		t.Fatal(err)
	}
	expected := map[string]bool{}
	for _, name := range refused {
		expected[name] = true
	}
	delete(tried, "user")
	if len(tried) < 10 {
		t.Errorf("tried only %v", tried)
	}
	for name, wrong := range tried {
		switch {
		case wrong == "absent":
			t.Logf("NOT TESTED: %s is not installed", name)
		case expected[name] && !strings.Contains(wrong, "ermission denied"), !expected[name] && wrong != "":
			t.Errorf("%s: %q", name, wrong)
		}
	}
}

// TestBusyPythonEndsWithItsHost kills the host while jobs of a plugin do not
// listen, one of them so that no thread of Python runs.
func TestBusyPythonEndsWithItsHost(t *testing.T) {
	t.Parallel()
	python := pythonWith(t, nil, "geomill")
	for _, hows := range [][]string{{"sleep"}, {"spin"}, {"lock"}, {"program"}, {"child"}, {"sleep", "program", "child", "lock"}} {
		for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
			t.Run(strings.Join(hows, " ")+" "+signal.String(), func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				placePython(t, dir, "busy", python)
				s := startServer(t, dir, nil, "--drain", "10ms")
				c := newWeb(t, s.url)
				for i, how := range hows {
					c.submit(t, "busy", fmt.Sprintf(`{"how":%q}`, how))
					eventually(t, func() error {
						if n := begun(s.data()); n <= i {
							return fmt.Errorf("%d of %d jobs have begun", n, i+1)
						}
						return nil
					})
				}
				_ = s.end(t, signal)
				s.leavesNothing(t)
			})
		}
	}
}

// begun returns how many jobs of the busy plugin have begun.
func begun(data string) int {
	n := 0
	_ = filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error { // what goes away meanwhile does not count
		if err == nil && d.Name() == "begun" {
			n++
		}
		return nil
	})
	return n
}
