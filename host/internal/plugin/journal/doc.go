// Package journal keeps the last lines of the log of each plugin in memory, for
// operators who ask: what its instances write, and what the host says about it. It
// knows a line by the attribute "plugin" of its record, so that whoever logs does
// so as ever. Its central type is Book; it imports nothing of Geomill.
package journal

import (
	"encoding/json"
	"log/slog"
	"time"
)

// The bounds of what is kept.
const (
	maxLines  = 1000            // of a plugin
	maxBytes  = 256 << 10       // of a plugin
	maxBooked = 256             // plugins; beyond, the one that was silent for longest is forgotten
	lineCost  = 128             // bytes that a line takes beside its text
	ahead     = 256             // lines that wait for one who follows
	leastHost = slog.LevelInfo  // of what the host says
	leastSaid = slog.LevelDebug // of what plugins say
)

// Line is a line of a plugin's log.
type Line struct {
	Time     time.Time
	Level    slog.Level
	Said     bool   // by the plugin, rather than about it
	Stream   string // stdout or stderr, of plain lines that the plugin said
	Instance int64  // number of the instance; 0: the line is about none
	Message  string
	Fields   json.RawMessage // an object, or nil
}

func (l Line) size() int { return lineCost + len(l.Message) + len(l.Fields) }
