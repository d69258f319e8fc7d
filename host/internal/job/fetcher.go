package job

import (
	"context"
	"fmt"
	"io"
)

// Fetcher gets inputs by reference from other servers (spec 4.2, 4.3).
type Fetcher interface {
	// Check says what can be told without asking anyone of why a reference
	// will not be fetched. Its error is a *RemoteError.
	Check(r Reference) error
	// Fetch writes what a reference leads to. It fails with ctx's cause, with
	// an error of w as it is, with ErrBusy when too much is being fetched, and
	// else with a *RemoteError. What was written before is then of no use.
	Fetch(ctx context.Context, r Reference, w io.Writer) (Fetched, error)
}

// Reference is a place outside that has an input (link.yaml of version 2.0).
type Reference struct {
	Href   string
	Method string            // GET or POST
	Header map[string]string // of the request: Accept and what the client wishes
	Body   []byte            // nil: none
}

// Fetched describes what came of a Reference.
type Fetched struct {
	// MediaType is what the other server says it is, with lower case type and
	// parameters' names; empty when it does not say, or nothing sensible.
	MediaType string
}

// RemoteKind says why another server gave nothing.
type RemoteKind string

// The kinds of a RemoteError.
const (
	RemoteRefused     RemoteKind = "refused"     // the policy does not allow to ask it
	RemoteUnreachable RemoteKind = "unreachable" // it does not answer
	RemoteBadAnswer   RemoteKind = "bad answer"  // what it answers is of no use
	RemoteTooLarge    RemoteKind = "too large"
	RemoteTooSlow     RemoteKind = "too slow"
)

// RemoteError is a reference, or a request to another server, that came to
// nothing. Detail is for clients and goes on where the name of the reference
// left off: "names no server". Cause is for the log.
type RemoteError struct {
	Kind   RemoteKind
	Detail string
	Cause  error
}

func (e *RemoteError) Error() string {
	if e.Cause == nil {
		return e.Detail
	}
	return fmt.Sprintf("%s: %v", e.Detail, e.Cause)
}

func (e *RemoteError) Unwrap() error { return e.Cause }
