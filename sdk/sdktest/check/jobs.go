package check

import (
	"fmt"
	"strings"
	"time"

	"geomill/proto/processv1"
)

// manyJobs is how many jobs a host may send at once.
const manyJobs = 16

// frugal is an instance that does one job at a time and may put hardly
// anything into the session. It is offered a version that it cannot know, unless
// it could not be started so.
func (p *probe) frugal() limits {
	l := limits{versions: "99,1", jobs: 1, inline: 16}
	if p.oneVersion {
		l.versions = "1"
	}
	return l
}

func unusable(err error) verdict {
	if err == errNoStart {
		return skipped("%v", err)
	}
	return failed("%v", err)
}

// ready returns a session on an instance with these limits, and a process to
// run. A nil process comes with the verdict to give.
func (p *probe) ready(l limits) (*session, *process, verdict) {
	if p.first != nil {
		return nil, nil, skipped("%v", errNoStart)
	}
	proc := p.cheap()
	if proc == nil {
		return nil, nil, skipped("no process can be run without --inputs")
	}
	in, err := p.use(l)
	if err != nil {
		return nil, nil, unusable(err)
	}
	s, err := p.open(in)
	if err != nil {
		return nil, nil, failed("%v", err)
	}
	return s, proc, verdict{}
}

// run runs one job and returns it ended.
func (s *session) run(proc *process, limit time.Duration) (*run, error) {
	r := s.probe.job(proc)
	inputs, err := r.inline(proc.inputs)
	if err != nil {
		return r, err
	}
	s.expect(r)
	if err := s.send(r.start(inputs)); err != nil {
		return r, err
	}
	_, err = s.await(r, limit)
	return r, err
}

// still runs a job to see whether the session and the plugin work as before.
func (s *session) still(proc *process) error {
	r, err := s.run(proc, s.probe.Times.Job)
	if err != nil {
		return err
	}
	if proc.works && r.end.GetSucceeded() == nil {
		return fmt.Errorf("a job of process %s, which succeeded before, %s", proc.id(), outcome(r.end))
	}
	return nil
}

func checkJobsRun(p *probe) verdict {
	if len(p.processes) == 0 || p.first != nil {
		return skipped("there is no process to run")
	}
	var ran, wrong, odd []string
	for _, proc := range p.processes {
		if proc.err != nil {
			continue
		}
		if proc.sample(p.Inputs); proc.noInput != nil {
			odd = append(odd, fmt.Sprintf("process %s was not run: %v", proc.id(), proc.noInput))
			continue
		}
		in, err := p.use(usual)
		if err != nil {
			return failed("%v", err)
		}
		if err := p.runFirst(in, proc, &odd); err != nil {
			wrong = append(wrong, fmt.Sprintf("process %s: %v", proc.id(), err))
			p.retire()
		}
		if proc.works {
			ran = append(ran, proc.id())
		}
	}
	said := strings.Join(append(wrong, odd...), "; ")
	switch {
	case len(wrong) > 0:
		return failed("%s", said)
	case len(odd) > 0:
		return warned("%s", said)
	}
	return passed("%s", strings.Join(ran, ", "))
}

// runFirst runs the first job of a process. What may be due to made-up inputs
// goes to odd.
func (p *probe) runFirst(in *instance, proc *process, odd *[]string) error {
	s, err := p.open(in)
	if err != nil {
		return err
	}
	r, err := s.run(proc, p.Times.Job)
	if err != nil && !s.lost() {
		*odd = append(*odd, fmt.Sprintf("process %s: a job was cancelled after %s", proc.id(), p.within(p.Times.Job)))
		return s.stop(r)
	}
	if err != nil {
		return err
	}
	p.ended = append(p.ended, r)
	f := r.end.GetFailed()
	switch k := f.GetProblem().GetKind(); {
	case r.end.GetSucceeded() != nil:
		proc.works = true
	case r.end.GetCancelled() != nil:
		return fmt.Errorf("the job ended as cancelled, and nobody cancelled it")
	case k == processv1.ProblemKind_PROBLEM_KIND_BUSY, k == processv1.ProblemKind_PROBLEM_KIND_NO_SUCH_PROCESS, proc.given:
		return fmt.Errorf("the job %s", outcome(r.end))
	default:
		*odd = append(*odd, fmt.Sprintf("process %s: with inputs made of its schemas the job %s", proc.id(), outcome(r.end)))
	}
	return nil
}

// stop cancels a job and waits for its end.
func (s *session) stop(r *run) error {
	if err := s.send(r.cancel("the checker has seen enough")); err != nil {
		return err
	}
	if _, err := s.await(r, s.probe.Times.Grace); err != nil {
		return fmt.Errorf("after a cancel: %w", err)
	}
	return nil
}

func checkOutputs(p *probe) verdict {
	n := 0
	for _, r := range p.ended {
		if r.end.GetSucceeded() == nil {
			continue
		}
		if err := r.examine(); err != nil {
			return failed("process %s: %v", r.process.id(), err)
		}
		n += len(r.outputs)
	}
	if n == 0 {
		return skipped("no job gave an output")
	}
	return passed("%s", count(n, "output"))
}
