package check

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"geomill/proto/processv1"
	"geomill/sdk/wire"
)

func checkAttach(p *probe) verdict {
	s, proc, v := p.ready(detached)
	wished := slices.ContainsFunc(p.processes, func(proc *process) bool { return proc.wire.GetPolicy().GetDetached() })
	switch {
	case s == nil && p.first == nil && v.outcome == Fail && !wished:
		return skipped("with GEOMILL_DETACHED it cannot be started: %s", v.seen)
	case s == nil:
		return v
	case !slices.Contains(s.in.info.GetCapabilities(), wire.CapabilityAttach) && wished:
		return failed("a process wishes to be detached, and with GEOMILL_DETACHED the plugin lacks the capability %s", wire.CapabilityAttach)
	case !slices.Contains(s.in.info.GetCapabilities(), wire.CapabilityAttach):
		return skipped("with GEOMILL_DETACHED it lacks the capability %s", wire.CapabilityAttach)
	}
	r, err := s.occupy()
	if r == nil {
		r, err = s.run(proc, p.Times.Job)
	}
	if err != nil {
		return failed("%v", err)
	}
	again, err := p.attachAnew(s, r, 0)
	if err != nil {
		return failed("attached to a job after its session had ended: %v", err)
	}
	last, err := p.attachAnew(s, again, again.seq-1)
	switch {
	case err != nil:
		return failed("attached to a job that had ended: %v", err)
	case last.seq != again.seq || kind(last.end) != kind(again.end):
		return failed("attached to a job that had ended: its end was %s, number %d, and is %s, number %d",
			kind(again.end), again.seq, kind(last.end), last.seq)
	case last.lowest <= again.seq-1:
		return failed("attached with after_seq %d, it sent message %d again", again.seq-1, last.lowest)
	}
	return passed("a job of process %s, twice", r.process.id())
}

// attachAnew ends the session of an instance, attaches to its job in the next and
// awaits the end of the job, for which it is cancelled. The plugin refuses the next
// session until it has seen the end of the one before.
func (p *probe) attachAnew(s *session, r *run, after uint64) (*run, error) {
	s.in.session.close()
	ctx, cancel := p.patient(p.Times.Call)
	defer cancel()
	for {
		next, err := p.open(s.in)
		if err != nil {
			return nil, err
		}
		again, err := next.attach(r, after)
		if err == nil || !next.lost() || s.in.ended() {
			return again, err
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return nil, err
		}
	}
}

// attach makes a session that of a job, as if the host knew its messages up to one,
// and returns it ended.
func (s *session) attach(r *run, after uint64) (*run, error) {
	again := &run{id: r.id, dir: r.dir, process: r.process, grace: r.grace, ended: make(chan struct{})}
	s.expect(again)
	m := &processv1.HostMessage{JobId: r.id, Kind: &processv1.HostMessage_Attach{Attach: &processv1.Attach{AfterSeq: after}}}
	if err := s.send(m); err != nil {
		return nil, err
	}
	if r.end == nil { // it runs on
		if err := s.runsOn(again); err != nil {
			return nil, err
		}
		return again, s.stop(again)
	}
	_, err := s.await(again, s.probe.Times.Job)
	return again, err
}

// detach has an instance of the plugin go on without its host.
func (p *probe) detach(number int) (string, error) {
	dir := filepath.Join(p.dir, "detached"+strconv.Itoa(number))
	return wire.DetachedDir + "=" + dir, os.Mkdir(dir, 0o700)
}
