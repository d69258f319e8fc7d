package job

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"geomill/sdk/ogc"
)

// Request is an execute request, not yet checked against its process.
type Request struct {
	ProcessID string
	Inputs    map[string]Raw
	// Outputs is the client's selection: nil for all, empty for none.
	Outputs    map[string]ogc.OutputSelection
	Response   string // "raw", "document" or empty
	Subscriber *ogc.Subscriber
	BaseURL    string // of the landing page, for links in callbacks
	Prefer     Preference
	Cache      CacheControl
	// Caller is who sends it, as far as turns in the queue and limits go; it
	// need not be set for what is run within the request.
	Caller string
}

// Raw is the JSON text of one input as the client sent it, known to be valid JSON:
// in memory or, when it is large, a section of the spooled body.
type Raw struct {
	Text    json.RawMessage
	Section *io.SectionReader // used when Text is nil
}

// Len returns the size of the text in bytes.
func (r Raw) Len() int64 {
	if r.Text == nil && r.Section != nil {
		return r.Section.Size()
	}
	return int64(len(r.Text))
}

// Bytes returns the whole text in memory.
func (r Raw) Bytes() ([]byte, error) {
	if r.Text != nil || r.Section == nil {
		return r.Text, nil
	}
	b := make([]byte, r.Section.Size())
	if _, err := r.Section.ReadAt(b, 0); err != nil && err != io.EOF {
		return nil, fmt.Errorf("read spooled input: %w", err)
	}
	return b, nil
}

// Preference is what a client wishes for the reply (RFC 7240, and the mode
// member of old execute requests).
type Preference struct {
	Async bool // respond-async, or mode "async"
	Sync  bool // respond-sync, or mode "sync"
	Auto  bool // mode "auto"
	Wait  *time.Duration
	// Timeout is how long an attempt may take; zero leaves it to the process.
	Timeout time.Duration

	Priority  Priority  // of a queued job; others than Priorities count for nothing
	NotBefore time.Time // when a queued job starts at the earliest, within LatestStart
}

// Execution is what became of a Request.
type Execution struct {
	// Job is the record as it is now.
	Job Job
	// Recorded says that the job can be looked up by its id.
	Recorded bool
	// Timeout is how long an attempt may take, if the request said so and was
	// heard; zero otherwise.
	Timeout time.Duration
	// Results is set when the job has ended within the request. The caller
	// closes it. When nil, the job goes on: answer 201.
	Results *Results
	// ResultsOf is when the results were made, if the process was not run as
	// those of an equal request were stored; else it is zero.
	ResultsOf time.Time
}

// Results is the outputs of a successful job, as its client selected them.
type Results struct {
	Job     Job
	Order   Order
	Process *Process // nil when the process is no longer offered
	Outputs map[string]Value

	release func()
}

// Close gives back what the results hold, such as the files of a job without a
// record.
func (r *Results) Close() {
	if r.release != nil {
		r.release()
		r.release = nil
	}
}
