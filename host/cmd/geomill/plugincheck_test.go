package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"geomill/host"
)

// examples is the directory with the plugins that others could have made.
var examples = filepath.Join("..", "..", "..", "examples")

// checkedAtOnce is how many plugins are checked beside one another: mostly the
// checker waits.
const checkedAtOnce = 6

// checked is a plugin that comes with the project.
type checked struct {
	path string
	args []string // for geomill plugin check
}

// Every plugin that comes with the project keeps the contract, whatever it is
// made with.
func TestPluginsOfTheProjectKeepTheContract(t *testing.T) {
	t.Parallel()
	plugins := map[string]checked{"go-greeter": {path: filepath.Join(built, "go-greeter")}}
	bundled, err := os.ReadDir(filepath.Join(built, "plugins"))
	if err != nil || len(bundled) == 0 {
		t.Fatal("no bundled plugins", err)
	}
	for _, file := range bundled {
		plugins[file.Name()] = checked{path: filepath.Join(built, "plugins", file.Name())}
	}
	addCommands(t, plugins)
	addPython(t, plugins)
	addNode(t, plugins)

	slots := make(chan struct{}, checkedAtOnce)
	reports := make(map[string]*string)
	var all sync.WaitGroup
	for name, plugin := range plugins {
		said := new(string)
		reports[name] = said
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			*said = plugin.check(t, name)
		})
	}
	all.Wait()
	for name, said := range reports {
		t.Run(name, func(t *testing.T) {
			if *said != "" {
				t.Error(*said)
			}
		})
	}
}

// check runs the checker and returns what failed.
func (c checked) check(t *testing.T, name string) string {
	var out, errs bytes.Buffer
	args := append([]string{"plugin", "check", "--json", "--slack", "8", "--timeout", "10m"}, c.args...)
	code := run(append(args, c.path), &out, &errs)
	var report host.PluginReport
	if err := json.Unmarshal(out.Bytes(), &report); err != nil {
		return fmt.Sprintf("%v\n%s", err, &errs)
	}
	said := ""
	for _, result := range report.Results {
		if result.Outcome != "pass" {
			t.Logf("%s: %s %s: %s", name, result.Outcome, result.ID, result.Seen)
		}
		if result.Outcome == "fail" {
			said += result.ID + ": " + result.Seen + "\n"
		}
	}
	if code != 0 || !report.OK() {
		said += fmt.Sprintf("exit code %d: %s", code, &errs)
	}
	return said
}

// addCommands adds the examples that are command lines.
func addCommands(t *testing.T, plugins map[string]checked) {
	manifest := filepath.Join(built, "geomill") + " manifest"
	plugins["text-tools"] = checked{path: interpreted(t, filepath.Join(examples, "command", "text-tools.yaml"), manifest)}
	for _, tool := range []string{"ogr2ogr", "gdal_contour"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Logf("NOT TESTED: gdal-tools; there is no %s", tool)
			return
		}
	}
	zones, err := os.ReadFile(filepath.Join(examples, "data", "zones.geojson"))
	relief, err2 := os.ReadFile(filepath.Join(examples, "data", "jacksboro.tif"))
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	plugins["gdal-tools"] = checked{interpreted(t, filepath.Join(examples, "command", "gdal-tools.yaml"), manifest),
		[]string{"--inputs", inputsFile(t, map[string]any{
			"reproject": map[string]any{"features": json.RawMessage(zones)},
			"contour":   map[string]any{"elevation": relief, "interval": 50},
		})}}
}

// addPython adds what is made with Python, as far as the packages are there.
func addPython(t *testing.T, plugins map[string]checked) {
	python := os.Getenv("GEOMILL_TEST_PYTHON")
	bridge := filepath.Join(filepath.Dir(python), "geomill-pygeoapi")
	squares, err := filepath.Abs(filepath.Join("testdata", "pygeoapi"))
	if err != nil {
		t.Fatal(err)
	}
	relief, err := os.ReadFile(filepath.Join(examples, "data", "jacksboro.tif"))
	if err != nil {
		t.Fatal(err)
	}
	elevations := map[string]any{"hillshade": map[string]any{"elevation": relief}}
	for _, p := range []struct {
		file, needs, interpreter string
		args                     []string
	}{
		{filepath.Join(examples, "python-hello", "python-hello"), "grpc", python, nil},
		{filepath.Join(examples, "python-sdk", "greeter"), "geomill", python, nil},
		{filepath.Join(examples, "python-sdk", "hull"), "geomill, shapely", python, nil},
		{filepath.Join(examples, "python-sdk", "hillshade"), "geomill, rasterio", python, []string{"--inputs", inputsFile(t, elevations)}},
		{filepath.Join(squares, "processors"), "geomill_pygeoapi", bridge, []string{"--env", "PYTHONPATH=" + squares, "--env", "PYTHONDONTWRITEBYTECODE=1"}},
	} {
		if python == "" || exec.Command(python, "-c", "import "+p.needs).Run() != nil {
			t.Logf("NOT TESTED: %s; GEOMILL_TEST_PYTHON names no python3 that has %s", p.file, p.needs)
			continue
		}
		plugins[filepath.Base(p.file)] = checked{interpreted(t, p.file, p.interpreter), p.args}
	}
}

// addNode adds the plugin in JavaScript, in a directory with its packages.
func addNode(t *testing.T, plugins map[string]checked) {
	packages := filepath.Join(os.Getenv("GEOMILL_TEST_NODE"), "node_modules")
	if _, err := os.Stat(packages); !filepath.IsAbs(packages) || err != nil || exec.Command("node", "--version").Run() != nil {
		t.Log("NOT TESTED: node-hello; GEOMILL_TEST_NODE names no directory with its packages, or there is no node")
		return
	}
	plugin := interpreted(t, filepath.Join(examples, "node-hello", "node-hello"), "/usr/bin/env node")
	proto, err := filepath.Abs(filepath.Join("..", "..", "..", "proto", "processv1", "process.proto"))
	for name, target := range map[string]string{"node_modules": packages, "process.proto": proto} {
		err = errors.Join(err, os.Symlink(target, filepath.Join(filepath.Dir(plugin), name)))
	}
	if err != nil {
		t.Fatal(err)
	}
	plugins["node-hello"] = checked{path: plugin}
}

// inputsFile writes what --inputs takes.
func inputsFile(t *testing.T, inputs map[string]any) string {
	t.Helper()
	text, err := json.Marshal(inputs)
	path := filepath.Join(t.TempDir(), "inputs.json")
	if err = errors.Join(err, os.WriteFile(path, text, 0o600)); err != nil {
		t.Fatal(err)
	}
	return path
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

// Nothing that comes with the project is left out of the test above.
func TestEveryPluginOfTheProjectIsChecked(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("plugincheck_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"command", "python-sdk", "."} {
		entries, err := os.ReadDir(filepath.Join(examples, dir))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			fi, err := e.Info()
			if err != nil {
				t.Fatal(err)
			}
			name := e.Name()
			hosts := map[string]bool{"command": true, "data": true, "demo": true, "python-sdk": true} // of plugins, or of none
			if dir == "." && !hosts[name] && e.IsDir() || dir != "." && !e.IsDir() && (fi.Mode().Perm()&0o111 != 0 || filepath.Ext(name) == ".yaml") {
				if !strings.Contains(string(text), `"`+name+`"`) {
					t.Errorf("%s is not checked", filepath.Join(dir, name))
				}
			}
		}
	}
}
