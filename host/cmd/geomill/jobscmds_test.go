package main

import (
	"errors"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"
)

// jobIDs sets DONE_ID, RUNNING_ID and QUEUED_ID to the ends of these locations.
func jobIDs(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range []string{"DONE", "RUNNING", "QUEUED"} {
		ts.Setenv(name+"_ID", path.Base(ts.Getenv(name)))
	}
}

// geomillExits runs geomill and checks its exit code: geomill-exits CODE ARG...
func geomillExits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	cmd := exec.Command(filepath.Join(built, "geomill"), args[1:]...)
	out, err := cmd.CombinedOutput()
	code := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if code != want {
		ts.Fatalf("exit code %d, want %d: %s", code, want, out)
	}
}
