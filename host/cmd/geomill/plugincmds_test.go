package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"geomill/host"

	"github.com/rogpeppe/go-internal/testscript"
)

// follower is a geomill that follows the log of a plugin.
type follower struct {
	cmd   *exec.Cmd
	lines *bufio.Reader
	err   bytes.Buffer
}

// followLog begins to follow the log of a plugin, and waits for its first line:
// follow-log FILE.
func followLog(ts *testscript.TestScript, neg bool, args []string) {
	f := &follower{cmd: exec.Command(filepath.Join(built, "geomill"), "plugin", "logs", "--follow", "--data", ts.MkAbs("data"), args[0])}
	out, err := f.cmd.StdoutPipe()
	ts.Check(err)
	f.cmd.Stderr, f.lines = &f.err, bufio.NewReader(out)
	ts.Check(f.cmd.Start())
	watchdog := time.AfterFunc(patience, func() { _ = f.cmd.Process.Kill() })
	ts.Defer(func() {
		watchdog.Stop()
		_ = f.cmd.Process.Kill()
		_ = f.cmd.Wait()
	})
	scriptOf(ts).follower = f
	followed(ts, neg, nil)
}

// followed reads on until a line has a text: followed [TEXT].
func followed(ts *testscript.TestScript, neg bool, args []string) {
	text := strings.Join(args, " ")
	for {
		line, err := scriptOf(ts).follower.lines.ReadString('\n')
		ts.Check(err)
		if strings.Contains(line, text) {
			return
		}
	}
}

// followEnds waits for the end of a log, which must have a reason: follow-ends TEXT.
func followEnds(ts *testscript.TestScript, neg bool, args []string) {
	f := scriptOf(ts).follower
	_, _ = io.Copy(io.Discard, f.lines)
	err := f.cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 || !strings.Contains(f.err.String(), args[0]) {
		ts.Fatalf("it ended with %v: %s", err, f.err.String())
	}
}

// killPlugin kills the instances of a plugin: kill-plugin FILE.
func killPlugin(ts *testscript.TestScript, neg bool, args []string) {
	text, err := exec.Command(filepath.Join(built, "geomill"), "plugin", "inspect", "--json", "--data", ts.MkAbs("data"), args[0]).Output()
	ts.Check(err)
	var p host.Plugin
	ts.Check(json.Unmarshal(text, &p))
	if len(p.Instances) == 0 {
		ts.Fatalf("no instance of %s runs", args[0])
	}
	for _, in := range p.Instances {
		ts.Check(syscall.Kill(in.PID, syscall.SIGKILL))
	}
}

// refusedTo runs geomill as another user, who must be refused: refused-to UID ARG...
// Only root can.
func refusedTo(ts *testscript.TestScript, neg bool, args []string) {
	for dir := ts.MkAbs("data"); dir != filepath.Clean(os.TempDir()) && dir != "/"; dir = filepath.Dir(dir) {
		ts.Check(os.Chmod(dir, 0o711)) // so that it is the socket that is closed
	}
	program, err := os.Open(filepath.Join(built, "geomill"))
	ts.Check(err)
	defer program.Close()
	var uid uint32
	_, err = fmt.Sscan(args[0], &uid)
	ts.Check(err)
	cmd := &exec.Cmd{Path: "/proc/self/fd/3", Args: append([]string{"geomill"}, args[1:]...), ExtraFiles: []*os.File{program}, Dir: "/",
		SysProcAttr: &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}}
	out, err := cmd.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 || !bytes.Contains(out, []byte("only root and the user")) {
		ts.Fatalf("it ended with %v: %s", err, out)
	}
}

// pollPlugin runs geomill plugin until what it prints contains a text:
// poll-plugin TEXT ARG...
func pollPlugin(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(until(func() error {
		cmd := exec.Command(filepath.Join(built, "geomill"), append([]string{"plugin"}, args[1:]...)...)
		cmd.Dir = ts.MkAbs(".") // where data is
		out, _ := cmd.CombinedOutput()
		if bytes.Contains(out, []byte(args[0])) == neg {
			return fmt.Errorf("%q in %s is %v", args[0], out, neg)
		}
		return nil
	}))
}
