package check

import (
	"time"

	"geomill/proto/processv1"
)

// DefaultRuns is how many jobs are run to see whether a plugin grows.
const DefaultRuns = 1000

// The memory check: how many runs come before the first look, what the rest may
// cost, and how long it goes on.
const (
	memoryWarmUp = 50
	memoryGrowth = 64 << 10 // bytes a run
	memoryTime   = 2 * time.Second
)

func checkMemory(p *probe) verdict {
	s, proc, v := p.ready(usual)
	if s == nil {
		return v
	}
	if !proc.works || proc.wire.GetPolicy().GetIsolation() == processv1.Isolation_ISOLATION_JOB {
		return skipped("no process can be run over and over")
	}
	var before int64
	began := time.Now()
	ran := 0
	for ; ran < p.Runs && time.Since(began) < p.within(memoryTime); ran++ {
		if ran == memoryWarmUp {
			before = resident(s.in.cmd.Process.Pid)
		}
		if err := s.still(proc); err != nil {
			return failed("run %d: %v", ran+1, err)
		}
	}
	grown := resident(s.in.cmd.Process.Pid) - before
	if before == 0 || ran < 2*memoryWarmUp {
		return skipped("jobs of process %s take too long, or the memory of a process cannot be read here", proc.id())
	}
	if n := int64(ran - memoryWarmUp); grown > n*memoryGrowth {
		return failed("it grew by %d KiB in %d runs of process %s", grown>>10, n, proc.id())
	}
	return passed("%d KiB more after %d runs", grown>>10, ran-memoryWarmUp)
}
