package wire_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"geomill/sdk/ogc"
	"geomill/sdk/wire"

	"github.com/google/go-cmp/cmp"
)

func TestRunReturnsWhatTheProcessReturned(t *testing.T) {
	t.Parallel()
	session := newSession(t, map[string]runFunc{"echo": echo})
	tests := map[string]wire.Value{
		"json":             {JSON: json.RawMessage(`{"a":[1,2.50,"ü"]}`)},
		"json null":        {JSON: json.RawMessage(`null`)},
		"json with format": {JSON: json.RawMessage(`{"type":"Point"}`), MediaType: "application/geo+json"},
		"bytes":            {Data: []byte{0, 255, 1}, MediaType: "image/png"},
		"no bytes":         {Data: []byte{}, MediaType: "image/png"},
		"largest inline":   {Data: make([]byte, wire.InlineMaxBytes), MediaType: "image/png"},
	}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := wire.Start{JobID: name, ProcessID: "echo", Inputs: wire.ValuesOf(map[string]wire.Value{"v": want})}
			got, err := session.Run(t.Context(), st, 0, discard{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(wire.ValuesOf(map[string]wire.Value{"v": want}), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestStartCrossesWhole(t *testing.T) {
	t.Parallel()
	starts := make(chan wire.Start, 2)
	session := newSession(t, map[string]runFunc{"p": func(ctx context.Context, st wire.Start, _ wire.Events) (wire.Values, error) {
		if deadline, ok := ctx.Deadline(); ok != !st.Deadline.IsZero() || !deadline.Equal(st.Deadline) {
			return nil, fmt.Errorf("deadline of the context is %v", deadline)
		}
		starts <- st
		return nil, nil
	}})
	for _, want := range []wire.Start{
		{
			JobID: "1", ProcessID: "p", Attempt: 2, Inputs: wire.ValuesOf(map[string]wire.Value{"a": {JSON: json.RawMessage(`1`)}}),
			Outputs: map[string]string{"x": "image/png", "y": ""}, Dir: t.TempDir(), CheckpointDir: t.TempDir(),
			Deadline: time.Now().Add(time.Hour).UTC(), Trace: map[string]string{"traceparent": "00-1-2-01"},
		},
		{JobID: "2", ProcessID: "p", Attempt: 1, Inputs: wire.ValuesOf(map[string]wire.Value{}), Outputs: map[string]string{}},
		{JobID: "3", ProcessID: "p", Attempt: 1, Inputs: wire.ValuesOf(map[string]wire.Value{})},
	} {
		if _, err := session.Run(t.Context(), want, 0, discard{}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, <-starts); diff != "" {
			t.Errorf("job %s: %s", want.JobID, diff)
		}
	}
}

func TestErrorsOfTheHandlerCrossAsProblems(t *testing.T) {
	t.Parallel()
	full := &wire.Problem{
		Kind: wire.InvalidInput, Title: "wrong", Detail: "two things are wrong", Retryable: true, Status: 422, Code: "A.b-2",
		Faults: []ogc.Fault{{Input: "a", Pointer: "/0", Message: "bad"}, {Message: "worse"}},
	}
	tests := map[string]struct {
		run  runFunc
		want wire.Problem
	}{
		"problem":         {fails(full), *full},
		"wrapped problem": {fails(fmt.Errorf("look: %w", full)), *full},
		"no status":       {fails(&wire.Problem{Title: "a", Status: 399, Code: "a b"}), wire.Problem{Title: "a"}},
		"no code":         {fails(&wire.Problem{Title: "a", Status: 600, Code: strings.Repeat("a", 101)}), wire.Problem{Title: "a"}},
		"any error":       {fails(errTest), wire.Problem{Title: "the process failed", Detail: errTest.Error()}},
		"not UTF-8":       {fails(errors.New("a\xffb")), wire.Problem{Title: "the process failed", Detail: "a\uFFFDb"}},
		"panic": {
			func(context.Context, wire.Start, wire.Events) (wire.Values, error) { panic("boom") },
			wire.Problem{Kind: wire.Panicked, Title: "the process panicked", Detail: "panic: boom"},
		},
		"goroutine ended": {
			func(context.Context, wire.Start, wire.Events) (wire.Values, error) {
				runtime.Goexit()
				return nil, nil
			},
			wire.Problem{Title: "the process failed", Detail: "the process ended its goroutine without a result"},
		},
		"too many outputs": {
			func(context.Context, wire.Start, wire.Events) (wire.Values, error) {
				var outputs wire.Values
				for i := range 1025 {
					outputs = append(outputs, wire.Named{ID: fmt.Sprint(i), Value: wire.Value{JSON: json.RawMessage("1")}})
				}
				return outputs, nil
			},
			wire.Problem{Title: "too many outputs", Detail: "the process returned 1025 outputs, more than 1024"},
		},
		"empty value": {
			returns(wire.Value{}),
			wire.Problem{Title: "an output cannot be handed over", Detail: `output "v": value is empty: neither JSON nor bytes nor a file`},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			session := newSession(t, map[string]runFunc{"p": test.run, "echo": echo})
			_, err := session.Run(t.Context(), wire.Start{JobID: "1", ProcessID: "p"}, patience, discard{})
			var problem *wire.Problem
			if !errors.As(err, &problem) {
				t.Fatalf("got %v", err)
			}
			if diff := cmp.Diff(test.want, *problem); diff != "" {
				t.Error(diff)
			}
			if _, err := session.Run(t.Context(), wire.Start{JobID: "2", ProcessID: "echo"}, 0, discard{}); err != nil {
				t.Errorf("the next job: %v", err)
			}
		})
	}
}

func TestPanicLeavesItsStackInTheLog(t *testing.T) {
	t.Parallel()
	session := newSession(t, map[string]runFunc{"p": panicsDeep})
	events := &recorder{}
	_, err := session.Run(t.Context(), wire.Start{JobID: "1", ProcessID: "p"}, 0, events)
	if err == nil || len(events.lines) != 1 {
		t.Fatalf("error %v, lines %v", err, events.lines)
	}
	got := events.lines[0]
	if got.level != slog.LevelError || !strings.Contains(got.fields, "panicsDeep") {
		t.Errorf("got %v", got)
	}
}

func panicsDeep(context.Context, wire.Start, wire.Events) (wire.Values, error) {
	var values []int
	return nil, fmt.Errorf("%d", values[3])
}

func TestEventsArriveInOrder(t *testing.T) {
	t.Parallel()
	session := newSession(t, map[string]runFunc{"p": func(_ context.Context, _ wire.Start, ev wire.Events) (wire.Values, error) {
		ev.Log(slog.LevelDebug, "one", nil)
		ev.Log(slog.LevelInfo, "two", json.RawMessage(`{"a":1}`))
		ev.Log(slog.LevelWarn, "three", json.RawMessage(`{`))
		ev.Progress(250, "too far")
		return nil, nil
	}})
	events := &recorder{}
	if _, err := session.Run(t.Context(), wire.Start{JobID: "1", ProcessID: "p"}, 0, events); err != nil {
		t.Fatal(err)
	}
	want := []line{{slog.LevelDebug, "one", ""}, {slog.LevelInfo, "two", `{"a":1}`}, {slog.LevelWarn, "three", ""}}
	if diff := cmp.Diff(want, events.lines, cmp.AllowUnexported(line{})); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]float64{100}, events.progress); diff != "" {
		t.Error(diff)
	}
}

func TestCancelReachesTheHandlerWithReasonAndGrace(t *testing.T) {
	t.Parallel()
	causes := make(chan error, 1)
	session := newSession(t, map[string]runFunc{"p": func(ctx context.Context, st wire.Start, ev wire.Events) (wire.Values, error) {
		_, err := untilCancelled(ctx, st, ev)
		causes <- err
		return nil, err
	}})
	ctx, cancel := context.WithCancelCause(t.Context())
	events := &recorder{on: func() { cancel(errTest) }}
	_, err := session.Run(ctx, wire.Start{JobID: "1", ProcessID: "p"}, patience, events)
	if err != errTest {
		t.Errorf("got %v", err)
	}
	var cancelled *wire.CancelledError
	if cause := <-causes; !errors.As(cause, &cancelled) || !errors.Is(cause, context.Canceled) ||
		cancelled.Reason != errTest.Error() || cancelled.Grace != patience {
		t.Errorf("cause in the handler: %v", cause)
	}
}

func TestSuccessAfterCancelCountsAsCancelled(t *testing.T) {
	t.Parallel()
	session := newSession(t, map[string]runFunc{"p": func(ctx context.Context, st wire.Start, ev wire.Events) (wire.Values, error) {
		_, _ = untilCancelled(ctx, st, ev)
		return wire.ValuesOf(map[string]wire.Value{"v": {JSON: json.RawMessage(`1`)}}), nil
	}})
	ctx, cancel := context.WithCancelCause(t.Context())
	events := &recorder{on: func() { cancel(errTest) }}
	out, err := session.Run(ctx, wire.Start{JobID: "1", ProcessID: "p"}, patience, events)
	if err != errTest || out != nil {
		t.Errorf("got %v, %v", out, err)
	}
}

func TestJobThatIgnoresCancelIsGivenUpAfterTheGrace(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	session := newSession(t, map[string]runFunc{"stubborn": func(_ context.Context, _ wire.Start, ev wire.Events) (wire.Values, error) {
		ev.Progress(1, "")
		<-release
		return nil, nil
	}})
	ctx, cancel := context.WithCancelCause(t.Context())
	st := wire.Start{JobID: "1", ProcessID: "stubborn"}
	_, err := session.Run(ctx, st, 10*time.Millisecond, &recorder{on: func() { cancel(errTest) }})
	var unresponsive *wire.UnresponsiveError
	if !errors.As(err, &unresponsive) || !errors.Is(err, errTest) || unresponsive.Grace != 10*time.Millisecond {
		t.Fatalf("got %v", err)
	}
	// Refused by this end: the plugin's own refusal would be a problem.
	if _, err := session.Run(t.Context(), st, 0, discard{}); err == nil || errors.As(err, new(*wire.Problem)) {
		t.Errorf("the id was used while the plugin still runs the job: %v", err)
	}
	close(release)
	eventually(t, "the id is free again", func() bool {
		_, err := session.Run(t.Context(), st, 0, discard{})
		return err == nil
	})
}

func TestSecondRunOfARunningJobFails(t *testing.T) {
	t.Parallel()
	session := newSession(t, map[string]runFunc{"p": untilCancelled})
	ctx, cancel := context.WithCancel(t.Context())
	st := wire.Start{JobID: "1", ProcessID: "p"}
	_, err := session.Run(ctx, st, patience, &recorder{on: func() {
		defer cancel()
		if _, err := session.Run(t.Context(), st, 0, discard{}); err == nil {
			t.Error("no error")
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestEndedContextSendsNothing(t *testing.T) {
	t.Parallel()
	session := newSession(t, nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errTest)
	if _, err := session.Run(ctx, wire.Start{JobID: "1"}, 0, discard{}); err != errTest {
		t.Error(err)
	}
	if n := session.InFlight(); n != 0 {
		t.Errorf("%d jobs in flight", n)
	}
}

func TestLostConnectionEndsEveryJob(t *testing.T) {
	t.Parallel()
	server, conn := serve(t, &handler{run: map[string]runFunc{"p": untilCancelled}})
	session := open(t, conn)
	var running, ended sync.WaitGroup
	for i := range 5 {
		running.Add(1)
		ended.Go(func() {
			st := wire.Start{JobID: fmt.Sprint(i), ProcessID: "p"}
			_, err := session.Run(t.Context(), st, 0, &recorder{on: running.Done})
			var lost *wire.LostError
			if !errors.As(err, &lost) {
				t.Errorf("job %d: %v", i, err)
			}
		})
	}
	running.Wait()
	if session.InFlight() != 5 || server.InFlight() != 5 || session.Err() != nil {
		t.Errorf("in flight: %d, %d; error %v", session.InFlight(), server.InFlight(), session.Err())
	}
	_ = conn.Close()
	ended.Wait()
	<-session.Done()
	if session.Err() == nil {
		t.Error("no error")
	}
	if _, err := session.Run(t.Context(), wire.Start{JobID: "x", ProcessID: "p"}, 0, discard{}); !errors.As(err, new(*wire.LostError)) {
		t.Errorf("run after the end: %v", err)
	}
	eventually(t, "the plugin end cancels its jobs", func() bool { return server.InFlight() == 0 })
}

func TestCloseEndsJobsOnBothEnds(t *testing.T) {
	t.Parallel()
	server, conn := serve(t, &handler{run: map[string]runFunc{"p": untilCancelled, "echo": echo}})
	session := open(t, conn)
	_, err := session.Run(t.Context(), wire.Start{JobID: "1", ProcessID: "p"}, 0, &recorder{on: session.Close})
	if !errors.Is(err, wire.ErrClosed) {
		t.Errorf("got %v", err)
	}
	eventually(t, "the plugin end cancels its jobs", func() bool { return server.InFlight() == 0 })
	if _, err := open(t, conn).Run(t.Context(), wire.Start{JobID: "1", ProcessID: "echo"}, 0, discard{}); err != nil {
		t.Errorf("a new session: %v", err)
	}
}

func TestOneSessionAtATime(t *testing.T) {
	t.Parallel()
	_, conn := serve(t, &handler{run: map[string]runFunc{"echo": echo}})
	first := open(t, conn)
	if _, err := first.Run(t.Context(), wire.Start{JobID: "1", ProcessID: "echo"}, 0, discard{}); err != nil {
		t.Fatal(err)
	}
	second := open(t, conn)
	<-second.Done()
	if err := second.Err(); err == nil || !strings.Contains(err.Error(), "session already") {
		t.Errorf("got %v", err)
	}
	if _, err := first.Run(t.Context(), wire.Start{JobID: "2", ProcessID: "echo"}, 0, discard{}); err != nil {
		t.Error(err)
	}
}

func fails(err error) runFunc {
	return func(context.Context, wire.Start, wire.Events) (wire.Values, error) { return nil, err }
}

func returns(v wire.Value) runFunc {
	return func(context.Context, wire.Start, wire.Events) (wire.Values, error) {
		return wire.ValuesOf(map[string]wire.Value{"v": v}), nil
	}
}

// discard is a wire.Events that forgets.
type discard struct{}

func (discard) Progress(float64, string)                {}
func (discard) Log(slog.Level, string, json.RawMessage) {}
