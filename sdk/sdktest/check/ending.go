package check

import (
	"errors"
	"os"
	"syscall"
	"time"

	"geomill/proto/processv1"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"
)

const (
	// endSoon is how long an end should take, endLate what nobody waits for.
	endSoon = 500 * time.Millisecond
	endLate = 2 * time.Second
	// orphanLimit is how long a plugin may outlive its host.
	orphanLimit = time.Second
)

func checkDrain(p *probe) verdict {
	s, proc, v := p.ready(usual)
	if s == nil {
		return v
	}
	first, err := s.occupy()
	if err != nil && !errors.Is(err, errNoLong) {
		return failed("%v", err)
	}
	left, want := uint32(0), uint32(0)
	if first != nil {
		want = 1
		if _, err := p.counted(s.in, 1); err != nil {
			return failed("%v", err)
		}
	}
	if left, err = p.drain(s.in, p.Times.Settle); err != nil {
		return failed("%v", err)
	}
	if left != want {
		return failed("still_running is %d, not %d, when the deadline has passed", left, want)
	}
	answer, err := p.health(s.in)
	if err != nil {
		return failed("while draining: %v", err)
	}
	if answer.GetReady() {
		return failed("Check says ready while draining")
	}
	r, err := s.run(proc, p.Times.Job)
	if err != nil {
		return failed("a job started while draining: %v", err)
	}
	if r.end.GetFailed().GetProblem().GetKind() != processv1.ProblemKind_PROBLEM_KIND_BUSY {
		return failed("a job started while draining %s, not failed as busy", outcome(r.end))
	}
	if first != nil {
		if err := s.stop(first); err != nil {
			return failed("%v", err)
		}
	}
	began := time.Now()
	if left, err = p.drain(s.in, p.Times.Job); err != nil || left != 0 {
		return failed("when no job is left: %d still running, %v", left, err)
	}
	if took := time.Since(began); took >= p.within(endLate) {
		return failed("Drain returned after %s although no job was left", took)
	}
	return passed("")
}

// drain calls Drain with a deadline.
func (p *probe) drain(in *instance, deadline time.Duration) (uint32, error) {
	ctx, cancel := p.patient(deadline + p.Times.Call)
	defer cancel()
	answer, err := control(in).Drain(ctx, &processv1.DrainRequest{Deadline: durationpb.New(deadline)})
	if err != nil {
		return 0, errors.New("Drain: " + plain(err))
	}
	return answer.GetStillRunning(), nil
}

func checkStreams(p *probe) verdict {
	in, err := p.use(usual)
	if err != nil {
		return unusable(err)
	}
	// A refusal comes at once.
	time.Sleep(50 * time.Millisecond)
	if broken := in.streams.broken(); broken != "" {
		return failed("%s", broken)
	}
	return passed("")
}

func checkShutdown(p *probe) verdict {
	in, err := p.use(usual)
	if err != nil {
		return unusable(err)
	}
	ctx, cancel := p.patient(p.Times.Call)
	defer cancel()
	began := time.Now()
	callErr := in.conn.Invoke(ctx, "/plugin.GRPCController/Shutdown", &emptypb.Empty{}, &emptypb.Empty{}) // it may be cut off by the end
	v := p.ends(in, began)
	if v.outcome == Fail {
		if callErr != nil {
			v.seen += "; Shutdown: " + plain(callErr)
		}
		return v
	}
	if !in.cmd.ProcessState.Success() {
		return failed("it ended with %s", in.status())
	}
	return v
}

// ends waits for the end of an instance that was told to end, and looks at what
// it leaves.
func (p *probe) ends(in *instance, began time.Time) verdict {
	if !in.gone(p.ctx, p.within(endLate)) {
		return failed("it was still there after %s%s", p.within(endLate), in.lastWords())
	}
	took := time.Since(began).Round(time.Millisecond)
	if _, err := os.Lstat(in.socket); err == nil {
		return failed("it left its socket")
	}
	if left := p.left(in, 0); left > 0 && !p.litters {
		return failed("%s left", processes(left))
	}
	if took > p.within(endSoon) {
		return warned("it took %s; %s is good", took, p.within(endSoon))
	}
	return passed("after %s", took)
}

func checkSigint(p *probe) verdict {
	in, err := p.use(p.frugal())
	if err != nil {
		return unusable(err)
	}
	if err := in.cmd.Process.Signal(syscall.SIGINT); err != nil {
		return failed("%v", err)
	}
	if in.gone(p.ctx, p.Times.Settle) {
		return failed("it ended (%s)", in.status())
	}
	if answer, err := p.health(in); err != nil {
		return failed("%v", err)
	} else if !answer.GetReady() {
		return failed("it is not ready any more")
	}
	return passed("")
}

func checkSigterm(p *probe) verdict {
	in, err := p.use(p.frugal())
	if err != nil {
		return unusable(err)
	}
	if in.session != nil { // jobs of a check before are none of this one's business
		in.session.close()
	}
	if _, err := p.settled(in, 0); err != nil {
		return failed("%v", err)
	}
	began := time.Now()
	if err := in.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return failed("%v", err)
	}
	return p.ends(in, began)
}

func checkLifeline(p *probe) verdict {
	s, _, v := p.ready(usual)
	if s == nil {
		return v
	}
	if _, err := s.occupy(); err != nil && !errors.Is(err, errNoLong) {
		return failed("%v", err)
	}
	in := s.in
	began := time.Now()
	in.lifeline.Close()
	if !in.gone(p.ctx, p.within(orphanLimit)) {
		return failed("it was still there %s after the end of file on descriptor GEOMILL_LIFELINE_FD", p.within(orphanLimit))
	}
	for len(in.family()) > 0 && !p.litters {
		if time.Since(began) > p.within(orphanLimit) {
			return failed("%s left", processes(len(in.family())))
		}
		time.Sleep(10 * time.Millisecond)
	}
	return passed("after %s", time.Since(began).Round(time.Millisecond))
}

func checkStdoutAfter(p *probe) verdict {
	p.retire()
	if p.jobs == 0 || p.printed == 0 {
		return skipped("no job printed to standard output; try a process that prints a megabyte, with --inputs")
	}
	return passed("%d bytes of standard output were read", p.printed)
}
