package plugin

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// The files of the standard streams of a detached instance, in its directory.
const (
	stdoutFile = "stdout.log"
	stderrFile = "stderr.log"
)

const (
	tailFirst = 5 * time.Millisecond
	tailMost  = 250 * time.Millisecond
)

// startDetached starts a process that outlives the host: no pipe leads to it.
func (c *child) startDetached(ctx context.Context) error {
	var files []*os.File
	defer func() { closeAll(files) }()
	open := func(f *os.File, err error) error {
		if err == nil {
			files = append(files, f)
		}
		return err
	}
	appending := func(name string) (*os.File, error) {
		return os.OpenFile(filepath.Join(c.detached, name), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	}
	err := errors.Join(open(appending(stdoutFile)), open(appending(stderrFile)), open(os.Open(os.DevNull)))
	if err != nil {
		return err
	}
	if err := c.giveStreams(files[0], files[1]); err != nil {
		return err
	}
	executed, err := c.opened()
	if err != nil {
		return err
	}
	files = append(files, executed...)
	c.cmd.Stdout, c.cmd.Stderr = files[0], files[1]
	c.cmd.ExtraFiles = files[2:] // the executable has the number that it has elsewhere
	if err := c.exec(ctx); err != nil {
		return err
	}
	go func() {
		awaitExit(c.cmd.Process.Pid)
		c.mu.Lock()
		syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
		c.waitErr = c.cmd.Wait()
		c.reaped = true
		c.mu.Unlock()
		close(c.exited)
		c.huntOffspring()
		close(c.drained)
	}()
	if c.limits.watched() {
		c.dog.guard(c, c.limits)
	}
	return nil
}

// awaitHandshake takes the address that a detached process serves on, once it has
// said so, and returns where its standard output goes on.
func (c *child) awaitHandshake(ctx context.Context) (offset int64, err error) {
	f, err := openTheirs(filepath.Join(c.detached, stdoutFile))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	buf := make([]byte, handshakeBytes)
	for pause := tailFirst; ; pause = min(2*pause, 50*time.Millisecond) {
		n, err := f.ReadAt(buf, 0)
		if err != nil && err != io.EOF {
			return 0, err
		}
		if line, _, whole := strings.Cut(string(buf[:n]), "\n"); whole {
			if !handshakeLine.MatchString(line) {
				return 0, errors.New("wrote something else to standard output where the plugin handshake belongs")
			}
			parts := strings.Split(line, "|")
			_, _, err := c.PluginToHost(parts[2], parts[3])
			return int64(len(line)) + 1, err
		}
		select {
		case <-time.After(pause):
		case <-c.exited:
			return 0, errors.New("ended before the plugin handshake (" + c.status() + ")")
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

// openTheirs opens a file that a plugin may have put something else in the place
// of: that must neither lead elsewhere nor block.
func openTheirs(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(errors.New("not a regular file"), err, f.Close())
	}
	return f, nil
}

// tail hands what is written to a file from an offset on (-1: its end) to lines,
// until ctx ends, and then what is there by that time. A file that was cut begins
// anew.
func tail(ctx context.Context, path string, from int64, lines *stream) {
	defer lines.close()
	f, err := openTheirs(path)
	if err != nil {
		return
	}
	defer f.Close()
	if from < 0 {
		from, _ = f.Seek(0, io.SeekEnd)
	}
	buf := make([]byte, 32<<10)
	for pause, end := tailFirst, int64(-1); ; {
		info, err := f.Stat()
		if err != nil {
			return
		}
		if end < 0 && ctx.Err() != nil {
			end = info.Size() // or who never stops writing could keep it here
		}
		if info.Size() < from {
			from = 0
		}
		n, err := f.ReadAt(buf, from)
		_, _ = lines.Write(buf[:n]) // never fails
		from += int64(n)
		switch {
		case err != nil && err != io.EOF, end >= 0 && (from >= end || n == 0):
			return
		case n > 0:
			pause = tailFirst
			continue
		}
		select {
		case <-time.After(pause):
			pause = min(2*pause, tailMost)
		case <-ctx.Done():
		}
	}
}

// end makes the instance end: it is asked to after term, and killed after kill,
// with all that it has started.
func (d *detachedRun) end(term, kill time.Duration) {
	d.stop()
	d.disconnect()
	if d.PID == 0 && d.child != nil {
		d.PID = d.child.pid()
	}
	if d.alive() && kill > 0 {
		d.signal(syscall.SIGTERM)
		d.await(max(kill-term, 0))
	}
	d.signal(syscall.SIGKILL)
	d.await(huntLimit)
	if d.child != nil && d.child.started() {
		select {
		case <-d.child.exited:
		case <-time.After(huntLimit): // in an uninterruptible wait
		}
	}
	hunt(d.log, func(p process) bool { return p.bears(d.Dir) })
}

// signal sends sig to the process group, if it is the one of the record.
func (d *detachedRun) signal(sig syscall.Signal) {
	if d.alive() {
		_ = syscall.Kill(-d.PID, sig) // or it has ended
	}
}

// await waits until the process is gone, for a time.
func (d *detachedRun) await(limit time.Duration) {
	deadline := time.Now().Add(limit)
	for pause := huntPause; d.alive() && time.Now().Before(deadline); pause = min(2*pause, 20*time.Millisecond) {
		time.Sleep(pause)
	}
}
