package job

import (
	"encoding/json"
	"log/slog"
	"time"
)

// LogLine is one line of a job's log.
type LogLine struct {
	// Seq numbers the lines of a job without holes. It never goes back, and
	// not to where it was when the host starts anew.
	Seq     uint64          `json:"seq"`
	Time    time.Time       `json:"time"`
	Level   slog.Level      `json:"level"`
	Source  string          `json:"source"` // "process"
	Attempt int             `json:"attempt"`
	Message string          `json:"message"`
	Fields  json.RawMessage `json:"fields,omitempty"` // an object
}
