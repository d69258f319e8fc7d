// Package job is the centre of the host: what a job is, the states it goes
// through, and the Service that submits, runs, dismisses and recovers jobs. It
// declares the seams it needs (Catalog, Store, Queue, Executor) and imports no
// one who implements them; of Geomill it knows only sdk/ogc and sdk/schema.
//
//	         Submit                run                      run
//	(none) ---------> accepted ---------> running ----------------> successful
//	                     |  \                |  \  error, timeout, plugin died
//	             Dismiss |   \ host restart: |   \ and no attempts left
//	                     v    still queued   |    +---------------> failed
//	                 dismissed <-------------+  Dismiss = cancel(cause); the owner writes it
package job

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"time"

	"geomill/sdk/ogc"
)

// Job is the record of one execution of a process.
type Job struct {
	ID        string `json:"id"` // UUIDv7, canonical text form
	ProcessID string `json:"process"`
	Plugin    Plugin `json:"plugin"` // what runs it, as of the last start

	Status    ogc.Status     `json:"status"`
	Message   string         `json:"message,omitempty"`
	Progress  int            `json:"progress,omitempty"` // percent, of the last attempt
	Exception *ogc.Exception `json:"exception,omitempty"`

	Created  time.Time `json:"created"`
	Started  time.Time `json:"started,omitzero"`  // of the first attempt
	Finished time.Time `json:"finished,omitzero"` // of the last attempt
	Updated  time.Time `json:"updated"`           // last change of status

	// Attempt counts the starts: 0 before the first.
	Attempt int `json:"attempt,omitempty"`
	// Retries is how often the job may be run again, RetryOn after which kinds
	// of failure (nil: DefaultRetryOn), and Backoff how long it waits before the
	// second attempt: the policy of its process when it was accepted.
	Retries int           `json:"retries,omitempty"`
	RetryOn []FailureKind `json:"retryOn,omitzero"`
	Backoff time.Duration `json:"backoff,omitempty"`
	// PluginCrashes and HostCrashes count the attempts during which the
	// plugin, or the host, went down: see CrashLimit.
	PluginCrashes int `json:"pluginCrashes,omitempty"`
	HostCrashes   int `json:"hostCrashes,omitempty"`
	// Sync marks a recorded synchronous execution: it has no place in the queue.
	Sync bool `json:"sync,omitempty"`
	// Callback marks a job whose order has a subscriber.
	Callback bool `json:"callback,omitempty"`
	// Digest names what the job was asked to do, when its results may answer
	// equal requests; else it is empty.
	Digest string `json:"digest,omitempty"`
	// ReusedFrom is the id of the job whose results this one was given.
	ReusedFrom string `json:"reusedFrom,omitempty"`
	// InputSize is the bytes of its inputs that are no files.
	InputSize int64 `json:"inputSize,omitempty"`
	// LogSize is the bytes of its log, as of the last attempt that wrote to it.
	LogSize int64 `json:"logSize,omitempty"`
	// Outputs is set by the store when the job succeeds.
	Outputs map[string]OutputInfo `json:"outputs,omitempty"`

	// Caller is who the job waits and takes turns for. No client sees it.
	Caller string `json:"caller,omitempty"`
	// Priority is that of the job in the queue; empty is Normal.
	Priority Priority `json:"priority,omitempty"`
	// NotBefore is when the client wants the job to start at the earliest.
	NotBefore time.Time `json:"notBefore,omitzero"`
	// StartBy is when the job fails if it never started; zero: it may wait.
	StartBy time.Time `json:"startBy,omitzero"`

	// Revision is set by the store at each write; Update compares it.
	Revision uint64 `json:"-"`
	// Estimated is when a running job may end, as far as its progress tells;
	// it is no part of the record.
	Estimated time.Time `json:"-"`
	// Expires is set by the service: when a finished job is due to be removed
	// for its age; zero for never.
	Expires time.Time `json:"-"`
}

// OutputInfo describes a stored output.
type OutputInfo struct {
	MediaType string `json:"mediaType"`
	Size      int64  `json:"size"` // bytes
}

// Plugin says which executable a process comes from.
type Plugin struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Hash    string `json:"hash"` // SHA-256 of the executable, hexadecimal
}

// Order is what a job was asked to do, after the checks. It is written once,
// when the job is created, and never changes.
type Order struct {
	// Inputs by id: checked, unwrapped, defaults filled in. An input with
	// maxOccurs above one is a JSON array of its occurrences.
	Inputs map[string]Value `json:"inputs"`
	// Outputs is the client's selection: nil for all, empty for none.
	Outputs map[string]ogc.OutputSelection `json:"outputs"`
	// Response is "raw", "document" or empty.
	Response   string          `json:"response,omitempty"`
	Subscriber *ogc.Subscriber `json:"subscriber,omitempty"`
	// Timeout is how long an attempt may take, where the client chose that.
	Timeout time.Duration `json:"timeout,omitempty"`
	// BaseURL is the landing page as the subscriber knows it.
	BaseURL string `json:"baseUrl,omitempty"`

	// Digest becomes that of the job.
	Digest string `json:"-"`
}

// Value is one input or output: in memory, or a file.
type Value struct {
	// JSON is a JSON value.
	JSON json.RawMessage `json:"json,omitempty"`
	// Data is the bytes of MediaType, when the value is not JSON.
	Data []byte `json:"data,omitzero"` // not nil when empty
	// File is the absolute path of a file that holds the value: JSON text
	// when MediaType is JSON, else the bytes of MediaType.
	File      string `json:"file,omitempty"`
	Size      int64  `json:"size,omitempty"`      // bytes of File
	MediaType string `json:"mediaType,omitempty"` // empty: application/json
}

// Len returns the size of the value in bytes.
func (v Value) Len() int64 {
	switch {
	case v.File != "":
		return v.Size
	case v.Data != nil:
		return int64(len(v.Data))
	}
	return int64(len(v.JSON))
}

// Type returns the media type of the value.
func (v Value) Type() string {
	if v.MediaType == "" {
		return "application/json"
	}
	return v.MediaType
}

// Open returns a reader of the value's bytes. The caller closes it.
func (v Value) Open() (io.ReadSeekCloser, error) {
	switch {
	case v.File != "":
		return os.Open(v.File)
	case v.Data != nil:
		return nopCloser{bytes.NewReader(v.Data)}, nil
	}
	return nopCloser{bytes.NewReader(v.JSON)}, nil
}

type nopCloser struct{ *bytes.Reader }

func (nopCloser) Close() error { return nil }
