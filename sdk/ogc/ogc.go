// Package ogc holds the JSON documents of OGC API - Processes as Go data:
// Part 1 version 1.0 (OGC 18-062r2) and version 2.0 (draft 18-062r3), in one
// shape that clients of both can read. It has no behaviour beyond JSON and
// imports nothing of Geomill.
package ogc

import (
	"encoding/json"
	"time"
)

// Link is a reference to another resource (RFC 8288, link.yaml).
type Link struct {
	Href     string `json:"href"`
	Rel      string `json:"rel,omitempty"`
	Type     string `json:"type,omitempty"`
	Hreflang string `json:"hreflang,omitempty"`
	Title    string `json:"title,omitempty"`
	Length   int64  `json:"length,omitempty"` // bytes
}

// LandingPage answers GET / (landingPage.yaml).
type LandingPage struct {
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
	Attribution string `json:"attribution,omitempty"`
	Links       []Link `json:"links"`
}

// Conformance answers GET /conformance (confClasses.yaml).
type Conformance struct {
	ConformsTo []string `json:"conformsTo"`
	Links      []Link   `json:"links,omitempty"`
}

// ProcessList answers GET /processes (processList.yaml).
type ProcessList struct {
	Processes []ProcessSummary `json:"processes"`
	// NumberMatched counts the whole list, NumberReturned this page.
	NumberMatched  int    `json:"numberMatched"`
	NumberReturned int    `json:"numberReturned"`
	Links          []Link `json:"links"`
}

// JobList answers GET /jobs (jobList.yaml).
type JobList struct {
	Jobs []StatusInfo `json:"jobs"`
	// NumberMatched counts the jobs of all pages; nil where that is not known.
	NumberMatched *int `json:"numberMatched,omitempty"`
	// NumberReturned counts the jobs of this page.
	NumberReturned int    `json:"numberReturned"`
	Links          []Link `json:"links"`
}

// Status is the state of a job (statusCode.yaml).
type Status string

// The five states of a job. The last three are final.
const (
	Accepted   Status = "accepted"   // created, waits for its turn
	Running    Status = "running"    // an attempt is under way
	Successful Status = "successful" // ended with outputs
	Failed     Status = "failed"     // ended with an exception
	Dismissed  Status = "dismissed"  // ended by a client
)

// Final reports whether s never changes again.
func (s Status) Final() bool { return s == Successful || s == Failed || s == Dismissed }

// Valid reports whether s is one of the five states.
func (s Status) Valid() bool { return s == Accepted || s == Running || s.Final() }

// StatusInfo describes a job (statusInfo.yaml). It carries the members of
// version 1.0 (jobID, type) and of 2.0 (id, processingEntityType) side by side.
type StatusInfo struct {
	JobID                string     `json:"jobID"`
	ID                   string     `json:"id"`
	Type                 string     `json:"type"`                 // "process"
	ProcessingEntityType string     `json:"processingEntityType"` // "ogc-api-processes"
	ProcessID            string     `json:"processID"`
	Status               Status     `json:"status"`
	Message              string     `json:"message,omitempty"`
	Exception            *Exception `json:"exception,omitempty"`
	Created              *time.Time `json:"created,omitempty"`
	Started              *time.Time `json:"started,omitempty"`
	Finished             *time.Time `json:"finished,omitempty"`
	Updated              *time.Time `json:"updated,omitempty"`
	Progress             *int       `json:"progress,omitempty"` // percent, 0 to 100
	// EstimatedCompletion is when a running job may end, named as in WPS 2.0.
	EstimatedCompletion *time.Time `json:"estimatedCompletion,omitempty"`
	Links               []Link     `json:"links,omitempty"`
	// ReusedFrom is the id of the job whose results this one was given instead
	// of being run. It is Geomill's own.
	ReusedFrom string `json:"reusedFrom,omitempty"`
	// Expires is when a finished job is due to be removed for its age. It is
	// Geomill's own.
	Expires *time.Time `json:"expires,omitempty"`
	// Callbacks says what has become of the calls to the subscriber. It is
	// Geomill's own, and only in the document of a single job.
	Callbacks []Callback `json:"callbacks,omitempty"`
}

// Callback is what has become of one call to a subscriber.
type Callback struct {
	Event       string     `json:"event"`  // "success", "inProgress" or "failed", as the subscriber's members
	URI         string     `json:"uri"`    // without its query
	Status      string     `json:"status"` // "pending", "delivered" or "failed"
	Attempts    int        `json:"attempts"`
	LastAttempt *time.Time `json:"lastAttempt,omitempty"`
	HTTPStatus  int        `json:"httpStatus,omitempty"` // of the last answer
	Error       string     `json:"error,omitempty"`      // what was wrong with the last attempt
}

