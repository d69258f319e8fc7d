package sdk

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"geomill/sdk/wire"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
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

// serveHost serves the plugin to the host that started this program, and
// returns when the host has ended the connection for good. go-plugin ignores
// SIGINT, which a terminal sends to the host and to its plugins alike.
func serveHost(h *Handler) {
	ballast := make([]byte, ballastBytes)
	defer runtime.KeepAlive(ballast)
	stderr := os.Stderr
	if err := watchLifeline(stderr); err != nil {
		fmt.Fprintln(stderr, err)
		os.Exit(exitFailed)
	}
	slog.SetDefault(slog.New(hostLog(stderr)))
	server := wire.NewServer(&ownStreams{Handler: h, stdout: os.Stdout, stderr: stderr})
	if err := detach(server); err != nil {
		fmt.Fprintln(stderr, err)
		os.Exit(exitFailed)
	}
	var transport *grpc.Server
	terminate := make(chan os.Signal, 1)
	signal.Notify(terminate, syscall.SIGTERM)
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig:  wire.Handshake,
		VersionedPlugins: wire.PluginSet(server),
		GRPCServer: func(options []grpc.ServerOption) *grpc.Server {
			transport = grpc.NewServer(append(options, wire.GRPCServerOptions()...)...)
			go func() {
				<-terminate
				terminateJobs(server, transport)
				os.Exit(exitOK)
			}()
			return transport
		},
	})
}

// ownStreams gives processes the standard streams of the program. go-plugin
// replaces os.Stdout and os.Stderr before it serves, and passes on what is
// written to them at some later time, when the host cannot tell any more which
// job wrote it; the host reads the streams themselves too.
type ownStreams struct {
	*Handler
	stdout, stderr *os.File
	back           sync.Once
}

// Run implements wire.Handler.
func (h *ownStreams) Run(ctx context.Context, s wire.Start, ev wire.Events) (wire.Values, error) {
	h.back.Do(func() { os.Stdout, os.Stderr = h.stdout, h.stderr })
	return h.Handler.Run(ctx, s, ev)
}

// terminateJobs cancels what runs and waits, for a bounded time, until the
// host has been told.
func terminateJobs(server *wire.Server, transport *grpc.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), stopGrace)
	defer cancel()
	server.Abort(ctx, &wire.Problem{Kind: wire.Busy, Title: "the plugin is busy", Detail: "the instance was told to stop", Retryable: true})
	wait(flushGrace, transport.GracefulStop)
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
