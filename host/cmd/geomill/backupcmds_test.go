package main

import (
	"crypto/rand"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// mode checks the permissions of a file: mode FILE OCTAL.
func mode(ts *testscript.TestScript, neg bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	want, err := strconv.ParseUint(args[1], 8, 32)
	ts.Check(err)
	if (info.Mode().Perm() == fs.FileMode(want)) == neg {
		ts.Fatalf("%s has mode %s", args[0], info.Mode())
	}
}

// truncated copies a file without its last fifth: truncated FROM TO.
func truncated(ts *testscript.TestScript, neg bool, args []string) {
	content, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), content[:len(content)*4/5], 0o600))
}

// bigRequest writes an execute request of echo with a long text that cannot be
// compressed much: big-request FILE.
func bigRequest(ts *testscript.TestScript, neg bool, args []string) {
	random := make([]byte, 200<<10)
	_, _ = rand.Read(random)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), fmt.Appendf(nil, `{"inputs":{"text":"%x"}}`, random), 0o600))
}

// sameBody compares the last lines of two files, which are the bodies of what
// http prints: same-body FILE FILE.
func sameBody(ts *testscript.TestScript, neg bool, args []string) {
	_, first, ok := strings.Cut(ts.ReadFile(args[0]), "\n\n")
	_, second, _ := strings.Cut(ts.ReadFile(args[1]), "\n\n")
	if !ok || (first == second) == neg {
		ts.Fatalf("bodies of %d and %d bytes", len(first), len(second))
	}
}

// emptyDir checks that a directory is empty: empty-dir DIR.
func emptyDir(ts *testscript.TestScript, neg bool, args []string) {
	content, err := os.ReadDir(ts.MkAbs(args[0]))
	ts.Check(err)
	if (len(content) == 0) == neg {
		ts.Fatalf("%s has %v", args[0], content)
	}
}

// killedRestore kills a restore once it has unpacked a part of a backup:
// killed-restore FILE DIR.
func killedRestore(ts *testscript.TestScript, neg bool, args []string) {
	content, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	cmd := exec.Command(filepath.Join(built, "geomill"), "restore", "--data", ts.MkAbs(args[1]), "-")
	in, err := cmd.StdinPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	_, err = in.Write(content[:len(content)*4/5]) // it waits for the rest
	ts.Check(err)
	site := filepath.Join(filepath.Dir(ts.MkAbs(args[1])), "."+filepath.Base(args[1])+".geomill-restore")
	err = until(func() error {
		if _, err := os.Stat(filepath.Join(site, "store", "db")); err != nil {
			return fmt.Errorf("nothing is unpacked: %w", err)
		}
		return nil
	})
	ts.Check(err)
	ts.Check(cmd.Process.Kill())
	_ = cmd.Wait() // killed
}
