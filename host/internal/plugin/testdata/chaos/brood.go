package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"geomill/sdk/wire"
)

// brood starts children that leave in every way a process can, says which, and
// then ignores its cancellation, if its name says so, or leaves them behind.
func brood(ctx context.Context, s wire.Start, ev wire.Events) (wire.Values, error) {
	pids := []int{os.Getpid()}
	for _, c := range []struct {
		env  []string
		attr syscall.SysProcAttr
		line string
	}{
		{nil, syscall.SysProcAttr{}, "exec sleep 300"},
		{nil, syscall.SysProcAttr{Setsid: true}, "exec sleep 300"},
		{nil, syscall.SysProcAttr{Setpgid: true}, "trap '' TERM; sleep 300; :"},
		{[]string{"PATH=/usr/bin:/bin"}, syscall.SysProcAttr{Setsid: true}, "exec sleep 300"},
		{append(os.Environ(), wire.JobMark+"="+s.JobID), syscall.SysProcAttr{Setpgid: true}, "exec sleep 300"},
	} {
		cmd := exec.Command("/bin/sh", "-c", c.line)
		cmd.Env, cmd.SysProcAttr = c.env, &c.attr
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		go cmd.Wait()
		pids = append(pids, cmd.Process.Pid)
	}
	orphan := exec.Command("/bin/sh", "-c", "sleep 300 >/dev/null 2>&1 & echo $!")
	orphan.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	text, err := orphan.Output()
	if err != nil {
		return nil, err
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(text)))
	if err != nil {
		return nil, err
	}
	list, err := json.Marshal(append(pids, pid))
	if err != nil {
		return nil, err
	}
	ev.Progress(10, string(list))
	if strings.Contains(s.ProcessID, "deaf") {
		hang()
	}
	<-ctx.Done()
	return nil, fmt.Errorf("left them: %w", ctx.Err())
}

// helper starts a child for its job alone, as an author should, and waits for
// it; or, if its input "stray" is set, one that nobody ends.
func helper(ctx context.Context, s wire.Start, ev wire.Events) (wire.Values, error) {
	c := exec.CommandContext(ctx, "sleep", "300")
	if _, stray := s.Inputs.Lookup("stray"); stray {
		c = exec.Command("sleep", "300")
	}
	if err := c.Start(); err != nil {
		return nil, err
	}
	ev.Progress(10, fmt.Sprintf("[%d,%d]", os.Getpid(), c.Process.Pid))
	<-ctx.Done()
	if _, stray := s.Inputs.Lookup("stray"); !stray {
		c.Wait()
	}
	return nil, ctx.Err()
}
