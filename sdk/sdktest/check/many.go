package check

import (
	"errors"
	"strings"
	"time"

	"geomill/proto/processv1"
)

func checkSixteenJobs(p *probe) verdict {
	s, proc, v := p.ready(usual)
	if s == nil {
		return v
	}
	n, shared := manyJobs, proc.wire.GetPolicy().GetIsolation() <= processv1.Isolation_ISOLATION_SHARED
	if most := int(proc.wire.GetPolicy().GetMaxConcurrency()); most > 0 {
		n = min(n, most)
	}
	_, err := p.settled(s.in, 0)
	var runs []*run
	if err == nil {
		runs, err = s.startMany(proc, n)
	}
	if err != nil {
		return failed("%v", err)
	}
	for i, r := range runs {
		if _, err := s.await(r, p.Times.Job); err != nil {
			return failed("%d jobs in one frame, job %d: %v", n, i+1, err)
		}
		if shared && proc.works && r.end.GetSucceeded() == nil {
			return failed("of %d jobs in one frame, as many as it was allowed, job %d %s", n, i+1, outcome(r.end))
		}
	}
	return passed("%d jobs of process %s in one frame", n, proc.id())
}

// startMany starts jobs in one frame.
func (s *session) startMany(proc *process, n int) ([]*run, error) {
	var runs []*run
	var starts []*processv1.HostMessage
	for range n {
		r := s.probe.job(proc)
		inputs, err := r.inline(proc.inputs)
		if err != nil {
			return nil, err
		}
		runs, starts = append(runs, r), append(starts, r.start(inputs))
	}
	s.expect(runs...)
	return runs, s.send(starts...)
}

// unreadJobs is how many jobs end while nothing is read: enough for their ends to
// fill the window of a stream.
const unreadJobs = 3000

func checkSlowReader(p *probe) verdict {
	s, proc, v := p.ready(usual)
	if s == nil {
		return v
	}
	var runs []*run
	var starts []*processv1.HostMessage
	for range unreadJobs {
		r := p.job(proc)
		r.id += strings.Repeat("-", 100) // more to send, whatever the end
		inputs, err := r.inline(proc.inputs)
		if err != nil {
			return failed("%v", err)
		}
		runs, starts = append(runs, r), append(starts, r.start(inputs))
	}
	s.expect(runs...)
	if err := s.unread(starts); err != nil {
		return failed("while the host did not read: %v", err)
	}
	for i, r := range runs {
		if _, err := s.await(r, 2*p.Times.Job); err != nil {
			return failed("of %d jobs that ended while the host did not read, job %d: %v", unreadJobs, i+1, err)
		}
	}
	return passed("")
}

// unread sends starts and asks for the health of the plugin while nothing is
// read of what comes back.
func (s *session) unread(starts []*processv1.HostMessage) error {
	var failure error
	sent := make(chan struct{}) // a plugin may stop to read while nothing is read
	s.mu.Lock()                 // what comes waits for it
	go func() {
		defer close(sent)
		for _, m := range starts {
			if failure = s.send(m); failure != nil {
				return
			}
		}
	}()
	err := s.unanswered(sent)
	s.mu.Unlock()
	<-sent
	return errors.Join(err, failure)
}

// unanswered asks for the health of the plugin again and again until some time
// after all is sent, or the plugin has had the time to read it.
func (s *session) unanswered(sent <-chan struct{}) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	end := time.Now().Add(s.probe.within(s.probe.Times.Call))
	for {
		if _, err := s.probe.health(s.in); err != nil || time.Now().After(end) {
			return err
		}
		select {
		case <-sent:
			sent = nil
			end = time.Now().Add(s.probe.within(s.probe.Times.Unread))
		case <-tick.C:
		}
	}
}

// turns is how many jobs follow one another at once.
const turns = 30

func checkSlotFreed(p *probe) verdict {
	s, proc, v := p.ready(p.frugal())
	if s == nil {
		return v
	}
	for i := range turns {
		r, err := s.run(proc, p.Times.Job)
		if err != nil {
			return failed("%v", err)
		}
		if r.end.GetFailed().GetProblem().GetKind() == processv1.ProblemKind_PROBLEM_KIND_BUSY {
			return failed("job %d was refused although the one before had ended: %s", i+1, outcome(r.end))
		}
	}
	return passed("%s", count(turns, "job"))
}
