package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"geomill/proto/processv1"
	"geomill/sdk/wire"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

// rogue speaks the protocol itself, as no SDK would. Its name says how it lies
// about its processes, the process what it makes of a job.
type rogue struct {
	goplugin.NetRPCUnsupportedPlugin
	processv1.UnimplementedControlServiceServer
	processv1.UnimplementedProcessServiceServer
	lie string
}

// newRogue is the plugin in place of the honest ones.
func newRogue(name string) *rogue {
	_, lie, _ := strings.Cut(name, "-")
	return &rogue{lie: lie}
}

func (r *rogue) GRPCServer(_ *goplugin.GRPCBroker, s *grpc.Server) error {
	processv1.RegisterControlServiceServer(s, r)
	processv1.RegisterProcessServiceServer(s, r)
	return nil
}

func (r *rogue) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, fmt.Errorf("no client")
}

func (r *rogue) GetInfo(context.Context, *processv1.GetInfoRequest) (*processv1.GetInfoResponse, error) {
	i := &processv1.GetInfoResponse{Name: "rogue", Version: "1.0.0"}
	switch r.lie {
	case "nameless":
		i.Name = "../../etc"
	case "versionless":
		i.Version = strings.Repeat("9", 1<<20)
	}
	return i, nil
}

func (r *rogue) Configure(context.Context, *processv1.ConfigureRequest) (*processv1.ConfigureResponse, error) {
	return &processv1.ConfigureResponse{}, nil
}

func (r *rogue) Check(context.Context, *processv1.CheckRequest) (*processv1.CheckResponse, error) {
	return &processv1.CheckResponse{Ready: true}, nil
}

func (r *rogue) Drain(context.Context, *processv1.DrainRequest) (*processv1.DrainResponse, error) {
	return &processv1.DrainResponse{}, nil
}

func (r *rogue) ListProcesses(context.Context, *processv1.ListProcessesRequest) (*processv1.ListProcessesResponse, error) {
	list := &processv1.ListProcessesResponse{}
	add := func(description string) {
		list.Processes = append(list.Processes, &processv1.Process{DescriptionJson: []byte(description)})
	}
	named := func(id string) { add(`{"id":"` + id + `","version":"1.0.0","outputs":{"out":{"schema":{}}}}`) }
	switch r.lie {
	case "twice":
		named("double")
		named("double")
	case "broken":
		add(`{"id":`)
	case "huge":
		named(strings.Repeat("x", wire.MaxMessageBytes))
	case "path":
		named("../jobs")
	case "other":
		if named("first"); flagged() {
			list.Processes = nil
			named("second")
		}
	default:
		for _, id := range []string{"giant", "heavy", "storm", "encore", "nowhere", "link", "outside", "hangup", "mumble", "nothing"} {
			named(id)
		}
	}
	return list, nil
}

// Session answers every start with what the process is for, and no cancel.
func (r *rogue) Session(s grpc.BidiStreamingServer[processv1.SessionRequest, processv1.SessionResponse]) error {
	for {
		frame, err := s.Recv()
		if err != nil {
			return err
		}
		for _, m := range frame.GetMessages() {
			if m.GetStart() == nil {
				continue
			}
			t := &talk{stream: s, job: m.GetJobId()}
			if over := t.misbehave(m.GetStart()); over {
				return nil
			}
		}
	}
}

// talk is what is sent about one job.
type talk struct {
	stream grpc.BidiStreamingServer[processv1.SessionRequest, processv1.SessionResponse]
	job    string
	seq    uint64
}

// misbehave answers a start, and reports whether the session ends with it.
func (t *talk) misbehave(s *processv1.Start) (over bool) {
	switch s.GetProcessId() {
	case "first":
		if flagged() { // as an SDK says it, of a process that it does not have
			t.send(&processv1.PluginMessage{Kind: &processv1.PluginMessage_Failed{Failed: &processv1.Failed{
				Problem: &processv1.Problem{Kind: processv1.ProblemKind_PROBLEM_KIND_NO_SUCH_PROCESS}}}})
		}
	case "giant":
		t.progress(strings.Repeat("x", wire.MaxMessageBytes+1))
	case "heavy":
		for range 2 {
			t.output(&processv1.Value{Kind: &processv1.Value_Json{Json: append(append([]byte{'"'}, make10M()...), '"')}})
		}
	case "storm":
		for i := range 50_000 {
			t.progress(fmt.Sprint("message ", i))
			t.send(&processv1.PluginMessage{Kind: &processv1.PluginMessage_Log{Log: &processv1.Log{Message: strings.Repeat("line ", 20)}}})
		}
		t.output(&processv1.Value{Kind: &processv1.Value_Json{Json: []byte("1")}})
	case "encore":
		t.output(&processv1.Value{Kind: &processv1.Value_Json{Json: []byte("1")}})
		t.succeed()
		t.send(&processv1.PluginMessage{Kind: &processv1.PluginMessage_Failed{Failed: &processv1.Failed{}}})
	case "nowhere":
		t.file(s, "out/nowhere", nil)
	case "link":
		t.file(s, "out/link", func(path string) error { return os.Symlink("/etc/hostname", path) })
	case "outside":
		t.file(s, "../../../../plugins/rogue", nil)
	case "hangup":
		return true
	case "mumble":
		t.output(&processv1.Value{Kind: &processv1.Value_Json{Json: []byte(`{"unfinished":`)}})
	}
	t.succeed()
	return false
}

func make10M() []byte {
	b := make([]byte, 10<<20)
	for i := range b {
		b[i] = 'x'
	}
	return b
}

func (t *talk) send(m *processv1.PluginMessage) {
	t.seq++
	m.JobId, m.Seq = t.job, t.seq
	if err := t.stream.Send(&processv1.SessionResponse{Messages: []*processv1.PluginMessage{m}}); err != nil {
		fmt.Fprintln(os.Stderr, "send:", err)
	}
}

func (t *talk) progress(message string) {
	t.send(&processv1.PluginMessage{Kind: &processv1.PluginMessage_Progress{Progress: &processv1.Progress{Percent: 10, Message: message}}})
}

func (t *talk) output(v *processv1.Value) {
	v.Id = "out"
	t.send(&processv1.PluginMessage{Kind: &processv1.PluginMessage_Output{Output: v}})
}

func (t *talk) succeed() {
	t.send(&processv1.PluginMessage{Kind: &processv1.PluginMessage_Succeeded{Succeeded: &processv1.Succeeded{}}})
}

// file hands over a file that made has made, if anything has.
func (t *talk) file(s *processv1.Start, name string, made func(path string) error) {
	path := filepath.Join(s.GetJobDir(), name)
	if made != nil {
		err := os.MkdirAll(filepath.Dir(path), 0o700)
		if err == nil {
			err = made(path)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "make an output:", err)
		}
	}
	t.output(&processv1.Value{Kind: &processv1.Value_File{File: &processv1.File{Path: name, Size: 5}}})
}
