package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// kernelFiles are what the kernel puts into a new group.
var kernelFiles = []string{"cgroup.procs", "cgroup.subtree_control", "cgroup.kill", "memory.max", "memory.oom.group", "memory.swap.max", "memory.events", "pids.max"}

// fake is a directory that looks like a delegated group.
func fake(t *testing.T) *Tree {
	t.Helper()
	tree := &Tree{path: t.TempDir(), mkdir: func(path string) error {
		if err := os.Mkdir(path, 0o755); err != nil {
			return err
		}
		for _, name := range kernelFiles {
			put(t, filepath.Join(path, name), "")
		}
		return nil
	}}
	for _, name := range kernelFiles {
		put(t, filepath.Join(tree.path, name), "")
	}
	put(t, filepath.Join(tree.path, "cgroup.controllers"), "cpu memory pids\n")
	return tree
}

func put(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func content(t *testing.T, elem ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTheOwnGroupIsFoundOrWhatItLacksIsSaid(t *testing.T) {
	t.Parallel()
	tree := fake(t)
	dir := t.TempDir()
	file := func(name, text string) string {
		put(t, filepath.Join(dir, name), text)
		return filepath.Join(dir, name)
	}
	mounts := file("mounts", "25 21 0:22 / /sys rw - sysfs sysfs rw\n30 25 0:26 / "+filepath.Dir(tree.path)+" rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n")
	own := file("own", "4:memory:/elsewhere\n0::/"+filepath.Base(tree.path)+"\n")
	if path, err := find(own, mounts); err != nil || path != tree.path {
		t.Errorf("%s, %v", path, err)
	}
	part := file("part", "30 25 0:26 /box/1 "+filepath.Dir(tree.path)+" rw - cgroup2 cgroup2 rw\n")
	if path, err := find(file("boxed", "0::/box/1/"+filepath.Base(tree.path)+"\n"), part); err != nil || path != tree.path {
		t.Errorf("where a part is mounted: %s, %v", path, err)
	}
	put(t, filepath.Join(tree.path, "cgroup.controllers"), "cpu memory\n")
	for want, c := range map[string][2]string{
		"in no control group of version 2": {file("one", "4:memory:/x\n"), mounts},
		"are not mounted":                  {own, file("none", "25 21 0:22 / /sys rw - sysfs sysfs rw\n")},
		"has no controller pids":           {own, mounts},
		"no such file":                     {file("lost", "0::/missing\n"), mounts},
	} {
		if _, err := find(c[0], c[1]); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %s", err, want)
		}
	}
}

func TestLimitsAreWrittenAndTheGroupIsRemoved(t *testing.T) {
	t.Parallel()
	tree := fake(t)
	if err := tree.open(); err != nil {
		t.Fatal(err)
	}
	if got := content(t, tree.path, "cgroup.subtree_control"); got != "+memory +pids" {
		t.Errorf("%q", got)
	}
	g, err := tree.New(Limits{Memory: 1 << 30, Tasks: 64})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"memory.max": "1073741824", "memory.oom.group": "1", "memory.swap.max": "0", "pids.max": "64"} {
		if got := content(t, g.path, name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if g.OutOfMemory() {
		t.Error("it is out of memory")
	}
	put(t, filepath.Join(g.path, "memory.events"), "low 0\noom 1\noom_kill 2\noom_group_kill 1\n")
	if !g.OutOfMemory() {
		t.Error("it is not out of memory")
	}
	if err := g.Kill(); err != nil || content(t, g.path, "cgroup.kill") != "1" {
		t.Error(err)
	}
	for _, name := range kernelFiles { // which the kernel removes by itself
		if err := os.Remove(filepath.Join(g.path, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(g.path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it stays: %v", err)
	}
}

func TestAGroupThatCannotBeLimitedIsNotLeft(t *testing.T) {
	t.Parallel()
	tree := fake(t)
	tree.mkdir = func(path string) error { return os.Mkdir(path, 0o755) } // without files
	if g, err := tree.New(Limits{Memory: 1}); err == nil {
		t.Errorf("%+v", g)
	}
	if left, _ := filepath.Glob(filepath.Join(tree.path, "geomill-*")); len(left) > 0 {
		t.Error(left)
	}
}

func TestTheHostMovesOutOnlyWhenItIsAlone(t *testing.T) {
	t.Parallel()
	tree, self := fake(t), strconv.Itoa(os.Getpid())
	put(t, filepath.Join(tree.path, "cgroup.procs"), self+"\n1\n")
	if err := tree.moveOut(); err == nil || !strings.Contains(err.Error(), "1 processes besides the host") {
		t.Error(err)
	}
	put(t, filepath.Join(tree.path, "cgroup.procs"), self+"\n")
	for range 2 { // the group may be there from an earlier start
		if err := tree.moveOut(); err != nil || content(t, tree.path, hostGroup, "cgroup.procs") != self {
			t.Error(err)
		}
	}
}

func TestGroupsOfHostsThatAreGoneAreRemoved(t *testing.T) {
	t.Parallel()
	tree := fake(t)
	for _, name := range []string{"geomill-1-1", fmt.Sprintf("geomill-%d-1", 1<<30), "other"} {
		if err := os.Mkdir(filepath.Join(tree.path, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	tree.sweep()
	left, _ := filepath.Glob(filepath.Join(tree.path, "*-1"))
	if len(left) != 1 || filepath.Base(left[0]) != "geomill-1-1" {
		t.Error(left)
	}
}

// TestProcessesStartInAGroupAndEndWithIt needs nothing of the kernel but a group
// of version 2 that may be written to, so it runs where limits cannot.
func TestProcessesStartInAGroupAndEndWithIt(t *testing.T) {
	t.Parallel()
	path, _ := find("/proc/self/cgroup", "/proc/self/mountinfo")
	if path == "" {
		t.Skip("no control groups of version 2")
	}
	tree := &Tree{path: path, mkdir: func(path string) error { return os.Mkdir(path, 0o755) }}
	g, err := tree.New(Limits{})
	if err != nil {
		t.Skip("control groups cannot be made:", err)
	}
	defer g.Close()
	defer g.Kill()
	cmd := exec.Command("/bin/sh", "-c", "setsid sleep 300 & exec sleep 300")
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: g.FD()}
	if err := cmd.Start(); err != nil {
		t.Skip("processes cannot be started in a control group:", err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if pids, _ := words(filepath.Join(g.path, "cgroup.procs")); len(pids) == 2 {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("in the group: %v", pids)
		}
	}
	if err := g.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("it ended by itself")
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		err := g.Close() // on a busy machine the last processes take longer to go than it waits
		if _, left := os.Stat(g.path); errors.Is(left, fs.ErrNotExist) {
			break
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}
