package sdk

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"geomill/sdk/wire"
)

const (
	// stopGrace is how long jobs may take to end after a SIGTERM.
	stopGrace = 5 * time.Second
	// flushGrace is how long the last messages of jobs may take to be sent.
	flushGrace = 250 * time.Millisecond
	// ballastBytes is address space that is never touched. It counts as live,
	// so that a plugin with next to nothing in memory does not collect garbage
	// for every few thousand small jobs; a large heap is collected as ever.
	ballastBytes = 16 << 20
)

// serveHost serves the plugin to the host that started this program, and returns
// the exit status when the host has ended the connection for good. It ignores
// SIGINT, which a terminal sends to the host and to its plugins alike.
func serveHost(plugin Plugin, processes []Process) (status int) {
	handler := &steady{}
	described := make(chan error, 1)
	go func() { // meanwhile, for the host waits
		var err error
		handler.Handler, err = NewHandler(plugin, processes...)
		described <- err
	}()
	server := wire.NewServer(handler)
	hosted, err := listen(server)
	if wrong := <-described; wrong != nil {
		fmt.Fprintln(os.Stderr, wrong)
		if err == nil {
			hosted.Close()
		}
		return wire.ExitUnfit
	}
	if err == nil {
		handler.heed = func() { heed(server, hosted) }
		err = hosted.Serve(os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitFailed
	}
	return exitOK
}

// listen makes the socket, and what else the program needs before it serves.
func listen(server *wire.Server) (*wire.Hosted, error) {
	if err := watchLifeline(os.Stderr); err != nil {
		return nil, err
	}
	if err := os.Unsetenv(wire.CookieKey); err != nil { // what jobs start is started by no host
		return nil, fmt.Errorf("take the cookie out of the environment: %w", err)
	}
	slog.SetDefault(slog.New(hostLog(os.Stderr)))
	if err := detach(server); err != nil {
		return nil, err
	}
	return wire.Listen(server)
}

// heed ends the program after a SIGTERM.
func heed(server *wire.Server, hosted *wire.Hosted) {
	signal.Notify(make(chan os.Signal, 1), os.Interrupt)
	terminate := make(chan os.Signal, 1)
	signal.Notify(terminate, syscall.SIGTERM)
	<-terminate
	terminateJobs(server, hosted)
	os.Exit(exitOK)
}

// steady is a handler that heeds signals from Configure on: before, there are
// no jobs to end, and the host waits. The ballast comes with the second job: it starts
// a collection, which an instance with one job would wait for in vain.
type steady struct {
	*Handler
	heed    func()
	heeds   sync.Once
	jobs    atomic.Int64
	ballast atomic.Pointer[[ballastBytes]byte]
}

// Configure implements wire.Handler.
func (s *steady) Configure(ctx context.Context, settings json.RawMessage, limits wire.Limits) []wire.Problem {
	s.heeds.Do(func() { go s.heed() })
	return s.Handler.Configure(ctx, settings, limits)
}

// Run implements wire.Handler.
func (s *steady) Run(ctx context.Context, start wire.Start, ev wire.Events) (wire.Values, error) {
	s.heeds.Do(func() { go s.heed() })
	if s.jobs.Add(1) == 2 {
		s.ballast.Store(new([ballastBytes]byte))
	}
	return s.Handler.Run(ctx, start, ev)
}

// terminateJobs cancels what runs and waits, for a bounded time, until the
// host has been told.
func terminateJobs(server *wire.Server, hosted *wire.Hosted) {
	ctx, cancel := context.WithTimeout(context.Background(), stopGrace)
	defer cancel()
	server.Abort(ctx, &wire.Problem{Kind: wire.Busy, Title: "the plugin is busy", Detail: "the instance was told to stop", Retryable: true})
	wait(flushGrace, hosted.Stop)
}

// wait calls f and returns when it has returned, or after the limit.
func wait(limit time.Duration, f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
}

// watchLifeline ends the program as soon as the host is gone: the host keeps
// the other end of a pipe open for as long as it lives.
func watchLifeline(stderr io.Writer) error {
	number := os.Getenv(wire.LifelineFD)
	if number == "" {
		return nil
	}
	fd, err := strconv.Atoi(number)
	if err != nil || fd <= 2 {
		return fmt.Errorf("%s=%q is not the number of a file descriptor", wire.LifelineFD, number)
	}
	var stat syscall.Stat_t
	if err := syscall.Fstat(fd, &stat); err != nil {
		return fmt.Errorf("%s=%d: %w", wire.LifelineFD, fd, err)
	}
	syscall.CloseOnExec(fd)
	if err := syscall.SetNonblock(fd, true); err != nil { // else the wait would hold a thread
		return fmt.Errorf("%s=%d: %w", wire.LifelineFD, fd, err)
	}
	lifeline := os.NewFile(uintptr(fd), "lifeline")
	go func() {
		_, _ = io.Copy(io.Discard, lifeline) // any end will do
		fmt.Fprintln(stderr, "the host is gone")
		endFamily()
	}()
	return nil
}

// hostLog writes log lines that belong to no job in the form that go-plugin
// hosts understand.
func hostLog(w io.Writer) slog.Handler {
	return slog.NewJSONHandler(w, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) > 0 {
			return a
		}
		switch a.Key {
		case slog.TimeKey:
			a.Key = "@timestamp"
		case slog.LevelKey:
			a.Key = "@level"
			if level, ok := a.Value.Any().(slog.Level); ok {
				a.Value = slog.StringValue(hclogLevel(level))
			}
		case slog.MessageKey:
			a.Key = "@message"
		}
		return a
	}})
}

func hclogLevel(l slog.Level) string {
	switch {
	case l < slog.LevelInfo:
		return "debug"
	case l < slog.LevelWarn:
		return "info"
	case l < slog.LevelError:
		return "warn"
	}
	return "error"
}
