package wire

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"geomill/proto/processv1"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// maxJobs is how many jobs an instance runs at once when the host set
	// no limit, or a larger one.
	maxJobs = 4096
	// maxDrain is the longest that a Drain is waited for.
	maxDrain = time.Hour
)

// Server is the plugin's end of the connection: it serves the contract by
// calling a Handler.
type Server struct {
	handler  Handler
	detached *detached // nil: jobs end with their session

	mu       sync.Mutex
	limits   Limits
	draining bool
	aborted  *Problem // what jobs are refused with after Abort
	inFlight int
	idle     chan struct{} // not nil while someone drains; closed when inFlight is 0
	session  *serving      // the current one; nil when there is none
}

// NewServer returns a Server for h. It starts nothing.
func NewServer(h Handler) *Server {
	return &Server{handler: h, limits: Limits{MaxConcurrency: maxJobs, InlineMaxBytes: InlineMaxBytes}}
}

// InFlight returns the number of jobs that run.
func (s *Server) InFlight() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inFlight
}

// Register registers both services of the contract.
func (s *Server) Register(r grpc.ServiceRegistrar) {
	processv1.RegisterControlServiceServer(r, &control{server: s})
	processv1.RegisterProcessServiceServer(r, &processes{server: s})
}

// admit takes a slot for a job, or says why there is none. A slot is given
// back by release.
func (s *Server) admit() *Problem {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.aborted != nil {
		return s.aborted
	}
	if s.draining {
		return &Problem{Kind: Busy, Title: "the plugin is busy", Detail: "the instance is about to end and takes no more jobs", Retryable: true}
	}
	if s.inFlight >= s.limits.MaxConcurrency {
		return &Problem{Kind: Busy, Title: "the plugin is busy", Detail: fmt.Sprintf("the instance runs %d jobs, its limit", s.inFlight), Retryable: true}
	}
	s.inFlight++
	return nil
}

func (s *Server) release(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inFlight -= n
	if s.inFlight == 0 && s.idle != nil {
		close(s.idle)
		s.idle = nil
	}
}

func (s *Server) inlineMax() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int(s.limits.InlineMaxBytes)
}

// configure takes the host's limits as far as they are below this end's own.
func (s *Server) configure(l Limits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits = Limits{MaxConcurrency: maxJobs, InlineMaxBytes: InlineMaxBytes}
	if l.MaxConcurrency > 0 {
		s.limits.MaxConcurrency = min(l.MaxConcurrency, maxJobs)
	}
	if l.InlineMaxBytes > 0 {
		s.limits.InlineMaxBytes = min(l.InlineMaxBytes, InlineMaxBytes)
	}
}

// drain refuses jobs from now on and waits until none is left. It returns how
// many are.
func (s *Server) drain(ctx context.Context, deadline time.Duration) int {
	timer := time.NewTimer(deadline)
	defer timer.Stop()
	select {
	case <-s.refuse():
	case <-timer.C:
	case <-ctx.Done():
	}
	return s.InFlight()
}

// Abort fails the jobs that run, and those that would start, with p, and waits
// until the running ones have returned or ctx ends.
func (s *Server) Abort(ctx context.Context, p *Problem) {
	s.mu.Lock()
	s.aborted = p
	session := s.session
	s.mu.Unlock()
	if session != nil {
		session.stop(p)
	}
	if s.detached != nil {
		s.detached.stop(p)
	}
	select {
	case <-s.refuse():
	case <-ctx.Done():
	}
}

// refusal returns what Abort was called with, or nil.
func (s *Server) refusal() *Problem {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.aborted
}

// refuse makes admit refuse and returns a channel that is closed when the
// last job has ended.
func (s *Server) refuse() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
	if s.idle == nil {
		s.idle = make(chan struct{})
	}
	idle := s.idle
	if s.inFlight == 0 {
		close(idle)
		s.idle = nil
	}
	return idle
}

// control serves the life of the instance.
type control struct {
	processv1.UnimplementedControlServiceServer
	server *Server
}

func (c *control) GetInfo(context.Context, *processv1.GetInfoRequest) (_ *processv1.GetInfoResponse, err error) {
	defer panicked("get info", &err)
	info := c.server.handler.Info()
	if c.server.detached != nil {
		info.Capabilities = append(slices.Clone(info.Capabilities), CapabilityAttach)
	}
	return infoToWire(info), nil
}

func (c *control) Configure(ctx context.Context, r *processv1.ConfigureRequest) (_ *processv1.ConfigureResponse, err error) {
	defer panicked("configure", &err)
	l := limitsFromWire(r.GetLimits())
	c.server.configure(l)
	var settings json.RawMessage
	if len(r.GetSettingsJson()) > 0 {
		settings = r.GetSettingsJson()
	}
	response := &processv1.ConfigureResponse{}
	for _, p := range c.server.handler.Configure(ctx, settings, l) {
		response.Problems = append(response.Problems, problemToWire(&p))
	}
	return response, nil
}

func (c *control) Check(context.Context, *processv1.CheckRequest) (*processv1.CheckResponse, error) {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	r := &processv1.CheckResponse{Ready: !c.server.draining, InFlight: count(c.server.inFlight)}
	if c.server.draining {
		r.Message = "draining"
	}
	return r, nil
}

func (c *control) Drain(ctx context.Context, r *processv1.DrainRequest) (*processv1.DrainResponse, error) {
	left := c.server.drain(ctx, min(duration(r.GetDeadline()), maxDrain))
	return &processv1.DrainResponse{StillRunning: count(left)}, nil
}

// processes offers the processes and the session.
type processes struct {
	processv1.UnimplementedProcessServiceServer
	server *Server
}

func (p *processes) ListProcesses(context.Context, *processv1.ListProcessesRequest) (_ *processv1.ListProcessesResponse, err error) {
	defer panicked("list processes", &err)
	response := &processv1.ListProcessesResponse{}
	for _, process := range p.server.handler.Processes() {
		w, err := processToWire(process)
		if err != nil {
			return nil, status.Error(codes.Internal, err.Error())
		}
		response.Processes = append(response.Processes, w)
	}
	return response, nil
}

// panicked turns a panic of the handler into the error of the call.
func panicked(act string, err *error) {
	if p := recover(); p != nil {
		*err = status.Error(codes.Internal, text(fmt.Sprintf("%s: panic: %v", act, p), maxProblemText))
	}
}

var (
	_ processv1.ControlServiceServer = (*control)(nil)
	_ processv1.ProcessServiceServer = (*processes)(nil)
)
