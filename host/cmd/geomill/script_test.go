package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// patience bounds every wait of a script; only a hang is longer.
const patience = 3 * time.Minute

// built is the directory with the binaries that the scripts use: geomill and,
// in plugins, what is bundled.
var built string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "geomill-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	built = dir
	for _, b := range [][]string{
		{"../../..", "build", "-o", filepath.Join(dir, "geomill"), "./host/cmd/geomill"},
		{"../../..", "build", "-o", filepath.Join(dir, "plugins") + "/", "./plugins/..."},
		{"../../../examples/go-greeter", "build", "-o", filepath.Join(dir, "go-greeter"), "."},
	} {
		cmd := exec.Command("go", b[1:]...)
		cmd.Dir = b[0]
		if out, err := cmd.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "go %s: %v\n%s", strings.Join(b[1:], " "), err, out)
			return 1
		}
	}
	return m.Run()
}

// authorsEnv lets a script work as the author of a plugin does, with the caches and
// the settings of go and pip that the tests were started with: HOME is not theirs
// until a script says env HOME=$AUTHOR_HOME.
func authorsEnv(e *testscript.Env) {
	e.Setenv("AUTHOR_HOME", os.Getenv("HOME"))
	for _, each := range os.Environ() {
		name, value, _ := strings.Cut(each, "=")
		if strings.HasPrefix(name, "GO") && name != "GOCOVERDIR" || strings.HasPrefix(name, "PIP_") {
			e.Setenv(name, value)
		}
	}
}

func TestScripts(t *testing.T) {
	python := os.Getenv("GEOMILL_TEST_PYTHON")
	if python == "" || exec.Command(python, "-c", "import grpc").Run() != nil {
		t.Log("NOT TESTED: the Python example; GEOMILL_TEST_PYTHON names no python3 that has grpcio")
		python = ""
	}
	sdk := python != "" && exec.Command(python, "-c", "import geomill").Run() == nil
	if !sdk {
		t.Log("NOT TESTED: plugins of the Python SDK; GEOMILL_TEST_PYTHON names no python3 that has it")
	}
	node := os.Getenv("GEOMILL_TEST_NODE")
	if _, err := os.Stat(filepath.Join(node, "node_modules")); node == "" || err != nil || exec.Command("node", "--version").Run() != nil {
		t.Log("NOT TESTED: the plugin in JavaScript; GEOMILL_TEST_NODE names no directory with its packages, or there is no node")
		node = ""
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("BUILT", built)
			e.Setenv("PATH", built+":"+e.Getenv("PATH"))
			e.Setenv("PYTHON", python)
			e.Setenv("NODE", node)
			e.Values[scriptKey{}] = &script{client: &http.Client{Timeout: patience}}
			root, err := filepath.Abs("../../..")
			e.Setenv("ROOT", root)
			authorsEnv(e)
			// What a script starts is found by this mark in its environment.
			e.Setenv("MARK", "TEST_MARK="+e.WorkDir)
			return err
		},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "grpcio":
				return python != "", nil
			case "node":
				return node != "", nil
			case "pythonsdk":
				return sdk, nil
			case "gdal":
				_, err := exec.LookPath("gdal_contour")
				return err == nil, nil
			}
			if cond == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %s", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve": serve, "dev": dev, "endserver": endServer, "http": request, "poll": poll, "bundled": bundled, "nothing-left": nothingLeft,
			"mode": mode, "big-request": bigRequest, "same-body": sameBody, "truncated": truncated, "empty-dir": emptyDir, "killed-restore": killedRestore,
			"job-ids": jobIDs, "geomill-exits": geomillExits,
			"follow-log": followLog, "followed": followed, "follow-ends": followEnds, "kill-plugin": killPlugin, "refused-to": refusedTo, "poll-plugin": pollPlugin,
		},
	})
}