// Exception is a problem document (exception.yaml, RFC 7807, RFC 9457).
type Exception struct {
	Type     string  `json:"type"`
	Title    string  `json:"title,omitempty"`
	Status   int     `json:"status,omitempty"` // HTTP status
	Detail   string  `json:"detail,omitempty"`
	Instance string  `json:"instance,omitempty"`
	Errors   []Fault `json:"errors,omitempty"` // every fault of a request

	// What is known of a failed job besides. These members are Geomill's own.
	Code     string   `json:"code,omitempty"`     // the process's own, for programs
	Attempt  int      `json:"attempt,omitempty"`  // the one that failed, 1 for the first
	Timeout  float64  `json:"timeout,omitempty"`  // seconds that it was allowed
	Limit    string   `json:"limit,omitempty"`    // what was exceeded: memory, cpu, files, processes, output, directory
	Maximum  float64  `json:"maximum,omitempty"`  // how much of it is allowed: bytes, seconds or a number
	ExitCode *int     `json:"exitCode,omitempty"` // of the plugin
	Signal   string   `json:"signal,omitempty"`   // that ended the plugin, such as SIGKILL
	Stderr   []string `json:"stderr,omitempty"`   // the plugin's last lines, oldest first
}

// Fault is one wrong place in a request.
type Fault struct {
	// Input (or output) identifier; empty when the fault is not in one.
	Input string `json:"input,omitempty"`
	// JSON pointer (RFC 6901) into the request body.
	Pointer string `json:"pointer,omitempty"`
	Message string `json:"message"`
	// Type says more about the kind of fault, if there is more to say. It is
	// Geomill's own.
	Type string `json:"type,omitempty"`
}

// Exception types that the standard defines (1.0 requirements
// /req/core/process-exception/no-such-process, /req/core/job-exception-no-such-job,
// /req/core/job-results-exception/..., and their 2.0 successors).
const (
	exceptionBase = "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0/"

	NoSuchProcess              = exceptionBase + "no-such-process"
	NoSuchJob                  = exceptionBase + "no-such-job"
	ResultNotReady             = exceptionBase + "result-not-ready"
	ResultNotAvailable         = exceptionBase + "result-not-available"
	NoSuchOutput               = exceptionBase + "no-such-output"
	InvalidQueryParameterValue = exceptionBase + "invalid-query-parameter-value"
	// InvalidParameterValue is the only spelling the standard mentions for a
	// wrong execute request; it is not a URI.
	InvalidParameterValue = "InvalidParameterValue"
)

// Link relations of OGC API - Processes.
const (
	relBase = "http://www.opengis.net/def/rel/ogc/1.0/"

	RelConformance = relBase + "conformance"
	RelProcesses   = relBase + "processes"
	RelJobList     = relBase + "job-list"
	RelExecute     = relBase + "execute"
	RelResults     = relBase + "results"
	RelExceptions  = relBase + "exceptions"
	RelLog         = relBase + "log"
)

// Execute is the body of an execute request (execute.yaml). Inputs stay raw:
// they are decoded once, to validate them.
type Execute struct {
	Inputs  map[string]json.RawMessage `json:"inputs,omitempty"`
	Outputs map[string]OutputSelection `json:"outputs,omitempty"` // nil: all; empty: none
	// Response is "raw", "document" or empty (1.0 only).
	Response   string      `json:"response,omitempty"`
	Subscriber *Subscriber `json:"subscriber,omitempty"`
	// Mode is "sync", "async" or "auto" (drafts before 1.0).
	Mode string `json:"mode,omitempty"`
}

// OutputSelection says how one output is wanted (output.yaml).
type OutputSelection struct {
	Format *Format `json:"format,omitempty"`
	// TransmissionMode is "value", "reference" or empty (1.0 only).
	TransmissionMode string `json:"transmissionMode,omitempty"`
}

// Format names an encoding (format.yaml).
type Format struct {
	MediaType string          `json:"mediaType,omitempty"`
	Encoding  string          `json:"encoding,omitempty"`
	Schema    json.RawMessage `json:"schema,omitempty"` // a URI or a schema object
}

// Subscriber names URIs to call back (subscriber.yaml).
type Subscriber struct {
	SuccessURI    string `json:"successUri,omitempty"`
	InProgressURI string `json:"inProgressUri,omitempty"`
	FailedURI     string `json:"failedUri,omitempty"`
}

// QualifiedValue is a value with its format (qualifiedInputValue.yaml).
type QualifiedValue struct {
	Value     json.RawMessage `json:"value"`
	MediaType string          `json:"mediaType,omitempty"`
	Encoding  string          `json:"encoding,omitempty"`
	Schema    json.RawMessage `json:"schema,omitempty"`
}
