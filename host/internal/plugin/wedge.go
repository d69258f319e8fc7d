package plugin

import (
	"debug/buildinfo"
	"strconv"
	"syscall"
	"time"
)

// dumpPatience is how long a wedged plugin may take to write down what it does.
const dumpPatience = time.Second

// dumped begins what is written then.
const dumped = "SIGQUIT: "

// dump makes a wedged plugin written in Go write the stacks of its goroutines
// to its standard error, which ends it. Others would dump core, and get
// nothing. It returns when the plugin has ended, or in time to kill it.
func (c *child) dump() {
	pid := c.pid()
	if pid == 0 || !isGo(pid) {
		return
	}
	c.noteOffspring()
	// A stopped process gets the signal before anything else once it goes on.
	if !c.tell(syscall.SIGQUIT) || !c.tell(syscall.SIGCONT) {
		return
	}
	late := time.NewTimer(dumpPatience)
	defer late.Stop()
	select {
	case <-c.exited:
	case <-late.C:
	}
}

// tell sends sig to the process without its group, and reports whether there
// is one.
func (c *child) tell(sig syscall.Signal) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.reaped && syscall.Kill(c.cmd.Process.Pid, sig) == nil
}

// isGo reports whether a process runs a program that was built by Go.
func isGo(pid int) bool {
	_, err := buildinfo.ReadFile("/proc/" + strconv.Itoa(pid) + "/exe")
	return err == nil
}
