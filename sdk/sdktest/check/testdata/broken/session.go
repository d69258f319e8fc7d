package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"geomill/proto/processv1"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// session is the stream with the host.
type session struct {
	plugin *plugin
	stream grpc.BidiStreamingServer[processv1.SessionRequest, processv1.SessionResponse]
	mu     sync.Mutex // of sending
}

func (p *plugin) Session(stream grpc.BidiStreamingServer[processv1.SessionRequest, processv1.SessionResponse]) error {
	p.mu.Lock()
	if p.open && !is("second-session") {
		p.mu.Unlock()
		if is("second-session.code") {
			return status.Error(codes.Internal, "one is enough")
		}
		return status.Error(codes.FailedPrecondition, "there is a session")
	}
	p.open = true
	p.mu.Unlock()
	s := &session{plugin: p, stream: stream}
	err := s.read()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = false
	for _, j := range p.jobs {
		if j.session == s && !is("session-end") && (!detached || is("attach.ends")) {
			j.cancel()
		}
	}
	return err
}

func (s *session) read() error {
	for {
		frame, err := s.stream.Recv()
		if err != nil {
			return err
		}
		if is("unknown-fields") && len(frame.ProtoReflect().GetUnknown()) > 0 {
			return status.Error(codes.InvalidArgument, "what is that?")
		}
		for i, m := range frame.GetMessages() {
			if is("sixteen-jobs") && i > 7 {
				break
			}
			if err := s.obey(m); err != nil {
				return err
			}
		}
	}
}

func (s *session) obey(m *processv1.HostMessage) error {
	switch k := m.GetKind().(type) {
	case *processv1.HostMessage_Start:
		s.start(m.GetJobId(), k.Start)
	case *processv1.HostMessage_Cancel:
		s.plugin.mu.Lock()
		if j := s.plugin.jobs[m.GetJobId()]; j != nil && !is("cancel") {
			j.killChild()
			j.cancel()
		}
		s.plugin.mu.Unlock()
	case *processv1.HostMessage_Attach:
		switch {
		case is("unknown-message.attach") && !detached:
			s.send(m.GetJobId(), 1, &processv1.PluginMessage{Kind: problem(0, "no such job", false)})
		case detached && !is("attach"):
			s.attach(m.GetJobId(), k.Attach.GetAfterSeq())
		}
	default:
		if is("unknown-message") {
			panic("a message of no known kind")
		}
	}
	return nil
}

// send sends one message.
func (s *session) send(id string, seq uint64, m *processv1.PluginMessage) {
	m.JobId, m.Seq = id, seq
	if is("seq-rising") {
		m.Seq = 1
		if m.GetProgress() != nil {
			m.Seq = 5
		}
	}
	s = s.plugin.keep(s, m)
	s.mu.Lock()
	defer s.mu.Unlock()
	if is("slow-reader") { // whoever waits for the host holds everybody
		s.plugin.mu.Lock()
		defer s.plugin.mu.Unlock()
	}
	_ = s.stream.Send(&processv1.SessionResponse{Messages: []*processv1.PluginMessage{m}})
}

func problem(kind processv1.ProblemKind, title string, retryable bool) *processv1.PluginMessage_Failed {
	return &processv1.PluginMessage_Failed{Failed: &processv1.Failed{Problem: &processv1.Problem{Kind: kind, Title: title}, Retryable: retryable}}
}

// start begins a job, or says why not.
func (s *session) start(id string, w *processv1.Start) {
	p := s.plugin
	p.mu.Lock()
	running := p.jobs[id] != nil
	full := len(p.jobs)+p.held >= p.max && !is("max-concurrency") || p.draining
	ctx, cancel := context.WithCancel(context.Background())
	j := &job{session: s, cancel: cancel}
	if !running && !full {
		p.jobs[id] = j
	}
	p.mu.Unlock()
	switch {
	case running && is("second-start"):
		s.send(id, 100, &processv1.PluginMessage{Kind: problem(processv1.ProblemKind_PROBLEM_KIND_BUSY, "it runs", true)})
	case running:
	case full:
		s.send(id, 1, &processv1.PluginMessage{Kind: problem(processv1.ProblemKind_PROBLEM_KIND_BUSY, "full", !is("max-concurrency.final"))})
	default:
		go s.run(ctx, id, j, w)
	}
}

func (s *session) run(ctx context.Context, id string, j *job, w *processv1.Start) {
	seq := uint64(1)
	if w.GetProcessId() == "copy" || detached {
		percent := 50.0
		if is("progress-range") {
			percent = 5000
		}
		s.send(id, seq, &processv1.PluginMessage{Kind: &processv1.PluginMessage_Progress{Progress: &processv1.Progress{Percent: percent}}})
		seq++
	}
	if is("own-jobs") {
		s.send("somebody-else", 1, &processv1.PluginMessage{Kind: &processv1.PluginMessage_Log{Log: &processv1.Log{Message: "hello"}}})
	}
	if is("stdout-after") {
		fmt.Println(strings.Repeat("x", 1<<20))
	}
	end := s.work(ctx, j, w)
	p := s.plugin
	p.mu.Lock()
	delete(p.jobs, id)
	if is("slot-freed") && p.max == 1 {
		p.held++
		time.AfterFunc(50*time.Millisecond, func() { p.mu.Lock(); p.held--; p.mu.Unlock() })
	}
	if is("memory") {
		p.leak = append(p.leak, []byte(strings.Repeat("x", 1<<20)))
	}
	p.changed.Broadcast()
	p.mu.Unlock()
	s.send(id, seq, end)
	if is("one-end") && w.GetProcessId() == "copy" {
		s.send(id, seq+1, &processv1.PluginMessage{Kind: end.GetKind()})
	}
}

