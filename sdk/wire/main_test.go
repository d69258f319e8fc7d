package wire_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"geomill/proto/processv1"
	"geomill/sdk/wire"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// childSocket names the environment variable that turns the test binary into
// a plugin end on that socket.
const childSocket = "GEOMILL_WIRE_TEST_SOCKET"

// patience is a deadline that only a hang reaches.
const patience = time.Minute

func TestMain(m *testing.M) {
	if socket := os.Getenv(childSocket); socket != "" {
		if err := serveChild(socket); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

type runFunc func(ctx context.Context, st wire.Start, ev wire.Events) (wire.Values, error)

// handler is a wire.Handler of functions by process id.
type handler struct {
	info      wire.Info
	processes []wire.Process
	configure func(settings json.RawMessage, l wire.Limits) []wire.Problem
	run       map[string]runFunc
}

func (h *handler) Info() wire.Info           { return h.info }
func (h *handler) Processes() []wire.Process { return h.processes }

func (h *handler) Configure(_ context.Context, settings json.RawMessage, l wire.Limits) []wire.Problem {
	if h.configure == nil {
		return nil
	}
	return h.configure(settings, l)
}

func (h *handler) Run(ctx context.Context, st wire.Start, ev wire.Events) (wire.Values, error) {
	run, ok := h.run[st.ProcessID]
	if !ok {
		return nil, &wire.Problem{Kind: wire.NoSuchProcess, Title: "no such process", Detail: st.ProcessID}
	}
	return run(ctx, st, ev)
}

// echo returns its inputs as outputs.
func echo(_ context.Context, st wire.Start, _ wire.Events) (wire.Values, error) {
	return st.Inputs, nil
}

// untilCancelled returns the cause of its context.
func untilCancelled(ctx context.Context, _ wire.Start, ev wire.Events) (wire.Values, error) {
	ev.Progress(1, "waiting")
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

// serve serves h on a Unix socket and returns a connection to it.
func serve(tb testing.TB, h wire.Handler) (*wire.Server, *grpc.ClientConn) {
	tb.Helper()
	server := wire.NewServer(h)
	conn := serveWith(tb, func(s *grpc.Server) error {
		server.Register(s)
		return nil
	})
	return server, conn
}

// serveWith serves what register registers.
func serveWith(tb testing.TB, register func(*grpc.Server) error) *grpc.ClientConn {
	tb.Helper()
	socket := filepath.Join(shortDir(tb), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		tb.Fatal(err)
	}
	s := grpc.NewServer(wire.GRPCServerOptions()...)
	if err := register(s); err != nil {
		tb.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(listener) })
	tb.Cleanup(func() {
		s.Stop()
		serving.Wait()
	})
	return dial(tb, socket)
}

// shortDir is a temporary directory whose path fits a socket's address.
func shortDir(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "w")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func dial(tb testing.TB, socket string) *grpc.ClientConn {
	tb.Helper()
	options := append(wire.GRPCDialOptions(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	conn, err := grpc.NewClient("unix:"+socket, options...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	return conn
}

func open(tb testing.TB, conn *grpc.ClientConn) *wire.Session {
	tb.Helper()
	s, err := wire.NewClient(conn).OpenSession(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Close)
	return s
}

// newSession is a session with a plugin end that runs the functions.
func newSession(tb testing.TB, run map[string]runFunc) *wire.Session {
	tb.Helper()
	_, conn := serve(tb, &handler{run: run})
	return open(tb, conn)
}

// eventually fails the test when ok stays false.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			tb.Fatalf("timed out: %s", what)
		}
	}
}

// recorder is a wire.Events that remembers.
type recorder struct {
	mu       sync.Mutex
	progress []float64
	lines    []line
	on       func() // called on each progress
}

type line struct {
	level   slog.Level
	message string
	fields  string
}

func (r *recorder) Progress(percent float64, _ string) {
	r.mu.Lock()
	r.progress = append(r.progress, percent)
	r.mu.Unlock()
	if r.on != nil {
		r.on()
	}
}

func (r *recorder) Log(level slog.Level, message string, fields json.RawMessage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, line{level, message, string(fields)})
}

// child starts the test binary as a plugin end in a process of its own.
func child(tb testing.TB) (conn *grpc.ClientConn, pid int) {
	tb.Helper()
	socket := filepath.Join(shortDir(tb), "s")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childSocket+"="+socket)
	cmd.Stderr = os.Stderr
	lifeline, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = lifeline.Close()
		if err := cmd.Wait(); err != nil {
			tb.Errorf("plugin end: %v", err)
		}
	})
	eventually(tb, "the plugin end listens", func() bool {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	return dial(tb, socket), cmd.Process.Pid
}

// serveChild serves until its standard input ends.
func serveChild(socket string) error {
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	h := &handler{run: map[string]runFunc{"echo": echo, "copy": copyFiles, "heap": heap}}
	s := wire.NewGRPCServer(wire.NewServer(h))
	s.RegisterService(&unaryService, h)
	done := make(chan error, 1)
	go func() { done <- s.Serve(listener) }()
	_, _ = os.Stdin.Read(make([]byte, 1))
	s.Stop()
	return <-done
}

// unaryService runs one job a call: what the session is measured against.
var unaryService = grpc.ServiceDesc{
	ServiceName: "unary",
	HandlerType: (*wire.Handler)(nil),
	Methods: []grpc.MethodDesc{{MethodName: "Run", Handler: func(srv any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		in := new(processv1.HostMessage)
		if err := decode(in); err != nil {
			return nil, err
		}
		st := wire.Start{JobID: in.GetJobId(), ProcessID: in.GetStart().GetProcessId()}
		for _, v := range in.GetStart().GetInputs() {
			st.Inputs = append(st.Inputs, wire.Named{ID: v.GetId(), Value: wire.Value{JSON: v.GetJson()}})
		}
		outputs, err := srv.(wire.Handler).Run(ctx, st, &recorder{})
		if err != nil {
			return nil, err
		}
		out := &processv1.Succeeded{}
		for _, v := range outputs {
			out.Outputs = append(out.Outputs, &processv1.Value{Id: v.ID, Kind: &processv1.Value_Json{Json: v.JSON}})
		}
		return &processv1.PluginMessage{JobId: in.GetJobId(), Kind: &processv1.PluginMessage_Succeeded{Succeeded: out}}, nil
	}}},
}

var errTest = errors.New("the test ended it")
