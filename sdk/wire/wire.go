// Package wire is both ends of the connection between the host and a process
// plugin: the go-plugin handshake, the adapters between proto/processv1 and
// plain Go, the session that carries all jobs of an instance, and the classes
// of error that survive the crossing. The host uses Client and Session, the
// SDK uses Server and Handler.
package wire

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"time"

	"geomill/sdk/ogc"
)

// What both ends agree on.
const (
	// ProtocolVersion is go-plugin's application protocol version: the major
	// version of proto/processv1.
	ProtocolVersion = 1
	// ServiceName is the name in go-plugin's plugin set.
	ServiceName = "process"
	// LifelineFD names the environment variable with the number of a file
	// descriptor whose end of file means that the host is gone.
	LifelineFD = "GEOMILL_LIFELINE_FD"
	// DetachedDir names the environment variable with the directory of an
	// instance that goes on when its host is gone. It has no lifeline then.
	DetachedDir = "GEOMILL_DETACHED"
	// InstanceMark names the environment variable by which the host finds the
	// processes that an instance has started, and JobMark the one that tells
	// for which job. A plugin passes the first on to them, and may set the second.
	InstanceMark = "GEOMILL_INSTANCE"
	JobMark      = "GEOMILL_JOB"
	// ManifestFiles names the environment variable by which the host tells its own
	// program, serving a manifest, which files it has open: FD/MANIFEST/TOOL/..., the
	// first number and their names.
	ManifestFiles = "GEOMILL_MANIFEST_FILES"
	// ExitUnfit is the exit status of a plugin that cannot be served, and has said
	// on standard error, to the operator, what is wrong with it and what to do.
	ExitUnfit = 78
	// MaxMessageBytes limits one gRPC message, both ways.
	MaxMessageBytes = 16 << 20
	// InlineMaxBytes is the largest value that travels inside the session;
	// larger ones cross as files.
	InlineMaxBytes = 256 << 10
)

// The cookie of the go-plugin handshake, an environment variable: a courtesy to
// whoever starts a plugin by hand, not a secret.
const (
	CookieKey   = "GEOMILL_PLUGIN"
	CookieValue = "b1c0fd1e6a0f4a7ab35f6d3c9a4e52e7"
)

// Info identifies a plugin.
type Info struct {
	Name         string
	Version      string
	SDK          string
	Capabilities []string
	InstanceID   string
	// SettingsSchema is the JSON Schema of the settings, an object; nil: there
	// are none.
	SettingsSchema json.RawMessage `json:",omitempty"`
}

// Process is a process as the plugin declares it.
type Process struct {
	Description ogc.Process
	Policy      Policy
}

// Policy is what the author of a process asks for.
type Policy struct {
	Isolation      Isolation
	MaxConcurrency int           // 0 leaves it to the host
	Timeout        time.Duration // 0 leaves it to the host
	RetryAttempts  int           // further attempts after a failure of RetryOn
	RetryBackoff   time.Duration // before the second attempt; 0 leaves it to the host
	RetryOn        []RetryCause  // empty: all but RetryTimeout
	Deterministic  bool
	// Detached has the instance of an async job go on without its host; it needs
	// PerJob.
	Detached bool
}

// Isolation says how instances are shared between jobs.
type Isolation string

// The isolation modes; empty leaves it to the host.
const (
	Shared    Isolation = "shared"
	Exclusive Isolation = "exclusive"
	PerJob    Isolation = "job"
)

// RetryCause is a kind of failure after which a job may be run again.
type RetryCause string

// The causes.
const (
	RetryPlugin  RetryCause = "plugin"  // the instance ended, hung or broke the contract
	RetryHost    RetryCause = "host"    // the host crashed or was stopped
	RetryProcess RetryCause = "process" // the process failed and called that passing
	RetryMemory  RetryCause = "memory"  // the instance ended for want of memory
	RetryTimeout RetryCause = "timeout" // the attempt took too long
)

