package sdk

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"geomill/sdk/wire"
)

// commandDelay is how long Wait of a killed command waits for what still holds
// its output open.
const commandDelay = time.Second

// Command is exec.CommandContext for a program that works for this job: it
// ends with the job, and so does whatever it starts itself. It is a process
// group of its own and carries the job's id in its environment, by which
// the host finds what is left of it. Set Cancel for a gentler end
// than SIGKILL, and add to Env rather than replace it.
func (j *Job) Command(name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(j, name, args...)
	c.Env = append(os.Environ(), wire.JobMark+"="+j.ID())
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	c.WaitDelay = commandDelay
	return c
}

// endFamily kills this process with its children and their process groups. It
// is for a plugin whose host is gone, so that nobody else would.
func endFamily() {
	lists, _ := filepath.Glob("/proc/self/task/*/children") // not every kernel has them
	for _, name := range lists {
		list, _ := os.ReadFile(name)
		for _, field := range bytes.Fields(list) {
			pid, err := strconv.Atoi(string(field))
			if err != nil {
				continue
			}
			if group, err := syscall.Getpgid(pid); err == nil && group == pid {
				pid = -pid
			}
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	if syscall.Getpgrp() == os.Getpid() {
		_ = syscall.Kill(0, syscall.SIGKILL)
	}
	os.Exit(exitFailed)
}
