package job

import (
	"context"
	"errors"

	"geomill/sdk/ogc"
)

// exceptionOf says what clients see of a failed attempt: the same document in
// the sync reply, in the job's status and at its results. Causes stay out.
func exceptionOf(err error) ogc.Exception {
	var f *Failure
	var u *UnavailableError
	switch {
	case errors.As(err, &f):
		return f.exception()
	case errors.As(err, &u):
		return ogc.Exception{Type: "about:blank", Title: "Process not available", Status: 503, Detail: u.Error()}
	case errors.Is(err, ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		return (&Failure{Kind: TimedOut, Detail: "the process did not end in the time it is allowed"}).exception()
	case errors.Is(err, ErrShuttingDown):
		return (&Failure{Kind: HostDied, Detail: "the server was stopped while the process ran"}).exception()
	}
	return ogc.Exception{Type: "about:blank", Title: "Internal error", Status: 500, Detail: "the job failed for a reason that is in the server's log"}
}

func (f *Failure) exception() ogc.Exception {
	e := ogc.Exception{Type: "about:blank", Status: 500, Detail: f.Detail}
	for _, fault := range f.Faults { // the process knows places within its inputs
		fault.Pointer = "/inputs/" + escape(fault.Input) + fault.Pointer
		e.Errors = append(e.Errors, fault)
	}
	switch f.Kind {
	case InputRefused:
		e.Type, e.Title, e.Status = ogc.InvalidParameterValue, "Invalid input", 400
	case PluginDied:
		e.Title = "Plugin failed"
	case TimedOut:
		e.Title, e.Status = "Process took too long", 504
	case HostDied:
		e.Title = "Execution was interrupted"
	case Vanished:
		e.Title = "Process is no longer offered"
	default:
		e.Title = "Process failed"
	}
	return e
}

// again reports whether the job may be run once more after err.
func (j Job) again(err error) bool {
	var f *Failure
	retryable := errors.Is(err, ErrShuttingDown)
	if errors.As(err, &f) {
		retryable = f.Retryable || f.Kind == PluginDied || f.Kind == HostDied
	}
	return retryable && j.Attempt <= j.Retries
}
