package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"geomill/proto/processv1"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
)

// session is the host's end of a session, message by message, so that nothing
// that the plugin does wrong is made up for.
type session struct {
	probe  *probe
	in     *instance
	stream grpc.BidiStreamingClient[processv1.SessionRequest, processv1.SessionResponse]
	cancel context.CancelFunc
	over   chan struct{} // closed when the stream has ended

	mu   sync.Mutex
	jobs map[string]*run
	err  error // valid after over
}

// run is one job in a session.
type run struct {
	id      string
	dir     string
	process *process
	grace   time.Duration // that it gets when it is cancelled
	ended   chan struct{}

	// Guarded by session.mu, until ended is closed.
	seq     uint64
	lowest  uint64 // of all but outputs
	twice   bool   // it was started twice
	extra   int    // messages after its end
	outputs []*processv1.Value
	end     *processv1.PluginMessage
}

// open returns the session of an instance, a new one if there is none.
func (p *probe) open(in *instance) (*session, error) {
	if in.session != nil && !in.session.lost() {
		return in.session, nil
	}
	s, err := p.dial(in)
	if err == nil {
		in.session = s
		go s.read()
	}
	return s, err
}

// dial begins a session of which nothing is read yet.
func (p *probe) dial(in *instance) (*session, error) {
	ctx, cancel := context.WithCancel(p.ctx)
	stream, err := processv1.NewProcessServiceClient(in.conn).Session(ctx)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("open session: %s", plain(err))
	}
	return &session{probe: p, in: in, stream: stream, cancel: cancel, over: make(chan struct{}), jobs: make(map[string]*run)}, nil
}

// read takes what the plugin sends until the stream ends.
func (s *session) read() {
	defer close(s.over)
	for {
		frame, err := s.stream.Recv()
		s.mu.Lock()
		if err != nil {
			s.err = err
			s.mu.Unlock()
			return
		}
		for _, m := range frame.GetMessages() {
			s.take(m)
		}
		s.mu.Unlock()
	}
}

// take notes one message, and what is wrong with it.
func (s *session) take(m *processv1.PluginMessage) {
	r := s.jobs[m.GetJobId()]
	if r == nil {
		s.probe.breach("own-jobs", "a message of kind %s came for job %.60q, which was never started", kind(m), m.GetJobId())
		return
	}
	if r.end != nil && r.twice {
		r.extra++
		return
	}
	if r.end != nil {
		s.probe.breach("one-end", "after %s of job %s came %s", kind(r.end), r.id, kind(m))
		return
	}
	if m.GetSeq() <= r.seq {
		s.probe.breach("seq-rising", "job %s: message %s has number %d after number %d", r.id, kind(m), m.GetSeq(), r.seq)
	}
	if r.seq = m.GetSeq(); m.GetOutput() == nil && r.lowest == 0 {
		r.lowest = m.GetSeq()
	}
	switch k := m.GetKind().(type) {
	case *processv1.PluginMessage_Progress:
		if v := k.Progress.GetPercent(); !(v >= 0 && v <= 100) {
			s.probe.breach("progress-range", "job %s: progress %v", r.id, v)
		}
	case *processv1.PluginMessage_Output:
		s.keep(r, k.Output)
	case *processv1.PluginMessage_Succeeded:
		for _, v := range k.Succeeded.GetOutputs() {
			s.keep(r, v)
		}
		s.finish(r, m)
	case *processv1.PluginMessage_Failed, *processv1.PluginMessage_Cancelled:
		s.finish(r, m)
	}
}

func (s *session) finish(r *run, end *processv1.PluginMessage) {
	r.end = end
	close(r.ended)
}

func (s *session) keep(r *run, v *processv1.Value) {
	r.outputs = append(r.outputs, v)
	if n := len(v.GetJson()) + len(v.GetData()); n > s.in.limits.inline && s.in.limits == usual {
		s.probe.breach("inline-limit", "output %s of process %s has %d bytes in the session", v.GetId(), r.process.id(), n)
	}
}

// send sends one frame.
func (s *session) send(messages ...*processv1.HostMessage) error {
	return s.sendFrame(&processv1.SessionRequest{Messages: messages})
}

func (s *session) sendFrame(frame *processv1.SessionRequest) error {
	err := s.stream.Send(frame)
	if errors.Is(err, io.EOF) {
		<-s.over
		return s.lostError()
	}
	return err
}

// lost reports whether the stream has ended.
func (s *session) lost() bool {
	select {
	case <-s.over:
		return true
	default:
		return false
	}
}

// lostError says how a session ended that should not have.
func (s *session) lostError() error {
	words := ""
	if s.in.gone(s.probe.ctx, 100*time.Millisecond) {
		words = " (the plugin ended: " + s.in.status() + ")"
	}
	return fmt.Errorf("the session ended: %s%s%s", plain(s.err), words, s.in.lastWords())
}

// await waits for the end of a job.
func (s *session) await(r *run, limit time.Duration) (*processv1.PluginMessage, error) {
	ctx, cancel := s.probe.patient(limit)
	defer cancel()
	select {
	case <-r.ended:
		return r.end, nil
	case <-s.over:
	case <-ctx.Done():
		return nil, fmt.Errorf("no end within %s", s.probe.within(limit))
	}
	select {
	case <-r.ended:
		return r.end, nil
	default:
		return nil, s.lostError()
	}
}

// close ends the session and waits until that is seen.
func (s *session) close() {
	s.cancel()
	<-s.over
}

func kind(m *processv1.PluginMessage) string {
	switch m.GetKind().(type) {
	case *processv1.PluginMessage_Accepted:
		return "accepted"
	case *processv1.PluginMessage_Progress:
		return "progress"
	case *processv1.PluginMessage_Log:
		return "log"
	case *processv1.PluginMessage_Output:
		return "output"
	case *processv1.PluginMessage_Succeeded:
		return "succeeded"
	case *processv1.PluginMessage_Failed:
		return "failed"
	case *processv1.PluginMessage_Cancelled:
		return "cancelled"
	}
	return "unknown"
}

// outcome tells the end of a job in words.
func outcome(end *processv1.PluginMessage) string {
	if f := end.GetFailed(); f != nil {
		return "failed: " + describeProblem(f.GetProblem())
	}
	return kind(end)
}

func describeProblem(p *processv1.Problem) string {
	text := p.GetTitle()
	if d := p.GetDetail(); d != "" && d != text {
		text += ": " + d
	}
	for i, f := range p.GetFaults() {
		if i == 3 {
			break
		}
		if strings.Contains(text, f.GetMessage()) {
			continue // the detail has it
		}
		text += fmt.Sprintf("; %s%s %s", f.GetInput(), f.GetPointer(), f.GetMessage())
	}
	return fmt.Sprintf("%.300s", text)
}

// plain is the text of a gRPC error without its wrapping.
func plain(err error) string {
	s := status.Convert(err)
	return fmt.Sprintf("%s: %.300s", s.Code(), s.Message())
}
