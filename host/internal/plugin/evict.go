package plugin

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"geomill/host/internal/job"
	"geomill/sdk/wire"
)

// The end of an instance whose job had to end. All of it happens within a
// second after the grace time of that job, unless other jobs run in it: these
// are given Options.PoisonGrace.
const (
	// lastCall is how long the other jobs of the instance may still take.
	lastCall = 250 * time.Millisecond
	// evictTerm and evictKill are when, after that, the process group gets
	// SIGTERM and SIGKILL.
	evictTerm = 50 * time.Millisecond
	evictKill = 300 * time.Millisecond
	// strayPatience is how long processes that a cancelled job has started
	// may take to end after it; strayPause is between looks.
	strayPatience = 200 * time.Millisecond
	strayPause    = 10 * time.Millisecond
)

// expulsion is why an instance has to end at once.
type expulsion struct {
	once  sync.Once
	cause error // valid after instance.expelled

	evicting atomic.Bool // the last call is over: jobs do not end by themselves any more
}

// expel makes the instance end within a second, whatever jobs it has and
// although it may be draining already. It takes no new ones.
func (in *instance) expel(cause error) {
	in.once.Do(func() {
		in.expulsion.cause = cause
		close(in.expelled)
	})
	in.shut(cause)
}

// spoil takes an instance out of use in which a job goes on that nobody waits
// for. Its other jobs may still end, for a bounded time; with the last of them,
// or if there are none, it is ended at once.
func (in *instance) spoil() {
	in.poisoning.Do(func() { close(in.poisoned) })
	in.shut(errPoisoned)
}

func (in *instance) isPoisoned() bool {
	select {
	case <-in.poisoned:
		return true
	default:
		return false
	}
}

func (in *instance) isExpelled() bool {
	select {
	case <-in.expelled:
		return true
	default:
		return false
	}
}

// evict ends an expelled instance and returns why. Jobs that do not end within
// the last call fail.
func (in *instance) evict() error {
	if in.jobs() > 0 {
		in.awaitLast()
	}
	in.evicting.Store(true)
	in.conn.enter(StateStopping, in.expulsion.cause)
	in.conn.stop(in.session, evictTerm, evictKill)
	return in.expulsion.cause
}

// awaitLast waits for the jobs of an expelled instance until the last call is
// over.
func (in *instance) awaitLast() {
	call := time.NewTimer(lastCall)
	defer call.Stop()
	select {
	case <-in.idle:
	case <-in.rush:
	case <-call.C:
		in.log.Warn("plugin instance is stopped although it has jobs", "jobs", in.jobs())
	case <-in.conn.child.exited:
	case <-in.session.Done():
	}
}

// afterCancel sees to what a job has left that ended with an error because it
// had to: an instance that goes on with the work is ended.
func (h *Host) afterCancel(o *offer, in *instance, a job.Attempt, begun time.Time, err error) {
	if _, ok := errors.AsType[*wire.UnresponsiveError](err); ok {
		in.log.Warn("plugin ignores a cancelled job", "process", a.Process.ID, "job", a.JobID, "grace", a.Grace, "other_jobs", in.jobs()-1)
		if o.process.Policy.Isolation == job.Shared && in.jobs() > 1 {
			in.huntJob(a.JobID)
			in.spoil()
			return
		}
		in.expel(errPoisoned)
		return
	}
	if o.process.Policy.Isolation == job.PerJob {
		in.expel(errSpent)
		return
	}
	if in.isExpelled() || !in.strays(a.JobID, begun) {
		return
	}
	in.log.Warn("processes of a cancelled job are left", "process", a.Process.ID, "job", a.JobID)
	if in.jobs() == 1 {
		in.expel(errPoisoned)
		return
	}
	in.shut(errStrays) // nobody can tell whether they belong to other jobs
}

// strays ends the processes that were started for a job, and reports whether
// others that it may have started are left.
func (in *instance) strays(jobID string, begun time.Time) bool {
	for deadline := time.Now().Add(strayPatience); ; {
		left := in.conn.child.offspring(begun)
		if slices.ContainsFunc(left, func(p process) bool { return p.job == jobID }) {
			in.huntJob(jobID)
		}
		if !slices.ContainsFunc(left, func(p process) bool { return p.job == "" }) {
			return false
		}
		if time.Now().After(deadline) {
			return true
		}
		time.Sleep(strayPause)
	}
}

// huntJob kills the processes that were started for a job and say so.
func (in *instance) huntJob(jobID string) {
	hunt(in.log, func(p process) bool { return p.bears(in.conn.child.mark) && p.job == jobID })
}

// evicted reports whether a job ended, as err says, because its instance was
// stopped for the sake of another, rather than by itself.
func (in *instance) evicted(ctx context.Context, err error) bool {
	_, lost := errors.AsType[*wire.LostError](err)
	return ctx.Err() == nil && (in.evicting.Load() || lost && in.isExpelled())
}
