package admin

import (
	"context"
	"encoding/json"
	"iter"
	"time"
)

// Plugins is what the server tells operators about plugins. Errors are told to the
// client as they are.
type Plugins interface {
	// List returns what is known at a glance, sorted by file.
	List() []Plugin
	// Inspect returns all that is known of the plugin in a file.
	Inspect(file string) (Plugin, error)
	// Logs returns at most last lines of the log of a plugin, and with follow
	// those that come until ctx ends.
	Logs(ctx context.Context, file string, last int, follow bool) (iter.Seq[LogLine], error)
}

// Plugin is what an operator is told of a file in the plugins directory.
type Plugin struct {
	File   string `json:"file"`
	Path   string `json:"path"`
	Target string `json:"target,omitempty"` // what a symbolic link leads to

	State   string    `json:"state"`
	Since   time.Time `json:"since"` // of the state
	Reason  string    `json:"reason,omitempty"`
	Name    string    `json:"name,omitempty"` // as it calls itself
	Version string    `json:"version,omitempty"`
	Hash    string    `json:"hash,omitempty"` // SHA-256 of what serves
	Crashes int       `json:"crashes"`        // since this version is served

	Processes []Process  `json:"processes"`
	Instances []Instance `json:"instances"`

	// What follows is told by Inspect only.

	LastLines []LogLine `json:"lastLines,omitempty"` // that it wrote, without debug
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

// Fault says in a sentence why there is no answer.
type Fault struct {
	Detail string `json:"fault"`
}
