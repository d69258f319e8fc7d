package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"geomill/host/internal/plugin/cgroup"
	"geomill/host/internal/plugin/sandbox"
	"geomill/sdk/wire"

	"github.com/hashicorp/go-plugin/runner"
)

const (
	// pipeGrace is how long the streams of a dead process are still read: a
	// descendant that left its process group may hold them for ever.
	pipeGrace = 200 * time.Millisecond
	// busyRetries is how often a file that is still open for writing is tried.
	busyRetries = 20
	busyPause   = 25 * time.Millisecond

	// The descriptors a plugin finds open beside the standard ones.
	lifelineFD   = 3
	executableFD = 4
)

// child is the operating-system process of one instance. It is go-plugin's
// runner: go-plugin gets the handshake line from it and nothing else. All
// streams are drained here, whatever their lines are like, and what the process
// has started ends with it.
type child struct {
	exe     *executable
	program *executable // serves exe if that is a manifest; nil: nobody does
	console *console
	env     []string // beyond what go-plugin asks for
	limits  Limits
	dog     *watchdog // sees to limits
	groups  *groups
	group   *cgroup.Group // nil: none
	dir     string        // private to the instance, its home with its socket, removed with it
	mark    string        // in the environment of all that it starts
	machine *sandbox.Machine
	spec    sandbox.Spec // what it may do
	// detached is the directory with its standard streams, if it is to outlive
	// the host; else empty.
	detached string

	cmd       *exec.Cmd
	lifeline  *os.File // when it closes, the plugin ends
	out, err  *os.File
	readers   [2]*reader // of out and err
	handshake *handshake
	address   atomic.Pointer[string] // of the plugin's socket

	exited  chan struct{} // closed once the process is gone
	drained chan struct{} // closed once its last words are read

	mu       sync.Mutex
	kin      []process // what descended from it when it was told to end
	killed   bool      // by SIGKILL, perhaps before there was a process
	reaped   bool
	stopping bool // go-plugin's Kill waits instead of killing

	excess atomic.Pointer[excess] // why the host killed it, if it used too much
	peak   int64                  // largest resident size seen, bytes; guarded by mu

	waitErr   error // valid after exited
	dialError atomic.Pointer[error]
}

var _ runner.Runner = (*child)(nil)

// errKilled says that a child was killed before there was a process.
var errKilled = errors.New("the start was called off")

func newChild(exe *executable, c *console, env []string, mark string) *child {
	return &child{exe: exe, console: c, env: env, mark: mark, handshake: newHandshake(),
		exited: make(chan struct{}), drained: make(chan struct{})}
}

// prepare takes go-plugin's environment and the instance's private directory.
func (c *child) prepare(pluginEnv []string, dir string) error {
	c.dir = dir
	if err := give(c.spec.UID, dir); err != nil {
		return err
	}
	home := dir
	if c.detached != "" { // a plugin that tidies up leaves a later host its socket and the link to its record
		home = filepath.Join(dir, "home")
		if err := os.Mkdir(home, 0o700); err != nil {
			return fmt.Errorf("make home of instance: %w", err)
		}
		if err := give(c.spec.UID, home); err != nil {
			return err
		}
	}
	env := []string{"PATH=" + searchPath, "LANG=C.UTF-8", "HOME=" + home, "TMPDIR=" + home}
	if c.spec.UID != 0 { // the system has no name for it, and many a library asks
		name := "plugin-" + strconv.Itoa(c.spec.UID)
		env = append(env, "USER="+name, "LOGNAME="+name)
	}
	env = append(env, c.env...)
	env = append(env, pluginEnv...)
	env = append(env, wire.InstanceMark+"="+c.mark)
	if c.detached != "" {
		env = append(env, wire.DetachedDir+"="+c.detached)
	} else {
		env = append(env, wire.LifelineFD+"="+strconv.Itoa(lifelineFD))
	}
	c.spec.Own = append(c.spec.Own, dir)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cmd = &exec.Cmd{
		Path:        "/proc/self/fd/" + strconv.Itoa(executableFD),
		Args:        []string{c.exe.path},
		Env:         env,
		Dir:         home,
		SysProcAttr: &syscall.SysProcAttr{Setpgid: c.detached == "", Setsid: c.detached != ""},
	}
	if b := c.exe.bundle; b != nil {
		c.cmd.Args = []string{"geomill", "manifest", c.exe.path}
		c.cmd.Env = append(c.cmd.Env, b.variable())
	}
	return nil
}