// work does what the process is for and returns the end.
func (s *session) work(ctx context.Context, j *job, w *processv1.Start) *processv1.PluginMessage {
	inputs := make(map[string]any)
	for _, v := range w.GetInputs() {
		text := v.GetJson()
		if f := v.GetFile(); f != nil && !is("file-input") {
			text, _ = os.ReadFile(filepath.Join(w.GetJobDir(), f.GetPath()))
		}
		var value any
		if json.Unmarshal(text, &value) == nil {
			inputs[v.GetId()] = value
		}
	}
	switch w.GetProcessId() {
	case "copy":
		text, ok := inputs["text"].(string)
		if !ok || text == "refuse me" {
			return s.refuse("text")
		}
		return s.copied(w, text)
	case "wait":
		seconds, ok := inputs["seconds"].(float64)
		if !ok {
			return s.refuse("seconds")
		}
		return s.waited(ctx, j, seconds)
	}
	kind := processv1.ProblemKind_PROBLEM_KIND_NO_SUCH_PROCESS
	if is("no-such-process") {
		kind = processv1.ProblemKind_PROBLEM_KIND_PANIC
	}
	return &processv1.PluginMessage{Kind: problem(kind, "no such process", false)}
}

func (s *session) refuse(input string) *processv1.PluginMessage {
	if is("bad-input") {
		fmt.Fprintln(os.Stderr, "KeyError:", input)
		os.Exit(1)
	}
	return &processv1.PluginMessage{Kind: problem(processv1.ProblemKind_PROBLEM_KIND_INVALID_INPUT, "no "+input, false)}
}

func (s *session) copied(w *processv1.Start, text string) *processv1.PluginMessage {
	s.plugin.mu.Lock()
	inline := s.plugin.inline
	s.plugin.mu.Unlock()
	id := "text"
	switch {
	case is("jobs-run"):
		return &processv1.PluginMessage{Kind: &processv1.PluginMessage_Cancelled{Cancelled: &processv1.Cancelled{}}}
	case is("inline-limit") && inline > 1000:
		text, inline = strings.Repeat("x", 300<<10), 1<<20
	case is("file-output"):
		inline = 1 << 20
	case is("outputs.undeclared"):
		id = "more"
	}
	var value any = text
	if is("outputs") {
		value = len(text)
	}
	data, _ := json.Marshal(value)
	out := &processv1.Value{Id: id, Kind: &processv1.Value_Json{Json: data}}
	if len(data) > inline {
		out.Kind = file(w.GetJobDir(), data)
	}
	return succeeded(out)
}

func file(dir string, data []byte) *processv1.Value_File {
	path := filepath.Join(dir, "out", "text")
	_ = os.MkdirAll(filepath.Dir(path), 0o700)
	_ = os.WriteFile(path, data, 0o600)
	size := uint64(len(data))
	switch {
	case is("file-output.size"):
		size++
	case is("file-output.link"):
		_ = os.Rename(path, path+"2")
		_ = os.Symlink("text2", path)
	case is("file-output.outside"):
		return &processv1.Value_File{File: &processv1.File{Path: path, Size: size}}
	}
	return &processv1.Value_File{File: &processv1.File{Path: "out/text", Size: size}}
}

// waited waits, and has a child process that does too.
func (s *session) waited(ctx context.Context, j *job, seconds float64) *processv1.PluginMessage {
	if seconds > 0 {
		child := exec.Command("sleep", "600")
		child.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		s.plugin.mu.Lock()
		if child.Start() == nil {
			j.child = child
			go func() { _ = child.Wait() }()
		}
		s.plugin.mu.Unlock()
	}
	wait := time.Duration(seconds * float64(time.Second))
	select {
	case <-time.After(wait):
		return succeeded(&processv1.Value{Id: "waited", Kind: &processv1.Value_Json{Json: []byte("true")}})
	case <-ctx.Done():
		s.plugin.mu.Lock()
		defer s.plugin.mu.Unlock()
		j.killChild()
		return &processv1.PluginMessage{Kind: &processv1.PluginMessage_Cancelled{Cancelled: &processv1.Cancelled{}}}
	}
}

func succeeded(v *processv1.Value) *processv1.PluginMessage {
	return &processv1.PluginMessage{Kind: &processv1.PluginMessage_Succeeded{Succeeded: &processv1.Succeeded{Outputs: []*processv1.Value{v}}}}
}
