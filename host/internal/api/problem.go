package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// blank is the problem type that says no more than the HTTP status
// (RFC 9457, section 4.2.1).
const blank = "about:blank"

// problem is a problem document on its way to a client. As an error it is what
// handlers return for what is wrong with a request itself.
type problem struct {
	ogc.Exception
	retryAfter time.Duration // rounded up to seconds; zero sends no header
	coded      bool          // see forPygeoapi
}

func (p *problem) Error() string { return p.Detail }

// newProblem makes a problem without a type of its own.
func newProblem(status int, detail string) *problem {
	return &problem{Exception: ogc.Exception{Type: blank, Status: status, Detail: detail}}
}

func typedProblem(status int, uri, detail string) *problem {
	return &problem{Exception: ogc.Exception{Type: uri, Status: status, Detail: detail}}
}

// badParameter is the 400 for a wrong query parameter
// (2.0: /req/core/query-param-invalid).
func badParameter(name, message string) *problem {
	return typedProblem(http.StatusBadRequest, ogc.InvalidQueryParameterValue, "parameter "+name+": "+message)
}

// badParameters is the 400 for all wrong parameters of a query together. An error
// of another kind comes before them.
func badParameters(errs ...error) error {
	var wrong []string
	var first error
	for _, err := range errs {
		if err == nil {
			continue
		}
		p, ok := errors.AsType[*problem](err)
		if !ok || p.Type != ogc.InvalidQueryParameterValue {
			return err
		}
		if first == nil {
			first = err
		}
		wrong = append(wrong, p.Detail)
	}
	if len(wrong) < 2 {
		return first
	}
	return typedProblem(http.StatusBadRequest, ogc.InvalidQueryParameterValue, strings.Join(wrong, "; "))
}

// badQuery is the 400 for a query that cannot be taken apart.
func badQuery(err error) *problem {
	return typedProblem(http.StatusBadRequest, ogc.InvalidQueryParameterValue, "query: "+err.Error())
}

// notAcceptable is the 406 for a resource that is offered as one of the types.
func notAcceptable(offers ...string) *problem {
	var names []string
	for _, name := range offers {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return newProblem(http.StatusNotAcceptable, "The resource is offered as "+strings.Join(names, " or ")+" only.")
}

// problemOf turns any error into a problem document (spec of the exceptions:
// 1.0 /req/core/process-exception, job-exception, job-results-exception and their
// 2.0 successors). It is the only place that knows which error has which status.
// Unknown errors say nothing but the request id.
func problemOf(err error, requestID string) *problem {
	p := classify(err)
	if p == nil {
		p = newProblem(http.StatusInternalServerError,
			"The server failed to answer. Its operator finds the cause in the log under request id "+requestID+".")
	}
	if p.Type == "" {
		p.Type = blank
	}
	if p.Status < 400 || p.Status > 599 {
		p.Status = http.StatusInternalServerError
	}
	if p.Title == "" {
		p.Title = http.StatusText(p.Status)
	}
	return p
}

// classify returns nil for an error that clients should not read about.
func classify(err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	if e, ok := errors.AsType[*job.InvalidError](err); ok {
		return invalid(e.Faults)
	}
	if e, ok := errors.AsType[*job.FailedError](err); ok {
		p := &problem{Exception: e.Exception}
		if p.Status == http.StatusServiceUnavailable {
			p.retryAfter = time.Second
		}
		return p
	}
	if e, ok := errors.AsType[*job.UnavailableError](err); ok {
		p := typedProblem(http.StatusServiceUnavailable, job.TypeProcessUnavailable, "The process cannot run now: "+e.Reason)
		p.retryAfter = e.RetryAfter
		return p
	}
	if e, ok := errors.AsType[*job.BusyError](err); ok {
		return busy(e)
	}
	if e, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return newProblem(http.StatusRequestEntityTooLarge,
			fmt.Sprintf("The body is larger than the limit of %d bytes.", e.Limit))
	}
	return classifyFact(err)
}

