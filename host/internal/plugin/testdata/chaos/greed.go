package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"geomill/sdk/wire"
)

// greedy lists the processes that use too much of something, with their suffixes
// for jobs that share no instance.
var greedy = []string{"leak", "leak-alone", "gulp", "spin", "spin-once", "offload-alone", "bomb", "bomb-once",
	"handles", "hugefile", "fill", "fill-once", "bulky", "bulkyfile"}

func greedyPolicy(id string) wire.Policy {
	switch {
	case strings.HasSuffix(id, "-alone"):
		return wire.Policy{Isolation: wire.Exclusive}
	case strings.HasSuffix(id, "-once"):
		return wire.Policy{Isolation: wire.PerJob}
	}
	return wire.Policy{}
}

// overuse uses up what its name says.
func overuse(ctx context.Context, id string, s wire.Start, ev wire.Events) (wire.Values, error) {
	switch id {
	case "leak":
		return leak(ctx)
	case "gulp":
		return out(len(bytes.Repeat([]byte{1}, 64<<30)))
	case "spin":
		for ctx.Err() == nil {
		}
		return nil, ctx.Err()
	case "offload":
		return nil, exec.CommandContext(ctx, "/bin/sh", "-c", "while :; do :; done").Run()
	case "bomb":
		return bomb(ctx, ev)
	case "handles":
		return handles()
	case "hugefile":
		return hugefile(s)
	case "fill":
		return fill(ctx, s)
	case "bulky":
		return wire.ValuesOf(map[string]wire.Value{"out": {Data: make([]byte, 10_000), MediaType: "image/png"}}), nil
	}
	path, err := scratch(s, "bulky")
	if err == nil {
		err = os.WriteFile(path, make([]byte, 10_000), 0o600)
	}
	return wire.ValuesOf(map[string]wire.Value{"out": {File: path, MediaType: "image/png"}}), err
}

// leak takes memory, and never gives it back, but no more than the machine bears.
func leak(ctx context.Context) (wire.Values, error) {
	var held [][]byte
	for range 64 {
		held = append(held, bytes.Repeat([]byte{1}, 8<<20))
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	<-ctx.Done()
	return out(len(held))
}

// bomb starts processes that start processes, in groups of their own, but no
// more than 127.
func bomb(ctx context.Context, ev wire.Events) (wire.Values, error) {
	const line = `f() { [ $1 = 0 ] && exec sleep 300; f $(($1-1)) & setsid /bin/sh -c "$line" sh $(($1-1)) & wait; }; f $1`
	c := exec.Command("/bin/sh", "-c", line, "sh", "6")
	c.Env = append(os.Environ(), "line="+line)
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := c.Start(); err != nil {
		return nil, err
	}
	ev.Progress(10, fmt.Sprint(c.Process.Pid))
	<-ctx.Done()
	return nil, ctx.Err()
}

// handles opens files until it may not, then gives them back.
func handles() (wire.Values, error) {
	var open []*os.File
	defer func() {
		for _, f := range open {
			f.Close()
		}
	}()
	for range 10_000 {
		f, err := os.Open("/dev/null")
		if err != nil {
			return nil, fmt.Errorf("look around: %w", err)
		}
		open = append(open, f)
	}
	return out(len(open))
}

func scratch(s wire.Start, name string) (string, error) {
	return filepath.Join(s.Dir, s.JobID+name), os.MkdirAll(s.Dir, 0o700)
}

// hugefile writes one file until it may not.
func hugefile(s wire.Start) (wire.Values, error) {
	path, err := scratch(s, "huge")
	if err != nil {
		return nil, err
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for range 64 {
		if _, err := f.Write(make([]byte, 1<<20)); err != nil {
			return nil, err
		}
	}
	return out(1)
}

// fill writes many files, into its directory or, with the suffix of a job that
// has an instance of its own, into the one for temporary files.
func fill(ctx context.Context, s wire.Start) (wire.Values, error) {
	dir := s.Dir
	if s.ProcessID != "fill" {
		dir = os.TempDir()
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	for i := range 128 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(s.JobID, i)), make([]byte, 128<<10), 0o600); err != nil {
			return nil, err
		}
	}
	<-ctx.Done()
	return nil, ctx.Err()
}
