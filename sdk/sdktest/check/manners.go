package check

import (
	"slices"
	"strings"
	"time"

	"geomill/proto/processv1"
	"geomill/sdk/wire"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

func checkNoSuchProcess(p *probe) verdict {
	s, _, v := p.ready(usual)
	if s == nil {
		return v
	}
	stranger := &process{}
	stranger.description.ID = "no-such-process-here"
	r, err := s.run(stranger, p.Times.Job)
	if err != nil {
		return failed("%v", err)
	}
	if k := r.end.GetFailed().GetProblem().GetKind(); k != processv1.ProblemKind_PROBLEM_KIND_NO_SUCH_PROCESS {
		return failed("a job of a process that is not there %s", outcome(r.end))
	}
	return passed("")
}

func checkBadInput(p *probe) verdict {
	s, proc, v := p.ready(usual)
	if s == nil {
		return v
	}
	for _, each := range p.usable() {
		for _, inputs := range wrongInputs(each) {
			r := p.job(each)
			s.expect(r)
			err := s.send(r.start(inputs))
			if err == nil {
				_, err = s.await(r, p.Times.Job)
			}
			if err != nil && !s.lost() {
				err = s.stop(r)
			}
			if err != nil {
				return failed("process %s, with inputs that it does not expect: %v", each.id(), err)
			}
		}
	}
	if err := s.still(proc); err != nil {
		return failed("after jobs with inputs that it does not expect: %v", err)
	}
	return passed("")
}

// wrongInputs are what no host would send.
func wrongInputs(proc *process) [][]*processv1.Value {
	all := func(json string) (list []*processv1.Value) {
		for id := range proc.description.Inputs {
			list = append(list, &processv1.Value{Id: id, Kind: &processv1.Value_Json{Json: []byte(json)}})
		}
		return list
	}
	stranger := &processv1.Value{Id: "no-such-input", Kind: &processv1.Value_Json{Json: []byte(`1`)}}
	missing := &processv1.Value{Id: "no-such-file", Kind: &processv1.Value_File{File: &processv1.File{Path: "in/nothing", Size: 5}}}
	return [][]*processv1.Value{nil, all(`{"unexpected":[null]}`), all(`{"not JSON`), {stranger, missing}}
}

// strange is a field that no version of the contract has.
var strange = protowire.AppendString(protowire.AppendTag(nil, 20000, protowire.BytesType), "from a later version")

func checkUnknownFields(p *probe) verdict {
	s, proc, v := p.ready(usual)
	if s == nil {
		return v
	}
	r := p.job(proc)
	inputs, err := r.inline(proc.inputs)
	if err != nil {
		return failed("%v", err)
	}
	start := r.start(inputs)
	frame := &processv1.SessionRequest{Messages: []*processv1.HostMessage{start}}
	for _, m := range []proto.Message{frame, start, start.GetStart()} {
		m.ProtoReflect().SetUnknown(strange)
	}
	s.expect(r)
	if err = s.sendFrame(frame); err == nil {
		_, err = s.await(r, p.Times.Job)
	}
	if err != nil {
		return failed("after a start with unknown fields: %v", err)
	}
	if proc.works && r.end.GetSucceeded() == nil {
		return failed("a job with unknown fields %s", outcome(r.end))
	}
	return passed("")
}

func checkUnknownMessage(p *probe) verdict {
	s, proc, v := p.ready(usual)
	if s == nil {
		return v
	}
	unknown := &processv1.HostMessage{JobId: "check-unknown"}
	unknown.ProtoReflect().SetUnknown(strange)
	r := p.job(proc) // of which the plugin never hears more
	messages := []*processv1.HostMessage{unknown, r.cancel("to nobody")}
	if !slices.Contains(p.info.GetCapabilities(), wire.CapabilityAttach) {
		attach := &processv1.HostMessage_Attach{Attach: &processv1.Attach{}}
		messages = append(messages, &processv1.HostMessage{JobId: r.id, Kind: attach})
	}
	s.expect(r)
	if err := s.send(messages...); err != nil {
		return failed("%v", err)
	}
	if err := s.still(proc); err != nil {
		return failed("after a message of an unknown kind and a cancel for no job: %v", err)
	}
	select {
	case <-r.ended:
		return failed("a job was never started, and %s", outcome(r.end))
	default:
		return passed("")
	}
}

// largeFrame is just below the 16 MiB that a message may have, in bytes.
const largeFrame = wire.MaxMessageBytes - 64<<10

func checkLargeFrame(p *probe) verdict {
	s, proc, v := p.ready(usual)
	if s == nil {
		return v
	}
	if err := s.send(p.job(proc).cancel(strings.Repeat("x", largeFrame))); err != nil {
		return failed("%v", err)
	}
	if err := s.still(proc); err != nil {
		return failed("after a frame of %d bytes: %v", largeFrame, err)
	}
	return passed("%d bytes", largeFrame)
}

func checkSecondSession(p *probe) verdict {
	s, proc, v := p.ready(usual)
	if s == nil {
		return v
	}
	if err := s.still(proc); err != nil {
		return failed("%v", err)
	}
	second, err := p.dial(s.in)
	if err != nil {
		return failed("%v", err)
	}
	go second.read()
	defer second.close()
	select {
	case <-second.over:
		if code := status.Code(second.err); code != codes.FailedPrecondition {
			return failed("a second session ended with %s, not FAILED_PRECONDITION", plain(second.err))
		}
	case <-time.After(p.within(p.Times.Call)):
		return failed("a second session was not refused within %s", p.within(p.Times.Call))
	}
	if err := s.still(proc); err != nil {
		return failed("after a second session was refused: %v", err)
	}
	return passed("")
}
