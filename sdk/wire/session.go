package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"geomill/proto/processv1"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// The shape of the traffic in a session.
const (
	// frameBytes is the size at which a frame is sent although more waits.
	frameBytes = 512 << 10
	// queueLength is how many instructions of the host may wait to be sent.
	queueLength = 256
)

// Session carries all jobs of one instance (host end). One goroutine writes
// and one reads; neither ever waits for a job. It is safe for concurrent use.
type Session struct {
	stream  grpc.BidiStreamingClient[processv1.SessionRequest, processv1.SessionResponse]
	cancel  context.CancelFunc
	queue   chan instruction
	done    chan struct{}
	ends    sync.WaitGroup // reader and writer
	ignored atomic.Uint64

	mu   sync.Mutex
	jobs map[string]*run
	// left holds the jobs that did not end when they were cancelled. Their
	// ids are of no use until the plugin has ended them.
	left map[string]struct{}
	err  *LostError // set once, before done is closed
}

// instruction is a message of the host that waits to be sent.
type instruction struct {
	message *processv1.HostMessage
	size    int // bytes, roughly
}

// OpenSession opens the session of the instance. ctx bounds only the opening:
// the session lasts until Close, or until the plugin ends it. A plugin that
// has a session already refuses another one, which ends at once (see Err).
func (c *Client) OpenSession(ctx context.Context) (*Session, error) {
	ctx, cancelOpening := bounded(ctx, 0)
	defer cancelOpening()
	lasting, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	stream, err := c.processes.Session(lasting, callOptions()...)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("open session with plugin: %w", err)
	}
	s := &Session{
		stream: stream,
		cancel: cancel,
		queue:  make(chan instruction, queueLength),
		done:   make(chan struct{}),
		jobs:   make(map[string]*run),
		left:   make(map[string]struct{}),
	}
	s.ends.Go(s.read)
	s.ends.Go(s.write)
	return s, nil
}

// Done is closed when the session is over.
func (s *Session) Done() <-chan struct{} { return s.done }

// Err returns nil while the session lasts and a *LostError afterwards, whose
// cause is ErrClosed if the host closed it.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		return nil
	}
	return s.err
}

// InFlight returns the number of jobs in Run.
func (s *Session) InFlight() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.jobs)
}

// Runs reports whether the plugin has a job, be it one that was given up.
func (s *Session) Runs(jobID string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, left := s.left[jobID]
	return left || s.jobs[jobID] != nil
}

// Ignored returns how many messages of the plugin had no place: for a job
// that is not there, after its end, or numbered out of turn.
func (s *Session) Ignored() uint64 { return s.ignored.Load() }

// Close ends the session and waits for its goroutines. Jobs that still run
// end with a *LostError.
func (s *Session) Close() {
	s.end(ErrClosed)
	s.ends.Wait()
}

// end ends the session for the first cause given.
func (s *Session) end(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return
	}
	s.err = &LostError{Cause: cause}
	close(s.done)
	s.cancel()
	for _, r := range s.jobs {
		r.notify()
	}
}

func (s *Session) over() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// join makes a job known to the reader.
func (s *Session) join(r *run) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	_, taken := s.jobs[r.start.JobID]
	_, left := s.left[r.start.JobID]
	if taken || left {
		return fmt.Errorf("job %s already runs in this session", r.start.JobID)
	}
	s.jobs[r.start.JobID] = r
	return nil
}

func (s *Session) leave(r *run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.jobs, r.start.JobID)
	if r.unended {
		s.left[r.start.JobID] = struct{}{}
	}
}

// addressee returns the job that a message is for, or nil.
func (s *Session) addressee(m *processv1.PluginMessage) *run {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.jobs[m.GetJobId()]
	if r == nil && len(s.left) > 0 && isEnd(m) {
		delete(s.left, m.GetJobId())
	}
	return r
}

func (s *Session) read() {
	for {
		frame, err := s.stream.Recv()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = errors.New("the plugin ended the session")
			} else if oversize(err) {
				err = fmt.Errorf("%w: %w", ErrTooLarge, err)
			}
			s.end(err)
			return
		}
		for _, m := range frame.GetMessages() {
			r := s.addressee(m)
			if r == nil {
				s.ignored.Add(1)
				continue
			}
			wake, ok := r.box.receive(m)
			if !ok {
				s.ignored.Add(1)
			}
			if wake {
				r.notify()
			}
		}
	}
}

// oversize tells by its words that gRPC refused to receive a message: the code is
// one that plugins may send for reasons of their own.
func oversize(err error) bool {
	s, ok := status.FromError(err)
	return ok && s.Code() == codes.ResourceExhausted && strings.Contains(s.Message(), "larger than max")
}

func (s *Session) write() {
	for {
		var next instruction
		select {
		case next = <-s.queue:
		case <-s.done:
			return
		}
		// Whoever is ready to run may have something for the same frame.
		runtime.Gosched()
		if err := s.stream.Send(s.gather(next)); err != nil {
			if !errors.Is(err, io.EOF) { // else the reader gets the reason
				s.end(fmt.Errorf("send to plugin: %w", err))
			}
			return
		}
	}
}

// gather makes a frame of first and of what waits behind it.
func (s *Session) gather(first instruction) *processv1.SessionRequest {
	frame := &processv1.SessionRequest{Messages: append(make([]*processv1.HostMessage, 0, 1+len(s.queue)), first.message)}
	for size := first.size; size < frameBytes; {
		select {
		case next := <-s.queue:
			frame.Messages = append(frame.Messages, next.message)
			size += next.size
		default:
			return frame
		}
	}
	return frame
}
