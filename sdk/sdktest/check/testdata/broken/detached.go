package main

import (
	"os"

	"geomill/proto/processv1"
	"geomill/sdk/wire"

	"google.golang.org/protobuf/proto"
)

// detached says that jobs go on when their session ends.
var detached = os.Getenv(wire.DetachedDir) != ""

// kept is what a detached plugin keeps of a job.
type kept struct {
	session *session // the last that has attached to it, or that started it
	sent    []*processv1.PluginMessage
}

// keep notes a message and returns the session that it belongs to.
func (p *plugin) keep(s *session, m *processv1.PluginMessage) *session {
	if !detached {
		return s
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	k := p.kept[m.GetJobId()]
	if k == nil {
		k = &kept{session: s}
		p.kept[m.GetJobId()] = k
	}
	k.sent = append(k.sent, proto.CloneOf(m))
	return k.session
}

// attach makes the job the session's and sends again what came after a message.
func (s *session) attach(id string, after uint64) {
	p := s.plugin
	s.mu.Lock()
	defer s.mu.Unlock()
	p.mu.Lock()
	k := p.kept[id]
	if k == nil {
		k = &kept{}
		p.kept[id] = k
	}
	k.session = s
	sent := k.sent
	p.mu.Unlock()
	for _, m := range sent {
		if m.GetSeq() > after || is("attach.seq") {
			_ = s.stream.Send(&processv1.SessionResponse{Messages: []*processv1.PluginMessage{m}})
		}
	}
}
