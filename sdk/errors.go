package sdk

import (
	"errors"
	"fmt"
	"strings"

	"geomill/sdk/ogc"
	"geomill/sdk/wire"
)

// Invalid returns an error that blames an input: something is wrong with it
// that its schema cannot say. Several are reported together by errors.Join.
func Invalid(input, format string, args ...any) error {
	return InvalidAt(input, "", format, args...)
}

// InvalidAt is Invalid for a place within the value of the input, a JSON
// pointer (RFC 6901) such as /features/3/geometry.
func InvalidAt(input, pointer, format string, args ...any) error {
	return &invalid{fault: ogc.Fault{Input: input, Pointer: pointer, Message: fmt.Sprintf(format, args...)}}
}

// Retry marks an error as passing: the same job may succeed later. It returns
// nil for a nil error.
func Retry(err error) error {
	if err == nil {
		return nil
	}
	return &retryable{err}
}

// Status gives an error the HTTP status that clients get of it, from 400 to 599,
// and a code of its own that programs can tell it by, at most 100 letters, digits
// and . _ : - ; it may be empty. Without it a failed process is answered with 500.
// Status returns nil for a nil error.
func Status(err error, status int, code string) error {
	if err == nil {
		return nil
	}
	return &answered{err, status, code}
}

type answered struct {
	error
	status int
	code   string
}

func (e *answered) Unwrap() error { return e.error }

type invalid struct{ fault ogc.Fault }

func (e *invalid) Error() string { return e.fault.Input + e.fault.Pointer + " " + e.fault.Message }

type retryable struct{ error }

func (e *retryable) Unwrap() error { return e.error }

// problem turns the error of a process into what crosses to the host.
func problem(err error) error {
	if err == nil {
		return nil
	}
	var p *wire.Problem
	if errors.As(err, &p) {
		return err
	}
	var again *retryable
	p = &wire.Problem{Kind: wire.ProcessFailed, Title: "the process failed", Detail: err.Error(), Retryable: errors.As(err, &again)}
	if own, ok := errors.AsType[*answered](err); ok {
		p.Status, p.Code = own.status, own.code
	}
	if p.Faults = faults(err); len(p.Faults) > 0 {
		p.Kind, p.Title = wire.InvalidInput, "the inputs are not valid"
		p.Detail = strings.ReplaceAll(p.Detail, "\n", "; ") // one sentence, of what errors.Join has joined
	}
	return p
}

// faults collects every Invalid in the tree of an error.
func faults(err error) []ogc.Fault {
	var found []ogc.Fault
	switch e := err.(type) {
	case *invalid:
		return []ogc.Fault{e.fault}
	case interface{ Unwrap() error }:
		return faults(e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, each := range e.Unwrap() {
			found = append(found, faults(each)...)
		}
	}
	return found
}

// invalidInputs is the problem of inputs with faults.
func invalidInputs(faults []ogc.Fault) *wire.Problem {
	detail := ""
	for i, f := range faults {
		if i > 0 {
			detail += "; "
		}
		detail += f.Input + f.Pointer + " " + f.Message
	}
	return &wire.Problem{Kind: wire.InvalidInput, Title: "the inputs are not valid", Detail: detail, Faults: faults}
}
