package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"geomill/host"
)

// Every plugin that comes with the project keeps the contract, whatever it is
// made with.
func TestPluginsOfTheProjectKeepTheContract(t *testing.T) {
	t.Parallel()
	plugins := map[string]string{"go-greeter": filepath.Join(built, "go-greeter")}
	bundled, err := os.ReadDir(filepath.Join(built, "plugins"))
	if err != nil || len(bundled) == 0 {
		t.Fatal("no bundled plugins", err)
	}
	for _, file := range bundled {
		plugins[file.Name()] = filepath.Join(built, "plugins", file.Name())
	}
	examples := filepath.Join("..", "..", "..", "examples")
	plugins["text-tools.yaml"] = interpreted(t, filepath.Join(examples, "command", "text-tools.yaml"), filepath.Join(built, "geomill")+" manifest")
	python := os.Getenv("GEOMILL_TEST_PYTHON")
	for file, needs := range map[string]string{"python-hello/python-hello": "grpc", "python-sdk/greeter": "geomill"} {
		if python == "" || exec.Command(python, "-c", "import "+needs).Run() != nil {
			t.Logf("NOT TESTED: %s; GEOMILL_TEST_PYTHON names no python3 that has %s", file, needs)
			continue
		}
		plugins[filepath.Base(file)] = interpreted(t, filepath.Join(examples, filepath.FromSlash(file)), python)
	}
	for name, path := range plugins {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out, errs bytes.Buffer
			code := run([]string{"plugin", "check", "--json", "--slack", "8", "--timeout", "10m", path}, &out, &errs)
			var report host.PluginReport
			if err := json.Unmarshal(out.Bytes(), &report); err != nil {
				t.Fatalf("%v\n%s", err, &errs)
			}
			for _, result := range report.Results {
				if result.Outcome != "pass" {
					t.Logf("%s %s: %s", result.Outcome, result.ID, result.Seen)
				}
			}
			if code != 0 || !report.OK() {
				t.Errorf("exit code %d: %s", code, &errs)
			}
		})
	}
}

// interpreted copies a script with another first line.
func interpreted(t *testing.T, script, interpreter string) string {
	t.Helper()
	text, err := os.ReadFile(script)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(text, []byte("\n"))
	path := filepath.Join(t.TempDir(), filepath.Base(script))
	// A program that is open for writing does not start, and a fork for another test
	// keeps it open for a moment.
	syscall.ForkLock.RLock()
	err = os.WriteFile(path, append([]byte("#!"+interpreter+"\n"), rest...), 0o755)
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	return path
}
