package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// emptyWait bounds how long the last processes of a group may take to be
	// gone after they were killed; emptyPause is between looks.
	emptyWait  = time.Second
	emptyPause = 5 * time.Millisecond
)

// Limits bounds the processes of a group together. A zero sets no bound.
type Limits struct {
	Memory int64 // bytes; beyond it all of them are killed
	Tasks  int   // threads; beyond it none can be started
}

// Group is a control group without children. Its owner closes it.
type Group struct {
	path string
	dir  *os.File
}

// New makes a group with limits.
func (t *Tree) New(l Limits) (*Group, error) {
	g := &Group{path: filepath.Join(t.path, fmt.Sprintf("geomill-%d-%d", os.Getpid(), t.count.Add(1)))}
	err := t.mkdir(g.path)
	if err == nil {
		if err = g.limit(l); err == nil {
			g.dir, err = os.Open(g.path)
		}
		if err != nil {
			_ = os.Remove(g.path)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("make control group: %w", err)
	}
	return g, nil
}

func (g *Group) limit(l Limits) error {
	if l.Memory > 0 {
		if err := write(g.path, "memory.max", strconv.FormatInt(l.Memory, 10)); err != nil {
			return err
		}
		if err := write(g.path, "memory.oom.group", "1"); err != nil {
			return err
		}
		// Else what is too much would be swapped out; there may be no swap.
		if err := write(g.path, "memory.swap.max", "0"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if l.Tasks > 0 {
		return write(g.path, "pids.max", strconv.Itoa(l.Tasks))
	}
	return nil
}

// FD returns the descriptor to start a process in the group with, until Close:
// syscall.SysProcAttr.CgroupFD.
func (g *Group) FD() int { return int(g.dir.Fd()) }

// OutOfMemory reports whether the kernel has killed for the limit of memory.
func (g *Group) OutOfMemory() bool { return g.event("memory.events", "oom_kill") > 0 }

// event returns how often something happened; 0 if nobody knows.
func (g *Group) event(file, name string) int64 {
	text, _ := os.ReadFile(filepath.Join(g.path, file))
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == name {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			return n
		}
	}
	return 0
}

// Kill kills all processes of the group. Kernels before 5.14 cannot.
func (g *Group) Kill() error {
	if err := write(g.path, "cgroup.kill", "1"); err != nil {
		return fmt.Errorf("kill control group: %w", err)
	}
	return nil
}

// Close removes the group. Processes that were killed may still be in it for a
// moment; the error says that some stay.
func (g *Group) Close() error {
	err := g.dir.Close()
	for deadline := time.Now().Add(emptyWait); ; {
		removed := os.Remove(g.path)
		if removed == nil || errors.Is(removed, fs.ErrNotExist) {
			return err
		}
		if !errors.Is(removed, syscall.EBUSY) || time.Now().After(deadline) {
			return errors.Join(err, fmt.Errorf("remove control group: %w", removed))
		}
		time.Sleep(emptyPause)
	}
}