// classifyFact knows the sentinels of package job.
func classifyFact(err error) *problem {
	switch {
	case errors.Is(err, job.ErrNoSuchProcess):
		return typedProblem(http.StatusNotFound, ogc.NoSuchProcess, "There is no process of this identifier.")
	case errors.Is(err, job.ErrNoSuchJob):
		return typedProblem(http.StatusNotFound, ogc.NoSuchJob, "There is no job of this identifier.")
	case errors.Is(err, job.ErrGone):
		return typedProblem(http.StatusGone, ogc.NoSuchJob, "The job was removed.")
	case errors.Is(err, job.ErrNotReady):
		return typedProblem(http.StatusNotFound, ogc.ResultNotReady, "The job has not ended yet.")
	case errors.Is(err, job.ErrNotAvailable):
		return typedProblem(http.StatusNotFound, ogc.ResultNotAvailable, "The job holds no such results.")
	case errors.Is(err, job.ErrDismissed):
		return typedProblem(http.StatusNotFound, ogc.ResultNotAvailable, "The job was dismissed.")
	case errors.Is(err, job.ErrNoSuchOutput):
		return typedProblem(http.StatusBadRequest, ogc.NoSuchOutput, "The process defines no output of this identifier.")
	case errors.Is(err, job.ErrTimeout):
		return newProblem(http.StatusGatewayTimeout, "The process took too long.")
	case errors.Is(err, job.ErrBusy):
		p := newProblem(http.StatusServiceUnavailable, "Too many jobs are waiting. Try again later.")
		p.retryAfter = time.Second
		return p
	case job.IsNoSpace(err):
		return newProblem(http.StatusInsufficientStorage, "The server has no space left for this. Try again later, or remove jobs that are no longer needed.")
	case errors.Is(err, job.ErrStopping):
		p := newProblem(http.StatusServiceUnavailable, "The job is being stopped, which takes longer than usual. Ask for its status, or try again later.")
		p.retryAfter = 5 * time.Second
		return p
	case errors.Is(err, job.ErrShuttingDown):
		p := newProblem(http.StatusServiceUnavailable, "The server is shutting down. Try again later.")
		p.retryAfter = 5 * time.Second
		return p
	case errors.Is(err, context.DeadlineExceeded):
		return newProblem(http.StatusGatewayTimeout, "The answer took too long.")
	}
	return nil
}

// invalid is the 400 for a wrong execute request, with every fault.
func invalid(faults []ogc.Fault) *problem {
	p := typedProblem(http.StatusBadRequest, ogc.InvalidParameterValue, "The execute request is not valid.")
	switch len(faults) {
	case 0:
	case 1:
		p.Detail = faults[0].Message
		if faults[0].Input != "" {
			p.Detail = faults[0].Input + ": " + p.Detail
		}
	default:
		p.Detail = "The execute request has " + strconv.Itoa(len(faults)) + " faults."
	}
	p.Errors = faults
	return p
}

// write sends the problem. Its media type is application/json unless the client
// names application/problem+json: clients of version 1.0 expect the former.
func (p *problem) write(w http.ResponseWriter, r *http.Request) {
	if p.retryAfter > 0 {
		seconds := int64((p.retryAfter + time.Second - 1) / time.Second)
		w.Header().Set("Retry-After", strconv.FormatInt(seconds, 10))
	}
	mediaType := mediaJSON
	if parseAccept(r.Header["Accept"]).names(mediaProblem) {
		mediaType = mediaProblem
	}
	// What a handler set for the reply it could not give does not hold here.
	for _, name := range []string{"Content-Encoding", "ETag", "Last-Modified", "Preference-Applied", "Link", "Cache-Control", "Content-Disposition", "Content-Language", "Cache-Status", "Age"} {
		w.Header().Del(name)
	}
	var body any = &p.Exception
	if p.coded {
		body = codedException{Code: p.Type, Description: p.Detail, Exception: p.Exception}
	}
	// A client that cannot be reached cannot be told so.
	_ = writeJSON(w, p.Status, mediaType, body)
}
