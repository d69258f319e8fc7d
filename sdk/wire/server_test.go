package wire_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"geomill/proto/processv1"
	"geomill/sdk/wire"

	"google.golang.org/grpc"
)

type hostStream = grpc.BidiStreamingClient[processv1.SessionRequest, processv1.SessionResponse]

// rawSession is a host end without manners.
func rawSession(t *testing.T, conn *grpc.ClientConn) hostStream {
	t.Helper()
	stream, err := processv1.NewProcessServiceClient(conn).Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func startMessage(id, process string) *processv1.HostMessage {
	return &processv1.HostMessage{JobId: id, Kind: &processv1.HostMessage_Start{Start: &processv1.Start{ProcessId: process}}}
}

func sendAll(t *testing.T, s hostStream, messages ...*processv1.HostMessage) {
	t.Helper()
	if err := s.Send(&processv1.SessionRequest{Messages: messages}); err != nil {
		t.Fatal(err)
	}
}

func receive(t *testing.T, s hostStream) []*message {
	t.Helper()
	frame, err := s.Recv()
	if err != nil {
		t.Fatal(err)
	}
	return frame.GetMessages()
}

// receiveJob receives the messages of a job up to its end, and the number of
// frames they came in.
func receiveJob(t *testing.T, s hostStream) (list []*message, frames int) {
	t.Helper()
	for {
		list = append(list, receive(t, s)...)
		frames++
		last := list[len(list)-1]
		if last.GetSucceeded() != nil || last.GetFailed() != nil || last.GetCancelled() != nil {
			return list, frames
		}
	}
}

// On a machine so slow that a job takes longer than an accepted message waits,
// some jobs are answered by two.
func TestShortJobIsAnsweredByOneMessage(t *testing.T) {
	t.Parallel()
	_, conn := serve(t, &handler{run: map[string]runFunc{"echo": echo}})
	stream := rawSession(t, conn)
	job := 0
	eventually(t, "a job is answered by one message", func() bool {
		job++
		sendAll(t, stream, startMessage(strconv.Itoa(job), "echo"))
		got, frames := receiveJob(t, stream)
		if last := got[len(got)-1]; last.GetSucceeded() == nil || last.GetSeq() != 1 && len(got) == 1 {
			t.Errorf("got %v", got)
		}
		return frames == 1 && len(got) == 1
	})
}

func TestAcceptedOfALongJobLeavesByItself(t *testing.T) {
	t.Parallel()
	_, conn := serve(t, &handler{run: map[string]runFunc{"p": func(ctx context.Context, _ wire.Start, _ wire.Events) (wire.Values, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}})
	stream := rawSession(t, conn)
	for _, id := range []string{"1", "2"} {
		sendAll(t, stream, startMessage(id, "p"))
		if got := receive(t, stream); len(got) != 1 || got[0].GetAccepted() == nil || got[0].GetJobId() != id {
			t.Errorf("got %v", got)
		}
	}
}

func TestAbortFailsTheJobsThatRunAndThoseThatWouldStart(t *testing.T) {
	t.Parallel()
	started := make(chan struct{})
	server, conn := serve(t, &handler{run: map[string]runFunc{"p": func(ctx context.Context, _ wire.Start, _ wire.Events) (wire.Values, error) {
		close(started)
		<-ctx.Done()
		return nil, errors.New("whatever")
	}}})
	stream := rawSession(t, conn)
	sendAll(t, stream, startMessage("1", "p"))
	<-started
	server.Abort(t.Context(), &wire.Problem{Kind: wire.Busy, Title: "about to end"})
	sendAll(t, stream, startMessage("2", "p"))
	for _, id := range []string{"1", "2"} {
		got, _ := receiveJob(t, stream)
		if end := got[len(got)-1]; end.GetJobId() != id || end.GetFailed().GetProblem().GetTitle() != "about to end" {
			t.Errorf("got %v", got)
		}
	}
}

func TestCancelIsAnsweredByCancelled(t *testing.T) {
	t.Parallel()
	_, conn := serve(t, &handler{run: map[string]runFunc{"p": func(ctx context.Context, _ wire.Start, _ wire.Events) (wire.Values, error) {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}}})
	stream := rawSession(t, conn)
	cancel := &processv1.HostMessage{JobId: "1", Kind: &processv1.HostMessage_Cancel{Cancel: &processv1.Cancel{Reason: "enough"}}}
	unknown := &processv1.HostMessage{JobId: "2", Kind: &processv1.HostMessage_Cancel{Cancel: &processv1.Cancel{}}}
	sendAll(t, stream, startMessage("1", "p"), unknown, cancel)
	got, _ := receiveJob(t, stream)
	if end := got[len(got)-1].GetCancelled(); end == nil || !strings.Contains(end.GetMessage(), "enough") {
		t.Errorf("got %v", got)
	}
}

func TestWhatIsNotForThisInstanceIsIgnored(t *testing.T) {
	t.Parallel()
	_, conn := serve(t, &handler{run: map[string]runFunc{"p": untilCancelled}})
	stream := rawSession(t, conn)
	attach := &processv1.HostMessage{JobId: "1", Kind: &processv1.HostMessage_Attach{Attach: &processv1.Attach{}}}
	cancel := &processv1.HostMessage{JobId: "1", Kind: &processv1.HostMessage_Cancel{Cancel: &processv1.Cancel{}}}
	sendAll(t, stream, startMessage("1", "p"), startMessage("1", "p"), attach, cancel)
	if got, _ := receiveJob(t, stream); got[len(got)-1].GetCancelled() == nil {
		t.Errorf("got %v", got)
	}
}

func TestHalfClosedSessionEnds(t *testing.T) {
	t.Parallel()
	server, conn := serve(t, &handler{run: map[string]runFunc{"p": untilCancelled}})
	stream := rawSession(t, conn)
	sendAll(t, stream, startMessage("1", "p"))
	receive(t, stream)
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := stream.Recv(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if n := server.InFlight(); n != 0 {
		t.Errorf("%d jobs in flight", n)
	}
}

// A host that sends and never reads is not served without end.
func TestHostThatDoesNotReadIsHeldBack(t *testing.T) {
	t.Parallel()
	server, conn := serve(t, &handler{run: map[string]runFunc{"p": returns(wire.Value{Data: make([]byte, 100<<10)})}})
	if _, err := wire.NewClient(conn).Configure(t.Context(), nil, wire.Limits{MaxConcurrency: 64}); err != nil {
		t.Fatal(err)
	}
	stream := rawSession(t, conn)
	var jobs int
	send := func() {
		var frame []*processv1.HostMessage
		for range 32 {
			frame = append(frame, startMessage(strconv.Itoa(jobs), "p"))
			jobs++
		}
		sendAll(t, stream, frame...)
	}
	for range 32 {
		send()
	}
	// Every job gets one end, be it busy, once the host reads.
	ends := 0
	for ends < jobs {
		for _, m := range receive(t, stream) {
			if m.GetSucceeded() != nil || m.GetFailed().GetProblem().GetKind() == processv1.ProblemKind_PROBLEM_KIND_BUSY {
				ends++
			}
		}
	}
	if n := server.InFlight(); n != 0 {
		t.Errorf("%d jobs in flight", n)
	}
}

func TestInputFilesOutsideTheJobDirectoryAreRefused(t *testing.T) {
	t.Parallel()
	_, conn := serve(t, &handler{run: map[string]runFunc{"echo": echo}})
	dir := filepath.Join(t.TempDir(), "job")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	stream := rawSession(t, conn)
	m := startMessage("1", "echo")
	m.GetStart().JobDir = dir
	m.GetStart().Inputs = []*processv1.Value{named("a", fileValue("../x", 0))}
	sendAll(t, stream, m)
	got, _ := receiveJob(t, stream)
	if p := got[len(got)-1].GetFailed().GetProblem(); !strings.Contains(p.GetDetail(), `input "a"`) {
		t.Errorf("got %v", got)
	}
}

func TestEventsAfterTheEndAreDropped(t *testing.T) {
	t.Parallel()
	late := make(chan wire.Events, 1)
	_, conn := serve(t, &handler{run: map[string]runFunc{"echo": echo, "p": func(_ context.Context, _ wire.Start, ev wire.Events) (wire.Values, error) {
		late <- ev
		return nil, nil
	}}})
	stream := rawSession(t, conn)
	sendAll(t, stream, startMessage("1", "p"))
	receiveJob(t, stream)
	ev := <-late
	ev.Progress(50, "late")
	ev.Log(0, "late", json.RawMessage(`{}`))
	sendAll(t, stream, startMessage("2", "echo"))
	got, _ := receiveJob(t, stream)
	for _, m := range got {
		if m.GetJobId() != "2" {
			t.Errorf("got %v", m)
		}
	}
}
