package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"geomill/proto/processv1"
	"geomill/sdk/wire"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
)

// plugin serves the contract.
type plugin struct {
	processv1.UnimplementedControlServiceServer
	processv1.UnimplementedProcessServiceServer
	socket   string
	instance string
	over     chan struct{} // closed at Shutdown

	mu       sync.Mutex
	changed  *sync.Cond
	jobs     map[string]*job
	kept     map[string]*kept
	held     int // slots of jobs that have ended
	max      int
	inline   int
	draining bool
	open     bool // there is a session
	leak     [][]byte
}

// job is one that runs.
type job struct {
	session *session
	cancel  context.CancelFunc
	child   *exec.Cmd
}

func newPlugin() *plugin {
	p := &plugin{instance: instance(), over: make(chan struct{}), jobs: make(map[string]*job), kept: make(map[string]*kept)}
	p.changed = sync.NewCond(&p.mu)
	return p
}

func (p *plugin) GetInfo(context.Context, *processv1.GetInfoRequest) (*processv1.GetInfoResponse, error) {
	return p.info(), nil
}

func (p *plugin) info() *processv1.GetInfoResponse {
	info := &processv1.GetInfoResponse{Name: "broken", Version: "1.0.0", Sdk: "none", InstanceId: p.instance}
	if detached && !is("attach.claim") {
		info.Capabilities = []string{wire.CapabilityAttach}
	}
	switch {
	case is("info"):
		info.Name = "Broken Plugin"
	case is("info.version"):
		info.Version = "1"
	case is("settings-schema"):
		info.SettingsSchemaJson = []byte(`{"type": 7}`)
	case is("settings-schema.array"):
		info.SettingsSchemaJson = []byte(`{"type": "array"}`)
	case is("settings-schema.default"):
		info.SettingsSchemaJson = []byte(`{"type": "object", "properties": {"zoom": {"type": "integer", "default": "far"}}}`)
	}
	return info
}

func (p *plugin) Configure(_ context.Context, r *processv1.ConfigureRequest) (*processv1.ConfigureResponse, error) {
	if is("configure") {
		return &processv1.ConfigureResponse{Problems: []*processv1.Problem{{Title: "no licence"}}}, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.max, p.inline = int(r.GetLimits().GetMaxConcurrency()), int(r.GetLimits().GetInlineMaxBytes())
	return &processv1.ConfigureResponse{}, nil
}

func (p *plugin) Check(context.Context, *processv1.CheckRequest) (*processv1.CheckResponse, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if is("check-answers") {
		return &processv1.CheckResponse{Ready: !p.draining}, nil
	}
	return &processv1.CheckResponse{Ready: !p.draining || is("drain"), InFlight: uint32(len(p.jobs))}, nil
}

func (p *plugin) Drain(_ context.Context, r *processv1.DrainRequest) (*processv1.DrainResponse, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.draining = !is("drain.open")
	end := time.Now().Add(r.GetDeadline().AsDuration())
	timer := time.AfterFunc(r.GetDeadline().AsDuration(), func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.changed.Broadcast()
	})
	defer timer.Stop()
	for len(p.jobs) > 0 && time.Now().Before(end) && !is("drain.hasty") {
		p.changed.Wait()
	}
	left := len(p.jobs)
	if is("drain.hasty") {
		left = 0
	}
	return &processv1.DrainResponse{StillRunning: uint32(left)}, nil
}

func (p *plugin) ListProcesses(context.Context, *processv1.ListProcessesRequest) (*processv1.ListProcessesResponse, error) {
	r := &processv1.ListProcessesResponse{}
	for _, d := range descriptions() {
		text, err := json.Marshal(d)
		if err != nil {
			return nil, err
		}
		r.Processes = append(r.Processes, &processv1.Process{DescriptionJson: text, Policy: &processv1.Policy{Isolation: processv1.Isolation_ISOLATION_SHARED, Detached: is("attach.claim")}})
	}
	return r, nil
}

// cancelAll ends what runs.
func (p *plugin) cancelAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, j := range p.jobs {
		j.cancel()
		j.killChild()
	}
}

func (j *job) killChild() {
	if j.child != nil && !is("cancel-children") {
		_ = syscall.Kill(-j.child.Process.Pid, syscall.SIGKILL)
	}
}

// goPlugin is what go-plugin's services are registered with.
type goPlugin interface{ exit(status int) }

func (p *plugin) registerGoPlugin(s *grpc.Server) {
	hold := func(_ any, stream grpc.ServerStream) error {
		if is("go-plugin-streams") {
			return nil
		}
		select {
		case <-p.over:
		case <-stream.Context().Done():
		}
		return nil
	}
	s.RegisterService(&grpc.ServiceDesc{ServiceName: "plugin.GRPCController", HandlerType: (*goPlugin)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Shutdown", Handler: shutdown}}}, p)
	s.RegisterService(&grpc.ServiceDesc{ServiceName: "plugin.GRPCStdio", HandlerType: (*goPlugin)(nil),
		Streams: []grpc.StreamDesc{{StreamName: "StreamStdio", Handler: hold, ServerStreams: true}}}, p)
	s.RegisterService(&grpc.ServiceDesc{ServiceName: "plugin.GRPCBroker", HandlerType: (*goPlugin)(nil),
		Streams: []grpc.StreamDesc{{StreamName: "StartStream", Handler: hold, ServerStreams: true, ClientStreams: true}}}, p)
}

func shutdown(srv any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	if err := decode(new(emptypb.Empty)); err != nil {
		return nil, err
	}
	p := srv.(*plugin)
	switch {
	case is("shutdown"):
	case is("shutdown.status"):
		time.AfterFunc(10*time.Millisecond, func() { p.exit(3) })
	case is("shutdown.socket"):
		os.Exit(0)
	default:
		time.AfterFunc(10*time.Millisecond, func() { p.exit(0) })
	}
	return new(emptypb.Empty), nil
}
