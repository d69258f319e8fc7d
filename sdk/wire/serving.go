package wire

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"geomill/proto/processv1"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// acceptedDelay is about how long a job has run before the host is told that it
// was taken. Most jobs end before, and an end says that too.
const acceptedDelay = 20 * time.Millisecond

// windDown bounds how long the end of a session waits for its jobs, whose
// contexts have ended.
const windDown = 5 * time.Second

var errSessionOver = errors.New("the session with the host is over")

// CancelledError is the cause of a job's context after the host cancelled the
// job.
type CancelledError struct {
	Reason string
	// Grace is how long the host waits for the end of the job, from when it
	// cancelled it.
	Grace time.Duration
}

func (e *CancelledError) Error() string { return "cancelled by the host: " + e.Reason }

// Unwrap returns context.Canceled.
func (e *CancelledError) Unwrap() error { return context.Canceled }

// maxIdle is how many goroutines wait for the next job. One that is used again
// has the stack that jobs need; growing it anew costs more than a small job.
const maxIdle = 64

// serving is a session on the plugin end. The goroutine of the stream reads,
// another one writes, and each job has one.
type serving struct {
	server *Server
	ctx    context.Context // of all its jobs
	out    *outbox
	over   chan struct{} // closed when another session may begin
	work   chan work     // to a goroutine that waits for a job
	idle   atomic.Int32  // how many do

	mu    sync.Mutex
	armed bool // accept is due
	jobs  map[string]*serverJob
	empty chan struct{} // not nil once the session winds down; closed when jobs is empty
}

// work is a job that is to be run.
type work struct {
	job   *serverJob
	start *processv1.Start
}

// Session implements the contract's ProcessService.
func (p *processes) Session(stream grpc.BidiStreamingServer[processv1.SessionRequest, processv1.SessionResponse]) error {
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(errSessionOver)
	s := &serving{
		server: p.server,
		ctx:    ctx,
		out:    newOutbox(stream.Send, p.server.release),
		over:   make(chan struct{}),
		work:   make(chan work),
		jobs:   make(map[string]*serverJob),
	}
	if err := p.server.begin(s); err != nil {
		return err
	}
	defer p.server.finish(s)
	var writer sync.WaitGroup
	writer.Go(func() {
		s.out.run(ctx)
		cancel(errSessionOver) // when it could not write
	})
	err := s.read(stream)
	cancel(errSessionOver)
	s.windDown()
	writer.Wait()
	return err
}

// begin makes s the session of the server, when the one before is over.
func (s *Server) begin(next *serving) error {
	for {
		s.mu.Lock()
		current := s.session
		if current == nil {
			s.session = next
		}
		s.mu.Unlock()
		if current == nil {
			return nil
		}
		if current.ctx.Err() == nil {
			return status.Error(codes.FailedPrecondition, "the instance has a session already")
		}
		select {
		case <-current.over:
		case <-next.ctx.Done():
			return status.FromContextError(next.ctx.Err()).Err()
		}
	}
}

func (s *Server) finish(session *serving) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.session = nil
	close(session.over)
}

func (s *serving) read(stream grpc.BidiStreamingServer[processv1.SessionRequest, processv1.SessionResponse]) error {
	for {
		frame, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, m := range frame.GetMessages() {
			switch k := m.GetKind().(type) {
			case *processv1.HostMessage_Start:
				if err := s.out.admit(s.ctx); err != nil {
					return err
				}
				s.start(m.GetJobId(), k.Start)
			case *processv1.HostMessage_Cancel:
				s.cancel(m.GetJobId(), k.Cancel)
			case *processv1.HostMessage_Attach:
				s.attach(m.GetJobId(), k.Attach)
			}
		}
	}
}

// start begins a job, or refuses it. That a job runs already is no reason to end
// it: a second start of it is ignored.
func (s *serving) start(id string, w *processv1.Start) {
	if s.job(id) != nil {
		return
	}
	j := &serverJob{id: id, session: s}
	if busy := s.server.admit(); busy != nil {
		j.end(failed(busy))
		return
	}
	if d := s.server.detached; d != nil {
		if busy := d.begin(j, w); busy != nil {
			s.server.release(1)
			j.end(failed(busy))
			return
		}
	} else {
		j.admitted = true
		j.ctx, j.stop = context.WithCancelCause(s.ctx)
	}
	s.mu.Lock()
	s.jobs[id] = j
	if !s.armed {
		s.armed = true
		time.AfterFunc(acceptedDelay, s.accept)
	}
	s.mu.Unlock()
	if p := s.server.refusal(); p != nil { // it came while Abort went round
		j.stop(p)
	}
	select {
	case s.work <- work{j, w}:
	default:
		go s.worker(work{j, w}) // windDown waits for its jobs
	}
}

// accept tells the host of the jobs that run, those it knows of left out.
func (s *serving) accept() {
	s.mu.Lock()
	jobs := slices.Collect(maps.Values(s.jobs))
	s.armed = false
	s.mu.Unlock()
	for _, j := range jobs {
		j.accept()
	}
}

// stop cancels all jobs.
func (s *serving) stop(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, j := range s.jobs {
		j.stop(cause)
	}
}

// worker runs a job, and further ones while there are any soon, until the
// session is over.
func (s *serving) worker(w work) {
	for {
		w.job.run(s.server, w.start)
		if s.idle.Add(1) > maxIdle {
			s.idle.Add(-1)
			return
		}
		select {
		case w = <-s.work:
			s.idle.Add(-1)
		case <-s.ctx.Done():
			return
		}
	}
}

func (s *serving) cancel(id string, w *processv1.Cancel) {
	if j := s.job(id); j != nil {
		j.stop(&CancelledError{Reason: w.GetReason(), Grace: duration(w.GetGrace())})
	}
}

// attach sends what the host has not seen of a job that goes on, or has ended.
// An instance that is not detached has not announced that, and ignores it.
func (s *serving) attach(id string, w *processv1.Attach) {
	if d := s.server.detached; d != nil && !d.attach(s, id, w.GetAfterSeq()) {
		j := &serverJob{id: id, session: s}
		j.end(failed(&Problem{Title: "the instance does not have this job"}))
	}
}

func (s *serving) job(id string) *serverJob {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.jobs[id]
}

func (s *serving) leave(j *serverJob) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.jobs, j.id)
	if len(s.jobs) == 0 && s.empty != nil {
		close(s.empty)
		s.empty = nil
	}
}

// windDown waits for the jobs of a session that is over. One that does not
// listen to its context is left behind; it still counts as in flight.
func (s *serving) windDown() {
	s.mu.Lock()
	if s.server.detached != nil { // its job goes on
		clear(s.jobs)
	}
	if len(s.jobs) == 0 {
		s.mu.Unlock()
		return
	}
	empty := make(chan struct{})
	s.empty = empty
	s.mu.Unlock()
	timer := time.NewTimer(windDown)
	defer timer.Stop()
	select {
	case <-empty:
	case <-timer.C:
	}
}
