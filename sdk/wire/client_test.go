package wire_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"geomill/sdk/ogc"
	"geomill/sdk/wire"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestInfoAndProcessesCrossWhole(t *testing.T) {
	t.Parallel()
	two := 2
	h := &handler{
		info: wire.Info{Name: "demo", Version: "1.2.3", SDK: "go/0.1.0", Capabilities: []string{"cancel.graceful"}, InstanceID: "x",
			SettingsSchema: json.RawMessage(`{"type":"object"}`)},
		processes: []wire.Process{
			{
				Description: ogc.Process{
					ProcessSummary: ogc.ProcessSummary{ID: "buffer", Version: "1", JobControlOptions: []ogc.JobControlOption{ogc.AsyncExecute}},
					Inputs:         map[string]ogc.Input{"a": {Schema: json.RawMessage(`{"type":"number"}`), MinOccurs: &two}},
					Outputs:        map[string]ogc.Output{"b": {Schema: json.RawMessage(`true`)}},
				},
				Policy: wire.Policy{Isolation: wire.PerJob, MaxConcurrency: 3, Timeout: time.Minute, RetryAttempts: 2, Deterministic: true,
					RetryBackoff: time.Second, RetryOn: []wire.RetryCause{wire.RetryHost, wire.RetryMemory, wire.RetryPlugin, wire.RetryProcess, wire.RetryTimeout}},
			},
			{Policy: wire.Policy{RetryOn: []wire.RetryCause{wire.RetryTimeout}}},
			{Policy: wire.Policy{Isolation: wire.Exclusive}},
			{Policy: wire.Policy{Isolation: wire.Shared}},
			{},
		},
	}
	_, conn := serve(t, h)
	client := wire.NewClient(conn)
	info, err := client.Info(t.Context())
	if diff := cmp.Diff(h.info, info); err != nil || diff != "" {
		t.Error(err, diff)
	}
	processes, err := client.Processes(t.Context())
	if diff := cmp.Diff(h.processes, processes); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func TestConfigureHandsOverSettingsAndReturnsProblems(t *testing.T) {
	t.Parallel()
	want := []wire.Problem{{Kind: wire.InvalidInput, Title: "wrong", Faults: []ogc.Fault{{Pointer: "/a", Message: "bad"}}}}
	_, conn := serve(t, &handler{configure: func(settings json.RawMessage, l wire.Limits) []wire.Problem {
		switch {
		case settings == nil && l == wire.Limits{}:
			return nil
		case string(settings) == `{"a":1}` && l == wire.Limits{MaxConcurrency: 2, InlineMaxBytes: 10}:
			return want
		default:
			panic(string(settings))
		}
	}})
	client := wire.NewClient(conn)
	if got, err := client.Configure(t.Context(), nil, wire.Limits{}); got != nil || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
	got, err := client.Configure(t.Context(), json.RawMessage(`{"a":1}`), wire.Limits{MaxConcurrency: 2, InlineMaxBytes: 10})
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	_, err = client.Configure(t.Context(), json.RawMessage(`{}`), wire.Limits{})
	if status.Code(errors.Unwrap(err)) != codes.Internal || !strings.HasPrefix(err.Error(), "configure plugin: ") {
		t.Errorf("a panic: %v", err)
	}
}

func TestFullInstanceIsBusy(t *testing.T) {
	t.Parallel()
	_, conn := serve(t, &handler{run: map[string]runFunc{"p": untilCancelled, "echo": echo}})
	client := wire.NewClient(conn)
	if _, err := client.Configure(t.Context(), nil, wire.Limits{MaxConcurrency: 1}); err != nil {
		t.Fatal(err)
	}
	session := open(t, conn)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := session.Run(ctx, wire.Start{JobID: "1", ProcessID: "p"}, patience, &recorder{on: func() {
		defer cancel()
		_, err := session.Run(t.Context(), wire.Start{JobID: "2", ProcessID: "echo"}, 0, discard{})
		wantBusy(t, err)
		if health, err := client.Check(t.Context()); err != nil || (health != wire.Health{Ready: true, InFlight: 1}) {
			t.Errorf("health %v, %v", health, err)
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	// The slot and the id are free as soon as the end is there.
	for range 2000 {
		if _, err := session.Run(t.Context(), wire.Start{JobID: "2", ProcessID: "echo"}, 0, discard{}); err != nil {
			t.Fatal(err)
		}
	}
}

func wantBusy(t *testing.T, err error) {
	t.Helper()
	var problem *wire.Problem
	if !errors.As(err, &problem) || problem.Kind != wire.Busy || !problem.Retryable {
		t.Errorf("got %v, want busy", err)
	}
}

func TestDrainRefusesJobsAndWaits(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	_, conn := serve(t, &handler{run: map[string]runFunc{"p": func(_ context.Context, _ wire.Start, ev wire.Events) (wire.Values, error) {
		ev.Progress(1, "")
		<-release
		return nil, nil
	}}})
	client, session := wire.NewClient(conn), open(t, conn)
	started := make(chan struct{})
	var job sync.WaitGroup
	job.Go(func() {
		_, err := session.Run(t.Context(), wire.Start{JobID: "1", ProcessID: "p"}, 0, &recorder{on: func() { close(started) }})
		if err != nil {
			t.Error(err)
		}
	})
	<-started
	if left, err := client.Drain(t.Context(), time.Millisecond); left != 1 || err != nil {
		t.Errorf("%d left, %v", left, err)
	}
	_, err := session.Run(t.Context(), wire.Start{JobID: "2", ProcessID: "p"}, 0, discard{})
	wantBusy(t, err)
	if health, err := client.Check(t.Context()); err != nil || health.Ready || health.Message != "draining" {
		t.Errorf("health %v, %v", health, err)
	}
	close(release)
	if left, err := client.Drain(t.Context(), patience); left != 0 || err != nil {
		t.Errorf("%d left, %v", left, err)
	}
	job.Wait()
}

// A plugin that accepts connections and never answers must not hold the host.
func TestCallsHaveADeadline(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(shortDir(t), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	client := wire.NewClient(dial(t, socket))
	var calls sync.WaitGroup
	for name, call := range map[string]func() error{
		"info":    func() error { _, err := client.Info(t.Context()); return err },
		"check":   func() error { _, err := client.Check(t.Context()); return err },
		"drain":   func() error { _, err := client.Drain(t.Context(), time.Millisecond); return err },
		"session": func() error { _, err := client.OpenSession(t.Context()); return err },
	} {
		calls.Go(func() {
			if err := call(); err == nil {
				t.Errorf("%s: no error", name)
			}
		})
	}
	calls.Wait()
}
