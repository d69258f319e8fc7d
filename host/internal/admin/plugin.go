package admin

import (
	"context"
	"encoding/json"
	"iter"
	"time"
)

// Plugins is what the server tells operators about plugins, and does to them for
// operators. Errors are told to the client as they are.
type Plugins interface {
	// List returns what is known at a glance, sorted by file.
	List() []Plugin
	// Inspect returns all that is known of the plugin in a file.
	Inspect(file string) (Plugin, error)
	// Logs returns at most last lines of the log of a plugin, and with follow
	// those that come until ctx ends.
	Logs(ctx context.Context, file string, last int, follow bool) (iter.Seq[LogLine], error)
	// Verify reads the file of a plugin anew, or with no file those of all, and
	// compares them with what is trusted and with what serves.
	Verify(ctx context.Context, file string) ([]Check, error)
	// Do carries out a command.
	Do(ctx context.Context, c Command) (Outcome, error)
}

// Plugin is what an operator is told of a file in the plugins directory.
type Plugin struct {
	File   string `json:"file"`
	Path   string `json:"path"`
	Target string `json:"target,omitempty"` // what a symbolic link leads to

	State   string    `json:"state"`
	Since   time.Time `json:"since"` // of the state
	Reason  string    `json:"reason,omitempty"`
	Accept  string    `json:"accept,omitempty"` // the command that settles what is refused
	RetryAt time.Time `json:"retryAt,omitzero"` // when what is refused is tried again
	Name    string    `json:"name,omitempty"`   // as it calls itself
	Version string    `json:"version,omitempty"`
	Hash    string    `json:"hash,omitempty"` // SHA-256 of what serves
	Crashes int       `json:"crashes"`        // since this version is served

	Processes []Process  `json:"processes"`
	Instances []Instance `json:"instances"`

	Available []string `json:"available,omitempty"` // versions side by side, the highest first
	Previous  *Version `json:"previous,omitempty"`  // what a rollback goes back to

	// What follows is told by Inspect only.

	Files       []File          `json:"files,omitempty"` // a manifest and its tools; their list has Hash
	TrustPolicy string          `json:"trustPolicy,omitempty"`
	UID         int             `json:"uid,omitempty"`      // of its own; 0: it runs as the host's user
	Pins        []Pin           `json:"pins,omitempty"`     // accepted contents, the last accepted last
	Settings    json.RawMessage `json:"settings,omitempty"` // an object, without secrets
	Counters    *Counters       `json:"counters,omitempty"`
	History     []Transition    `json:"history,omitempty"`   // the last ones, oldest first
	LastLines   []LogLine       `json:"lastLines,omitempty"` // that it wrote, without debug
}

// Version is one content of a plugin.
type Version struct {
	Name    string    `json:"name,omitempty"`
	Version string    `json:"version"`
	Hash    string    `json:"hash"` // SHA-256
	Since   time.Time `json:"since,omitzero"`
}

// File is one of several that are the content of a plugin.
type File struct {
	Name string `json:"name"`
	Hash string `json:"hash"` // SHA-256
}

// Pin is a content of a plugin that was accepted.
type Pin struct {
	Hash     string    `json:"hash"` // SHA-256
	Name     string    `json:"name,omitempty"`
	Version  string    `json:"version,omitempty"`
	Accepted time.Time `json:"accepted"`
	How      string    `json:"how"`
}

// Counters is what has happened to a plugin since the server started.
type Counters struct {
	Starts      map[string]int64 `json:"starts"` // of instances, by result
	Ends        map[string]int64 `json:"ends"`   // of instances, by reason
	Quarantines int64            `json:"quarantines"`
	Resets      int64            `json:"resets"`
	Jobs        int64            `json:"jobs"` // attempts that ended, well or not
}

// Transition is a change of the state of an instance, or of the plugin.
type Transition struct {
	Time     time.Time `json:"time"`
	Instance int64     `json:"instance,omitempty"` // its number; 0: the plugin as a whole
	PID      int       `json:"pid,omitempty"`
	From     string    `json:"from"`
	To       string    `json:"to"`
	Reason   string    `json:"reason,omitempty"`
}

// Check is what a plugin's file holds, against what it should.
type Check struct {
	File    string `json:"file"`
	Path    string `json:"path,omitempty"`
	OK      bool   `json:"ok"`
	Fault   string `json:"fault,omitempty"` // why it is not
	Policy  string `json:"policy,omitempty"`
	Found   string `json:"found,omitempty"`   // SHA-256 of the file now
	Serving string `json:"serving,omitempty"` // SHA-256 of what serves
	Pinned  string `json:"pinned,omitempty"`  // how the content was accepted
	Accept  string `json:"accept,omitempty"`  // the command that accepts it
}

// Process is a process that a plugin declares.
type Process struct {
	ID      string `json:"id"`
	Version string `json:"version"`
	Reason  string `json:"reason,omitempty"` // why it is not offered

	Isolation      string  `json:"isolation,omitempty"`
	Slots          int     `json:"slots,omitempty"`          // jobs at once; 0: no limit of its own
	TimeoutSeconds float64 `json:"timeoutSeconds,omitempty"` // of an attempt; 0: that of the server
}

// Instance is an operating-system process of a plugin.
type Instance struct {
	PID   int       `json:"pid"`
	State string    `json:"state"`
	Since time.Time `json:"since"` // of the state
	Jobs  int       `json:"jobs"`

	// What it takes now, without its child processes; told by Inspect.
	MemoryBytes int64   `json:"memoryBytes,omitempty"` // resident
	CPUSeconds  float64 `json:"cpuSeconds,omitempty"`  // since its start
}

// LogLine is a line of the log of a plugin.
type LogLine struct {
	Time     time.Time       `json:"time"`
	Level    string          `json:"level"` // trace, debug, info, warn or error
	From     string          `json:"from"`  // FromPlugin or FromHost
	Stream   string          `json:"stream,omitempty"`
	Instance int64           `json:"instance,omitempty"` // number of the instance
	Message  string          `json:"message"`
	Fields   json.RawMessage `json:"fields,omitempty"` // an object
}

// Who says a line: the plugin, or the host about it.
const (
	FromPlugin = "plugin"
	FromHost   = "host"
)

// Command is what an operator wants done to a plugin.
type Command struct {
	Verb Verb   `json:"verb"`
	File string `json:"file"`

	Hash       string `json:"hash,omitempty"`       // of DoPin and DoUnpin: SHA-256
	Force      bool   `json:"force,omitempty"`      // of DoReload: although it breaks clients
	DeleteFile bool   `json:"deleteFile,omitempty"` // of DoRemove
}

// Verb is what is to be done.
type Verb string

// The verbs.
const (
	DoTrust    Verb = "trust"    // accept what the file holds now
	DoPin      Verb = "pin"      // accept the content of Hash, or else what serves
	DoUnpin    Verb = "unpin"    // accept the content of Hash no longer, or else none
	DoReload   Verb = "reload"   // serve what the file holds now
	DoRollback Verb = "rollback" // serve what served before
	DoReset    Verb = "reset"    // forget the crashes
	DoRemove   Verb = "remove"   // serve it no longer
)

// Outcome says in a sentence what a command has done.
type Outcome struct {
	Done string `json:"done"`
}

// Fault says in a sentence why there is no answer.
type Fault struct {
	Detail string `json:"fault"`
}