// Start starts the process.
func (c *child) Start(ctx context.Context) error {
	files, err := c.opened()
	if err != nil {
		return err
	}
	defer closeAll(files)
	var theirs []*os.File
	defer func() {
		for _, f := range theirs {
			f.Close()
		}
	}()
	pipe := func() (r, w *os.File) {
		if err == nil {
			r, w, err = os.Pipe()
		}
		return r, w
	}
	outR, outW := pipe()
	errR, errW := pipe()
	lifeR, lifeW := pipe()
	theirs = []*os.File{outW, errW, lifeR}
	if err == nil {
		err = c.giveStreams(outW, errW)
	}
	if err == nil {
		c.cmd.Stdout, c.cmd.Stderr = outW, errW
		c.cmd.ExtraFiles = append([]*os.File{lifeR}, files...)
		err = c.execGrouped(ctx)
	}
	if err != nil {
		for _, f := range []*os.File{outR, errR, lifeW} {
			f.Close()
		}
		return err
	}
	c.out, c.err, c.lifeline = outR, errR, lifeW
	c.readers = [2]*reader{newReader(outR, c.console.stream("stdout")), newReader(errR, c.console.stream("stderr"))}
	c.readers[0].feed = c.handshake.feed
	var readers sync.WaitGroup
	readers.Go(c.readStdout)
	readers.Go(c.readers[1].run)
	go c.wait(&readers)
	if c.limits.watched() {
		c.dog.guard(c, c.limits)
	}
	return nil
}

// exec starts the command. A file that was copied into place a moment ago may
// still be open for writing in a process forked meanwhile.
func (c *child) exec(ctx context.Context) error {
	for try := 0; ; try++ {
		cmd := *c.cmd
		err := c.begin(&cmd)
		if err == nil {
			return nil
		}
		if !errors.Is(err, syscall.ETXTBSY) || try == busyRetries {
			return c.explain(err)
		}
		select {
		case <-time.After(busyPause):
		case <-ctx.Done():
			return c.explain(err)
		}
	}
}

// explain says why the system does not execute the child.
func (c *child) explain(err error) error {
	err = explainExec(err, c.executed().look())
	if c.exe.bundle != nil {
		return fmt.Errorf("execute %s, which serves manifests: %w", c.program.path, err)
	}
	return err
}

// begin starts cmd, unless the child was killed before there was a process.
func (c *child) begin(cmd *exec.Cmd) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.killed {
		return errKilled
	}
	if err := c.confined(cmd); err != nil {
		return err
	}
	c.cmd = cmd
	return nil
}

func (c *child) readStdout() {
	defer c.handshake.end()
	c.readers[0].run()
}

// wait owns the end of the process: it takes the process group down with its
// leader, while the leader's number cannot have been given to another, and then
// what has left the group.
func (c *child) wait(readers *sync.WaitGroup) {
	awaitExit(c.cmd.Process.Pid)
	c.mu.Lock()
	syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
	c.waitErr = c.cmd.Wait()
	c.reaped = true
	c.mu.Unlock()
	c.lifeline.Close()
	c.setAside()
	c.emptyGroup()
	close(c.exited)
	c.huntOffspring()
	c.closeGroup()

	read := make(chan struct{})
	go func() {
		readers.Wait()
		close(read)
	}()
	select {
	case <-read:
	case <-time.After(pipeGrace):
	}
	c.out.Close()
	c.err.Close()
	<-read
	close(c.drained)
}

// signal sends sig to the process group. A process that is gone is no error.
func (c *child) signal(sig syscall.Signal) {
	c.noteOffspring()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.killed = c.killed || sig == syscall.SIGKILL
	if c.cmd != nil && c.cmd.Process != nil && !c.reaped {
		syscall.Kill(-c.cmd.Process.Pid, sig)
	}
}

// pid returns the process's number, or 0 before it was started.
func (c *child) pid() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cmd == nil || c.cmd.Process == nil {
		return 0
	}
	return c.cmd.Process.Pid
}

// started reports whether there ever was a process.
func (c *child) started() bool { return c.pid() != 0 }

// Wait returns once the process is gone.
func (c *child) Wait(context.Context) error {
	<-c.exited
	return c.waitErr
}

// Kill is how go-plugin gives up. While the host itself stops the instance it
// only waits, for the host has a deadline and go-plugin has not.
func (c *child) Kill(context.Context) error {
	c.mu.Lock()
	stopping := c.stopping
	c.mu.Unlock()
	if !c.started() {
		return nil
	}
	if !stopping {
		c.signal(syscall.SIGKILL)
	}
	<-c.exited
	return nil
}

// Name returns the path of the plugin.
func (c *child) Name() string { return c.exe.path }

// ID returns the process's number in decimal, or "" before it was started.
func (c *child) ID() string {
	if pid := c.pid(); pid != 0 {
		return strconv.Itoa(pid)
	}
	return ""
}

// Diagnose has nothing to add: launch explains failures.
func (c *child) Diagnose(context.Context) string { return "" }

// Stdout yields the handshake line.
func (c *child) Stdout() io.ReadCloser { return c.handshake }

// Stderr yields nothing: it is read here.
func (c *child) Stderr() io.ReadCloser { return io.NopCloser(eof{}) }

// HostToPlugin leaves addresses of the host as they are.
func (c *child) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }
