package job

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// CrashLimit is how often a job may take its plugin down, or be running when
// the host goes down, before it is failed whatever its policy says.
const CrashLimit = 3

const (
	defaultBackoff = time.Second // before the second attempt
	slowestRetry   = time.Minute // longest delay before another attempt
)

// RetryCauses are the kinds of failure after which a job may be run again:
// ProcessFailed stands for those that the process itself calls passing.
func RetryCauses() []FailureKind {
	return []FailureKind{PluginDied, HostDied, ProcessFailed, OutOfMemory, TimedOut}
}

// DefaultRetryOn is RetryCauses without TimedOut: what took too long once will
// again, as a rule.
func DefaultRetryOn() []FailureKind {
	return []FailureKind{PluginDied, HostDied, ProcessFailed, OutOfMemory}
}

// retryCause returns the member of RetryCauses that a failure counts as, or
// nothing.
func (f *Failure) retryCause() FailureKind {
	switch f.Kind {
	case PluginDied, ContractBroken:
		return PluginDied
	case HostDied, HostStopped:
		return HostDied
	case OutOfMemory, TimedOut:
		return f.Kind
	case LimitExceeded: // of a job alone, which would exceed it again, or of an instance that it shared
		if f.Retryable {
			return PluginDied
		}
		return ""
	}
	if f.Retryable {
		return ProcessFailed
	}
	return ""
}

// retries reports whether the policy that the job was accepted with has it run
// again after a failure of this kind.
func (j Job) retries(cause FailureKind) bool {
	if j.RetryOn == nil {
		return slices.Contains(DefaultRetryOn(), cause)
	}
	return slices.Contains(j.RetryOn, cause)
}

// again reports whether the job may be run once more after err, which is
// counted already.
func (j Job) again(err error) bool {
	f := failureOf(err)
	return f != nil && j.Attempt <= j.Retries && j.crashes(f) < CrashLimit && j.retries(f.retryCause())
}

// counted returns j with the crash that err is counted.
func (j Job) counted(err error) Job {
	switch f := failureOf(err); {
	case f == nil:
	case f.Crash != nil:
		j.PluginCrashes++
	case f.Kind == HostDied:
		j.HostCrashes++
	}
	return j
}

// crashes returns how many crashes of this kind the job has seen.
func (j Job) crashes(f *Failure) int {
	switch {
	case f.Crash != nil:
		return j.PluginCrashes
	case f.Kind == HostDied:
		return j.HostCrashes
	}
	return 0
}

// verdict is err, with what clients are told when the job would run again but
// for its crashes.
func (j Job) verdict(err error) error {
	f := failureOf(err)
	if f == nil || j.crashes(f) < CrashLimit {
		return err
	}
	last := *f
	last.Detail += fmt.Sprintf("; that happened %d times while this job ran, so it is not run again", j.crashes(f))
	return &last
}

// delay returns how long a job that is to be run again waits: its backoff,
// doubled for each attempt and scattered, so that jobs which went down together do
// not come back together.
func (j Job) delay() time.Duration {
	d := max(j.Backoff, 0)
	if d == 0 {
		d = defaultBackoff
	}
	for range j.Attempt - 1 {
		if d *= 2; d >= slowestRetry {
			break
		}
	}
	d = min(d, max(slowestRetry, j.Backoff))
	return d/2 + rand.N(d/2+1)
}

// retryPolicy puts what a process says about further attempts into the record of a
// job, so that a host which does not know the process yet can go by it.
func (j *Job) retryPolicy(p Policy) {
	if p.RetryAttempts > 0 {
		j.Retries, j.RetryOn, j.Backoff = p.RetryAttempts, p.RetryOn, p.RetryBackoff
	}
}
