package job

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"geomill/sdk/ogc"
)

// Facts that callers tell apart with errors.Is.
var (
	ErrNoSuchProcess = errors.New("no such process")
	ErrNoSuchJob     = errors.New("no such job")
	ErrGone          = errors.New("job was removed")
	ErrNotReady      = errors.New("results are not ready")
	ErrNotAvailable  = errors.New("results are not available")
	ErrNoSuchOutput  = errors.New("no such output")
	ErrBusy          = errors.New("too many jobs")
	ErrStopping      = errors.New("job is still being stopped")
	ErrNoSpace       = errors.New("no space left for jobs")

	ErrExists    = errors.New("job exists")
	ErrConflict  = errors.New("job was changed meanwhile")
	ErrLost      = errors.New("lease lost")
	ErrCancelled = errors.New("lease cancelled")
	ErrBehind    = errors.New("too far behind the changes")
)

// Causes of a cancellation (context.Cause).
var (
	ErrDismissed    = errors.New("dismissed")
	ErrTimeout      = errors.New("took too long")
	ErrShuttingDown = errors.New("host is shutting down")
)

// ErrDetached is no failure: the attempt goes on, for the next host to take over.
var ErrDetached = errors.New("the attempt goes on without the host")

// InvalidError is a wrong execute request, with every fault found.
type InvalidError struct{ Faults []ogc.Fault }

func (e *InvalidError) Error() string {
	var b strings.Builder
	b.WriteString("invalid request")
	for i, f := range e.Faults {
		if i == 3 {
			fmt.Fprintf(&b, " and %d more", len(e.Faults)-i)
			break
		}
		fmt.Fprintf(&b, "; %s: %s", f.Pointer, f.Message)
	}
	return b.String()
}

// UnavailableError says why a known process cannot run now.
type UnavailableError struct {
	ProcessID  string
	Reason     string        // for clients
	RetryAfter time.Duration // zero when nobody knows
	Passing    bool          // it ends by itself so soon that a job may wait for it in the queue
}

func (e *UnavailableError) Error() string {
	return fmt.Sprintf("process %s is not available: %s", e.ProcessID, e.Reason)
}

// passing reports whether a process cannot run now but soon: the queue can wait
// for it.
func passing(err error) bool {
	u, ok := errors.AsType[*UnavailableError](err)
	return ok && u.Passing
}

// FailureKind says whose fault a failed attempt is.
type FailureKind string

// The kinds of failure.
const (
	ProcessFailed  FailureKind = "process"  // the process reported an error
	InputRefused   FailureKind = "input"    // the process refused its inputs
	PluginDied     FailureKind = "plugin"   // the instance exited, hung or cut its connection
	OutOfMemory    FailureKind = "memory"   // the instance ended for want of memory
	ContractBroken FailureKind = "contract" // the instance did not keep to the contract
	TimedOut       FailureKind = "timeout"  // the attempt took too long
	HostDied       FailureKind = "host"     // the host crashed
	HostStopped    FailureKind = "stop"     // the host was stopped
	Vanished       FailureKind = "vanished" // the process is no longer offered
	OutOfSpace     FailureKind = "space"    // the disk has no room for the outputs
	WaitedTooLong  FailureKind = "queue"    // it did not start in the time it may wait
	LimitExceeded  FailureKind = "limit"    // it used more than the operator allows
)

// Failure is how an attempt failed. Detail and Faults, whose pointers are within
// the value of their input, are for clients; Cause is for the log.
type Failure struct {
	Kind      FailureKind
	Detail    string
	Faults    []ogc.Fault
	Retryable bool // the process asked to be run again later, or a limit was perhaps reached by another job
	Cause     error
	// Crash is set when the attempt's instance came to an unwanted end.
	Crash *Crash
	// Allowed is how long the attempt was allowed to take, if that is why it
	// failed.
	Allowed time.Duration
	// Limit is what was exceeded, if that is why it failed, and Maximum how much
	// of it is allowed: bytes, seconds or a number; zero when nobody knows.
	Limit   LimitName
	Maximum float64
	// Status and Code are the process's own, if it has any: an HTTP status of its
	// failure, from 400 to 599, and what programs tell its failures apart by.
	Status int
	Code   string
}

// Crash is how an instance ended, as clients may know it.
type Crash struct {
	ExitCode *int     // nil when a signal ended it, or nobody knows
	Signal   string   // such as SIGKILL, or empty
	Stderr   []string // last lines, oldest first, without what is the host's
}

func (e *Failure) Error() string {
	if e.Cause == nil {
		return fmt.Sprintf("%s failure: %s", e.Kind, e.Detail)
	}
	return fmt.Sprintf("%s failure: %s: %v", e.Kind, e.Detail, e.Cause)
}

func (e *Failure) Unwrap() error { return e.Cause }

// FailedError is a job that ended as failed; Exception says why, and with which
// HTTP status its results are answered.
type FailedError struct{ Exception ogc.Exception }

func (e *FailedError) Error() string { return "job failed: " + e.Exception.Detail }
