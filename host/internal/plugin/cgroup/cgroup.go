// Package cgroup runs processes in control groups of Linux (version 2), which
// bound the memory and the number of tasks of all that descends from them, and
// tell what they used. Its central type is Tree, the part of the hierarchy that
// was delegated to the host; it knows no other package.
//
//	the host's own group
//	  host              the host moves here if need be: a group whose children
//	                    are limited holds no processes itself
//	  geomill-PID-1     one Group for each instance
//	  geomill-PID-2
package cgroup

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// hostGroup is where the host moves itself.
const hostGroup = "host"

// controllers are those that limits need.
var controllers = []string{"memory", "pids"}

// Tree is a group whose children the host may make and limit. It is safe for
// concurrent use.
type Tree struct {
	path  string
	count atomic.Int64

	mkdir func(path string) error
}

// Find returns the group of this process, as a path, when it has all that Open
// needs; the error says what it lacks. It changes nothing.
func Find() (string, error) { return find("/proc/self/cgroup", "/proc/self/mountinfo") }

func find(memberships, mounts string) (string, error) {
	text, err := os.ReadFile(memberships)
	if err != nil {
		return "", fmt.Errorf("find own control group: %w", err)
	}
	within, ok := ownGroup(text)
	if !ok {
		return "", errors.New("this process is in no control group of version 2")
	}
	if text, err = os.ReadFile(mounts); err != nil {
		return "", fmt.Errorf("find control groups: %w", err)
	}
	point, root, ok := mountPoint(text)
	if !ok {
		return "", errors.New("control groups of version 2 are not mounted")
	}
	// A container may see but a part of the hierarchy.
	path := filepath.Join(point, strings.TrimPrefix(within, strings.TrimSuffix(root, "/")))
	return path, check(path)
}

// ownGroup reads /proc/PID/cgroup.
func ownGroup(text []byte) (string, bool) {
	for line := range bytes.Lines(text) {
		if path, ok := bytes.CutPrefix(bytes.TrimRight(line, "\n"), []byte("0::")); ok {
			return string(path), true
		}
	}
	return "", false
}

// mountPoint reads from /proc/PID/mountinfo where the hierarchy is mounted, and
// which part of it.
func mountPoint(text []byte) (point, root string, ok bool) {
	for line := range strings.Lines(string(text)) {
		before, after, _ := strings.Cut(line, " - ")
		fields := strings.Fields(before)
		if len(fields) >= 5 && strings.HasPrefix(after, "cgroup2 ") {
			return fields[4], fields[3], true
		}
	}
	return "", "", false
}

// check says what a group lacks to be made a Tree.
func check(path string) error {
	has, err := words(filepath.Join(path, "cgroup.controllers"))
	if err != nil {
		return fmt.Errorf("read the controllers of the control group: %w", err)
	}
	for _, c := range controllers {
		if !slices.Contains(has, c) {
			return fmt.Errorf("the control group %s has no controller %s", path, c)
		}
	}
	for _, name := range []string{"", "cgroup.procs", "cgroup.subtree_control"} {
		if err := unix.Access(filepath.Join(path, name), unix.W_OK); err != nil {
			return fmt.Errorf("the control group %s is not delegated to the host: %w", filepath.Join(path, name), err)
		}
	}
	return nil
}

func words(file string) ([]string, error) {
	text, err := os.ReadFile(file)
	return strings.Fields(string(text)), err
}

// Open prepares the group that Find has found. It removes the groups that hosts
// which are gone have left.
func Open(path string) (*Tree, error) {
	t := &Tree{path: path, mkdir: func(path string) error { return os.Mkdir(path, 0o755) }}
	return t, t.open()
}

func (t *Tree) open() error {
	t.sweep()
	err := t.enable()
	if errors.Is(err, syscall.EBUSY) { // for processes are in it
		if err = t.moveOut(); err == nil {
			err = t.enable()
		}
	}
	if err != nil {
		return fmt.Errorf("prepare control group %s: %w", t.path, err)
	}
	return nil
}

// enable lets the children of the group be limited.
func (t *Tree) enable() error {
	return write(t.path, "cgroup.subtree_control", "+"+strings.Join(controllers, " +"))
}

// moveOut moves this process into a group below, unless others are with it.
func (t *Tree) moveOut() error {
	pids, err := words(filepath.Join(t.path, "cgroup.procs"))
	if err != nil {
		return err
	}
	self := strconv.Itoa(os.Getpid())
	if !slices.Equal(pids, []string{self}) {
		return fmt.Errorf("it holds %d processes besides the host", len(pids)-1)
	}
	if err := t.mkdir(filepath.Join(t.path, hostGroup)); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return write(filepath.Join(t.path, hostGroup), "cgroup.procs", self)
}

// sweep removes groups of hosts that are gone, if they are empty.
func (t *Tree) sweep() {
	left, _ := filepath.Glob(filepath.Join(t.path, "geomill-*-*"))
	for _, group := range left {
		pid := strings.Split(filepath.Base(group), "-")[1]
		if _, err := os.Stat("/proc/" + pid); errors.Is(err, fs.ErrNotExist) {
			_ = os.Remove(group)
		}
	}
}

// write writes a file that the kernel has made.
func write(dir, name, value string) error {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}
