package sdk_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"geomill/sdk"
	"geomill/sdk/wire"
)

// silence is the Events of a job that nobody listens to.
type silence struct{}

func (silence) Progress(float64, string)                {}
func (silence) Log(slog.Level, string, json.RawMessage) {}

// TestCommandEndsWithItsJob starts a shell with a child of its own.
func TestCommandEndsWithItsJob(t *testing.T) {
	t.Parallel()
	begun := make(chan int, 1)
	var mark string
	h, err := sdk.NewHandler(sdk.Plugin{Name: "p", Version: "1"}, process(func(job *sdk.Job) error {
		c := job.Command("/bin/sh", "-c", "sleep 300 & echo $! $"+wire.JobMark+"; wait")
		out, err := c.StdoutPipe()
		if err == nil {
			err = c.Start()
		}
		if err != nil {
			return err
		}
		line, err := bufio.NewReader(out).ReadString('\n')
		if err != nil {
			return err
		}
		var child int
		fmt.Sscan(line, &child, &mark)
		begun <- child
		return c.Wait()
	}))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := h.Run(ctx, wire.Start{JobID: "job-1", ProcessID: "p"}, silence{})
		done <- err
	}()
	var child int
	select {
	case child = <-begun:
	case err := <-done:
		t.Fatalf("the job ended with %v", err)
	case <-time.After(deadline):
		t.Fatal("the command does not start")
	}
	cancel()
	select {
	case err := <-done:
		if err == nil || !strings.Contains(err.Error(), "killed") && !errors.Is(err, context.Canceled) {
			t.Errorf("the job ended with %v", err)
		}
	case <-time.After(deadline):
		t.Fatal("the job does not end")
	}
	if mark != "job-1" {
		t.Errorf("the command is marked %q", mark)
	}
	endsSoon(t, child)
}

// TestCommandEndsWithTheHost closes the lifeline while a program works for a job.
func TestCommandEndsWithTheHost(t *testing.T) {
	t.Parallel()
	i := launch(t)
	said := make(heard, 1)
	go func() { _, _ = i.run(t, "helper", said) }()
	var child int
	select {
	case message := <-said:
		fmt.Sscan(message, &child)
	case <-time.After(deadline):
		t.Fatal("the job does not start its program")
	}
	if err := i.lifeline.Close(); err != nil {
		t.Fatal(err)
	}
	endsSoon(t, child)
}

// heard is the Events of a job that says one thing.
type heard chan string

func (h heard) Progress(_ float64, message string) {
	select {
	case h <- message:
	default:
	}
}

func (heard) Log(slog.Level, string, json.RawMessage) {}

// endsSoon waits for the end of a process.
func endsSoon(t *testing.T, pid int) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(deadline); !ended(pid); {
		select {
		case <-tick.C:
		case <-end:
			_ = syscall.Kill(pid, syscall.SIGKILL)
			t.Fatal("what a job started lives on")
		}
	}
}

// ended reports whether a process is gone; a zombie is.
func ended(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, state, _ := strings.Cut(string(stat), ") ")
	return err != nil || strings.HasPrefix(state, "Z")
}