// Limits is what the host allows an instance.
type Limits struct {
	MaxConcurrency int
	InlineMaxBytes int64
}

// Value is one input or output: JSON, bytes or a file.
type Value struct {
	JSON json.RawMessage // a JSON value
	Data []byte          // bytes of MediaType
	// File is the absolute path of a file in the job directory that holds
	// the value: JSON text when MediaType is JSON, else bytes of MediaType.
	File      string
	Size      int64  // bytes of File
	MediaType string // empty: application/json
}

// Named is a value with the id of its input or output.
type Named struct {
	ID string
	Value
}

// Values are the inputs or the outputs of a job. They are few: a slice costs a
// fraction of a map. Of several with one id the last counts.
type Values []Named

// ValuesOf returns the values of a map, sorted by id.
func ValuesOf(m map[string]Value) Values {
	values := make(Values, 0, len(m))
	for id, v := range m {
		values = append(values, Named{id, v})
	}
	slices.SortFunc(values, func(a, b Named) int { return strings.Compare(a.ID, b.ID) })
	return values
}

// Lookup returns the value with an id, and whether there is one.
func (v Values) Lookup(id string) (Value, bool) {
	for i := len(v) - 1; i >= 0; i-- {
		if v[i].ID == id {
			return v[i].Value, true
		}
	}
	return Value{}, false
}

// Get returns the value with an id, or the zero value.
func (v Values) Get(id string) Value {
	value, _ := v.Lookup(id)
	return value
}

// Start is a job as it crosses to the plugin.
type Start struct {
	JobID     string
	ProcessID string
	Attempt   int
	Inputs    Values
	// Outputs lists what is wanted, with the media type if one was chosen;
	// nil means everything.
	Outputs map[string]string
	Dir     string // of this attempt, absolute
	// CheckpointDir is kept between the attempts of the job (absolute); empty
	// when there is no other attempt.
	CheckpointDir string
	Deadline      time.Time
	Trace         map[string]string

	// Root is an existing directory that Dir is in, for the end that starts the
	// job: whatever others put into Root meanwhile leads it nowhere else. Empty
	// trusts the whole path of Dir. It does not cross.
	Root string
	// Owner is the user, and the group of that number, that files written for the
	// job are given to; 0 leaves them to who writes them. It does not cross.
	Owner int
}

// Events receives what a job reports while it runs. Calls come from one
// goroutine per job.
type Events interface {
	Progress(percent float64, message string)
	Log(level slog.Level, message string, fields json.RawMessage)
}

// Problem is the process's own failure. It is an error on both ends.
type Problem struct {
	Kind      ProblemKind
	Title     string
	Detail    string
	Faults    []ogc.Fault
	Retryable bool
	// Status is the HTTP status of a failed process, from 400 to 599; 0 leaves it to
	// the host. Code is what programs tell its failures apart by, at most 100 letters,
	// digits and . _ : - ; others cross as none.
	Status int
	Code   string
}

// ProblemKind is the class of a Problem.
type ProblemKind int

// The classes of problem.
const (
	ProcessFailed ProblemKind = iota
	InvalidInput
	Busy
	NoSuchProcess
	Panicked
)

func (p *Problem) Error() string {
	if p.Detail == "" {
		return p.Title
	}
	return p.Detail
}

// Handler is what a plugin does. Server calls it.
type Handler interface {
	Info() Info
	// Configure takes the operator's settings (a JSON object or nil). Faults of
	// its problems have a pointer within them, and no input.
	Configure(ctx context.Context, settings json.RawMessage, l Limits) []Problem
	Processes() []Process
	// Run executes one job. It reports through ev (safe for concurrent use)
	// and returns the outputs; ctx ends when the host cancels the job. A
	// *Problem crosses as it is, another error as ProcessFailed; a panic is
	// recovered by Server and crosses as Panicked.
	Run(ctx context.Context, s Start, ev Events) (Values, error)
}
