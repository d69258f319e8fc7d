package sdk_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"geomill/sdk"
	"geomill/sdk/wire"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

// asPlugin makes the test program a plugin.
const asPlugin = "GEOMILL_TEST_AS_PLUGIN"

// unfit is its value for one that cannot be served.
const unfit = "unfit"

// deadline catches hangs.
const deadline = time.Minute

func TestMain(m *testing.M) {
	if os.Getenv(asPlugin) == "" {
		os.Exit(m.Run())
	}
	if os.Getenv(asPlugin) == unfit {
		sdk.Serve(sdk.Plugin{Name: "Wrong Name", Version: "one"})
	}
	sdk.Serve(sdk.Plugin{Name: "test", Version: "1.0.0"},
		sdk.New(sdk.Info{ID: "wait"}, func(job *sdk.Job, _ none) (done, error) {
			job.Progress(1, "waits")
			<-job.Done()
			return done{}, job.Err()
		}),
		sdk.New(sdk.Info{ID: "helper"}, func(job *sdk.Job, _ none) (done, error) {
			c := job.Command("sleep", "300")
			if err := c.Start(); err != nil {
				return done{}, err
			}
			job.Progress(1, fmt.Sprint(c.Process.Pid))
			return done{}, c.Wait()
		}),
		sdk.New(sdk.Info{ID: "alone"}, func(job *sdk.Job, _ none) (done, error) {
			variables, err := job.Command("env").Output()
			return done{!strings.Contains(string(variables), wire.CookieKey)}, err
		}),
		sdk.New(sdk.Info{ID: "upper"}, upper),
		sdk.New(sdk.Info{ID: "print"}, func(job *sdk.Job, _ none) (done, error) {
			fmt.Println("to standard output")
			slog.Warn("outside of any job", "n", 1)
			return done{true}, nil
		}))
}

// stock is what a host of go-plugin's needs to know of the plugin.
type stock struct {
	goplugin.NetRPCUnsupportedPlugin
}

func (stock) GRPCServer(*goplugin.GRPCBroker, *grpc.Server) error { return errors.New("not a plugin") }

func (stock) GRPCClient(_ context.Context, _ *goplugin.GRPCBroker, c *grpc.ClientConn) (any, error) {
	return wire.NewClient(c), nil
}

// instance is a plugin process that go-plugin started.
type instance struct {
	client   *wire.Client
	cmd      *exec.Cmd
	gone     func() bool
	ask      func() error // to end
	lifeline *os.File     // the host's end
	stderr   *lockedBuffer
}

func launch(t *testing.T) *instance {
	t.Helper()
	plugins, host, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	i := &instance{cmd: exec.Command(os.Args[0]), lifeline: host, stderr: &lockedBuffer{}}
	sockets, err := os.MkdirTemp("", "s") // its name is short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(sockets) }) // a plugin that is killed leaves its own
	i.cmd.Env = append(os.Environ(), asPlugin+"=1", wire.LifelineFD+"=3", "TMPDIR="+sockets)
	i.cmd.ExtraFiles = []*os.File{plugins}
	p := goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig:  goplugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: wire.CookieKey, MagicCookieValue: wire.CookieValue},
		VersionedPlugins: map[int]goplugin.PluginSet{1: {"process": stock{}}},
		Cmd:              i.cmd,
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		GRPCDialOptions:  wire.GRPCDialOptions(),
		Stderr:           i.stderr,
	})
	i.gone = p.Exited
	t.Cleanup(func() {
		_ = host.Close() // ends the plugin
		eventually(t, "the plugin ends", p.Exited)
		p.Kill()
		_ = plugins.Close()
	})
	protocol, err := p.Client()
	if err != nil {
		t.Fatalf("start: %v\n%s", err, i.stderr)
	}
	i.ask = protocol.Close
	if err := protocol.Ping(); err != nil {
		t.Error(err)
	}
	dispensed, err := protocol.Dispense("process")
	if err != nil {
		t.Fatal(err)
	}
	client, ok := dispensed.(*wire.Client)
	if !ok {
		t.Fatalf("dispensed a %T", dispensed)
	}
	i.client = client
	return i
}

