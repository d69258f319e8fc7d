package job

import (
	"context"
	"errors"
	"fmt"
	"time"

	"geomill/sdk/ogc"
)

// problemType begins the types of problems that the standard has no type for.
// They are stable; README.md of this folder lists them.
const problemType = "urn:geomill:problem:"

// Types of problems. A fault of the inputs has ogc.InvalidParameterValue.
const (
	TypeProcessFailed      = problemType + "process-failed"
	TypePluginCrashed      = problemType + "plugin-crashed"
	TypeOutOfMemory        = problemType + "out-of-memory"
	TypeContractBroken     = problemType + "contract-broken"
	TypeTimeout            = problemType + "timeout"
	TypeHostCrashed        = problemType + "host-crashed"
	TypeHostStopped        = problemType + "host-stopped"
	TypeProcessVanished    = problemType + "process-vanished"
	TypeQueueTimeout       = problemType + "queue-timeout"
	TypeProcessUnavailable = problemType + "process-unavailable"
	TypeOutOfSpace         = problemType + "out-of-space"
	TypeReference          = problemType + "reference-not-fetched"
	TypeLimitExceeded      = problemType + "limit-exceeded"
	TypeInternal           = problemType + "internal"
)

// known is how a kind of failure is answered.
type known struct {
	uri, title string
	status     int
}

func (k FailureKind) known() known {
	switch k {
	case InputRefused:
		return known{ogc.InvalidParameterValue, "Invalid input", 400}
	case PluginDied:
		return known{TypePluginCrashed, "Plugin crashed", 500}
	case OutOfMemory:
		return known{TypeOutOfMemory, "Out of memory", 500}
	case ContractBroken:
		return known{TypeContractBroken, "Plugin broke its contract", 500}
	case TimedOut:
		return known{TypeTimeout, "Process took too long", 504}
	case HostDied:
		return known{TypeHostCrashed, "Server crashed", 500}
	case HostStopped:
		return known{TypeHostStopped, "Server was stopped", 500}
	case OutOfSpace:
		return known{TypeOutOfSpace, "Insufficient storage", 507}
	case Vanished:
		return known{TypeProcessVanished, "Process is no longer offered", 500}
	case LimitExceeded:
		return known{TypeLimitExceeded, "Limit exceeded", 500}
	case WaitedTooLong:
		return known{TypeQueueTimeout, "Job waited too long", 503}
	}
	return known{TypeProcessFailed, "Process failed", 500}
}

// exception says what clients see of the failed attempt of a job: the same
// document in the sync reply, in the job's status and at its results. Causes
// stay out of it.
func (j Job) exception(err error) *ogc.Exception {
	e := exceptionOf(err)
	e.Instance, e.Attempt = "urn:uuid:"+j.ID, j.Attempt
	return &e
}

func exceptionOf(err error) ogc.Exception {
	if f := failureOf(err); f != nil {
		return f.exception()
	}
	if u, ok := errors.AsType[*UnavailableError](err); ok {
		return ogc.Exception{Type: TypeProcessUnavailable, Title: "Process not available", Status: 503, Detail: u.Error()}
	}
	return ogc.Exception{Type: TypeInternal, Title: "Internal error", Status: 500, Detail: "the job failed for a reason that is in the server's log"}
}

// failureOf returns the failure that an error of an attempt is, or nil.
func failureOf(err error) *Failure {
	f, ok := errors.AsType[*Failure](err)
	switch {
	case ok:
		return f
	case errors.Is(err, ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		return timedOut(0, err)
	case IsNoSpace(err):
		return &Failure{Kind: OutOfSpace, Detail: "the server has no space left for the outputs of the job", Cause: err}
	case errors.Is(err, ErrShuttingDown):
		return &Failure{Kind: HostStopped, Detail: "the server was stopped while the process ran", Cause: err}
	}
	return nil
}

// timedOut is the failure of an attempt that was allowed so long; zero when that
// is not known.
func timedOut(allowed time.Duration, cause error) *Failure {
	f := &Failure{Kind: TimedOut, Detail: "the process did not end in the time it is allowed", Cause: cause, Allowed: allowed}
	if allowed > 0 {
		f.Detail = fmt.Sprintf("the process did not end in the time it is allowed, %s", allowed)
	}
	return f
}

func (f *Failure) exception() ogc.Exception {
	k := f.Kind.known()
	e := ogc.Exception{Type: k.uri, Title: k.title, Status: k.status, Detail: f.Detail, Timeout: f.Allowed.Seconds(),
		Limit: string(f.Limit), Maximum: f.Maximum, Code: f.Code}
	if f.Status != 0 {
		e.Status = f.Status
	}
	for _, fault := range f.Faults { // the process knows places within its inputs
		fault.Pointer = "/inputs/" + escape(fault.Input) + fault.Pointer
		e.Errors = append(e.Errors, fault)
	}
	if c := f.Crash; c != nil {
		e.ExitCode, e.Signal, e.Stderr = c.ExitCode, c.Signal, c.Stderr
	}
	return e
}
