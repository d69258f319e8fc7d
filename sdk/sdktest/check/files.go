package check

import (
	"geomill/sdk/wire"
)

func checkFileInput(p *probe) verdict {
	s, _, v := p.ready(usual)
	if s == nil {
		return v
	}
	n := 0
	for _, proc := range p.usable() {
		if !proc.works || len(proc.inputs) == 0 {
			continue
		}
		r := p.job(proc)
		inputs, err := r.files(proc.inputs)
		if err != nil {
			return failed("%v", err)
		}
		s.expect(r)
		if err = s.send(r.start(inputs)); err == nil {
			_, err = s.await(r, p.Times.Job)
		}
		if err != nil {
			return failed("process %s, with its inputs as files: %v", proc.id(), err)
		}
		if r.end.GetSucceeded() == nil {
			return failed("process %s succeeded with its inputs in the session; the same as files of %d bytes: %s",
				proc.id(), wire.InlineMaxBytes+1, outcome(r.end))
		}
		n++
	}
	if n == 0 {
		return skipped("no process with inputs has succeeded; give some with --inputs")
	}
	return passed("%s", count(n, "job"))
}

func checkFileOutput(p *probe) verdict {
	s, _, v := p.ready(p.frugal())
	if s == nil {
		return v
	}
	files := 0
	for _, proc := range p.usable() {
		if !proc.works {
			continue
		}
		r, err := s.run(proc, p.Times.Job)
		if err != nil {
			return failed("process %s: %v", proc.id(), err)
		}
		for _, v := range r.outputs {
			if _, err := r.value(v); err != nil {
				return failed("output %s of process %s: %v", v.GetId(), proc.id(), err)
			}
			if n := len(v.GetJson()) + len(v.GetData()); n > s.in.limits.inline {
				return failed("output %s of process %s came with %d bytes in the session, where Limits.inline_max_bytes is %d",
					v.GetId(), proc.id(), n, s.in.limits.inline)
			}
			if v.GetFile() != nil {
				files++
			}
		}
	}
	if files == 0 {
		return skipped("no output has more than %d bytes", s.in.limits.inline)
	}
	return passed("%s", count(files, "file"))
}