func (i *instance) run(t *testing.T, process string, ev wire.Events) (wire.Values, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	session, err := i.client.OpenSession(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	return session.Run(ctx, wire.Start{JobID: "j", ProcessID: process, Attempt: 1, Dir: t.TempDir()}, time.Second, ev)
}

func TestServesAHost(t *testing.T) {
	t.Parallel()
	i := launch(t)
	info, err := i.client.Info(t.Context())
	if err != nil || info.Name != "test" || info.InstanceID == "" || !strings.HasPrefix(info.SDK, "go/") {
		t.Errorf("info %+v, %v", info, err)
	}
	list, err := i.client.Processes(t.Context())
	if err != nil || len(list) != 5 {
		t.Errorf("processes %v, %v", list, err)
	}
	if p, err := i.client.Configure(t.Context(), []byte(`{"a":1}`), wire.Limits{}); err != nil || len(p) != 1 {
		t.Errorf("unknown settings: problems %v, %v", p, err)
	}
	if err := i.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	outputs, err := i.run(t, "print", events{})
	if err != nil || string(outputs.Get("done").JSON) != "true" {
		t.Errorf("outputs %v, %v", outputs, err)
	}
	eventually(t, "the log line arrives", func() bool {
		return strings.Contains(i.stderr.String(), `"@level":"warn","@message":"outside of any job","n":1`)
	})
	var p *wire.Problem
	if _, err := i.run(t, "nothing", events{}); !errors.As(err, &p) || p.Kind != wire.NoSuchProcess {
		t.Errorf("error %v", err)
	}
}

func TestAProgramThatAJobStartsIsStartedByNoHost(t *testing.T) {
	t.Parallel()
	outputs, err := launch(t).run(t, "alone", events{})
	if err != nil || string(outputs.Get("done").JSON) != "true" {
		t.Errorf("outputs %v, %v", outputs, err)
	}
}

func TestIsEndedByGoPlugin(t *testing.T) {
	t.Parallel()
	i := launch(t)
	_ = i.ask() // as go-plugin does before it kills, which a busy machine would bring about
	eventually(t, "the plugin ends", i.gone)
	if code := i.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d\n%s", code, i.stderr)
	}
}

func TestItsSocketIsNotInTheWorkingDirectory(t *testing.T) {
	t.Parallel()
	launch(t)
	if left, err := filepath.Glob("plugin*"); err != nil || slices.ContainsFunc(left, func(name string) bool {
		fi, err := os.Stat(name)
		return err == nil && fi.Mode()&os.ModeSocket != 0
	}) {
		t.Errorf("%v, %v", left, err)
	}
}

func TestRefusesAHostThatWantsTLS(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), asPlugin+"=1", wire.CookieKey+"="+wire.CookieValue, "PLUGIN_CLIENT_CERT=x")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "TLS") {
		t.Errorf("%v, %q", err, out)
	}
}

func TestAPluginThatCannotBeServedTellsTheHostWhy(t *testing.T) {
	t.Parallel()
	for cookie, status := range map[string]int{wire.CookieValue: wire.ExitUnfit, "": 1} {
		var said strings.Builder
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env, cmd.Stderr = append(os.Environ(), asPlugin+"="+unfit, wire.CookieKey+"="+cookie), &said
		var ended *exec.ExitError
		if err := cmd.Run(); !errors.As(err, &ended) || ended.ExitCode() != status {
			t.Errorf("cookie %q: %v, want status %d", cookie, err, status)
		}
		if !strings.Contains(said.String(), "Wrong Name") || strings.Contains(said.String(), "cannot be served") != (cookie == "") {
			t.Errorf("cookie %q: %q", cookie, &said)
		}
	}
}

func TestEndsWithItsHost(t *testing.T) {
	t.Parallel()
	i := launch(t)
	if err := i.lifeline.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the plugin ends", i.gone)
}

func TestTerminationCancelsJobsAndEnds(t *testing.T) {
	t.Parallel()
	i := launch(t)
	_, err := i.run(t, "wait", events{func() { _ = i.cmd.Process.Signal(syscall.SIGTERM) }})
	var p *wire.Problem
	if !errors.As(err, &p) || p.Kind != wire.Busy || !p.Retryable {
		t.Errorf("error %v", err)
	}
	eventually(t, "the plugin ends", i.gone)
}

func TestIsACommandWithoutAHost(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(os.Args[0], "version")
	cmd.Env = append(os.Environ(), asPlugin+"=1")
	if out, err := cmd.Output(); err != nil || string(out) != "test 1.0.0\n" {
		t.Errorf("%q, %v", out, err)
	}
}

// events calls a function at the first sign of a job.
type events struct{ started func() }

func (e events) Progress(float64, string) {
	if e.started != nil {
		e.started()
	}
}

func (events) Log(slog.Level, string, json.RawMessage) {}

// eventually waits for a condition.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	timeout := time.After(deadline)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// lockedBuffer is a buffer that can be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
