package job

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// The sources of log lines.
const (
	FromHost    = "host"    // what became of the job
	FromProcess = "process" // structured lines of the process
	FromStdout  = "stdout"
	FromStderr  = "stderr"
)

// maxLine bounds a log line: the message and the fields together, in bytes and
// without the notes about what was left out.
const maxLine = 16 << 10

// LogLine is one line of a job's log.
type LogLine struct {
	// Seq numbers the lines of a job from 1 on. Numbers that are not there are
	// lines that were left out.
	Seq     uint64
	Time    time.Time
	Level   slog.Level
	Source  string          // FromHost, FromProcess, FromStdout or FromStderr
	Attempt int             // 0 before the first
	Message string          // UTF-8, without control characters but tab and line feed
	Fields  json.RawMessage // an object, or nil
}

// logLevels are the words for levels, the least first.
var logLevels = [...]struct {
	name  string
	level slog.Level
}{{"trace", slog.LevelDebug - 4}, {"debug", slog.LevelDebug}, {"info", slog.LevelInfo}, {"warn", slog.LevelWarn}, {"error", slog.LevelError}}

// LogLevelNames returns the words for levels, the least first.
func LogLevelNames() []string {
	names := make([]string, len(logLevels))
	for i, l := range logLevels {
		names[i] = l.name
	}
	return names
}

// LogLevelName returns the word for a level: that of the nearest one below, if it
// has none of its own.
func LogLevelName(l slog.Level) string {
	for i := len(logLevels) - 1; i > 0; i-- {
		if l >= logLevels[i].level {
			return logLevels[i].name
		}
	}
	return logLevels[0].name
}

// ParseLogLevel returns the level that a word stands for.
func ParseLogLevel(name string) (slog.Level, bool) {
	for _, l := range logLevels {
		if l.name == name {
			return l.level, true
		}
	}
	return 0, false
}

// lineJSON is a line as it is stored and sent. What lines are chosen by comes
// first; see lineHead.
type lineJSON struct {
	Seq     uint64          `json:"seq"`
	Time    time.Time       `json:"time"`
	Level   string          `json:"level"`
	Source  string          `json:"source"`
	Attempt int             `json:"attempt,omitempty"`
	Message string          `json:"message"`
	Fields  json.RawMessage `json:"fields,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (l LogLine) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(lineJSON{l.Seq, l.Time.UTC(), LogLevelName(l.Level), l.Source, l.Attempt, l.Message, l.Fields}); err != nil {
		return nil, fmt.Errorf("encode log line: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (l *LogLine) UnmarshalJSON(text []byte) error {
	var j lineJSON
	if err := json.Unmarshal(text, &j); err != nil {
		return fmt.Errorf("decode log line: %w", err)
	}
	level, ok := ParseLogLevel(j.Level)
	if !ok {
		return fmt.Errorf("decode log line: no level %q", j.Level)
	}
	*l = LogLine{j.Seq, j.Time, level, j.Source, j.Attempt, j.Message, j.Fields}
	return nil
}

// lineHead reads what lines are chosen by without decoding the rest. It reports
// false for what MarshalJSON has not made.
func lineHead(text []byte) (seq uint64, level slog.Level, ok bool) {
	rest, ok := bytes.CutPrefix(text, []byte(`{"seq":`))
	if !ok {
		return 0, 0, false
	}
	number, rest, ok := bytes.Cut(rest, []byte(`,"time":"`))
	if !ok {
		return 0, 0, false
	}
	seq, err := strconv.ParseUint(string(number), 10, 64)
	_, rest, ok = bytes.Cut(rest, []byte(`","level":"`))
	if err != nil || !ok {
		return 0, 0, false
	}
	name, _, ok := bytes.Cut(rest, []byte(`"`))
	if !ok {
		return 0, 0, false
	}
	level, ok = ParseLogLevel(string(name))
	return seq, level, ok
}

// bounded returns the line with at most maxLine bytes of message and fields, and
// without anything that could harm who looks at it.
func (l LogLine) bounded() LogLine {
	l.Message = harmless(l.Message, maxLine)
	if l.Fields != nil {
		l.Fields = harmlessFields(l.Fields, maxLine-len(l.Message))
	}
	return l
}

// harmless returns text in UTF-8 of at most limit bytes, and a note if it was
// longer. Control characters, those that turn the direction of writing among
// them, become visible; a tab and a line feed stay.
func harmless(text string, limit int) string {
	whole := len(text)
	if whole > limit {
		text = text[:limit]
	}
	if clean(text) && whole <= limit {
		return text
	}
	var b strings.Builder
	read := 0
	for read < len(text) {
		r, n := utf8.DecodeRuneInString(text[read:])
		piece := text[read : read+n]
		switch {
		case r == utf8.RuneError && n == 1:
			piece = "\uFFFD"
		case harmful(r) && r < 0x10000:
			piece = fmt.Sprintf(`\u%04x`, r)
		}
		if b.Len()+len(piece) > limit {
			break
		}
		b.WriteString(piece)
		read += n
	}
	if read < whole {
		fmt.Fprintf(&b, " ... (%d more bytes)", whole-read)
	}
	return b.String()
}

func clean(text string) bool {
	return utf8.ValidString(text) && strings.IndexFunc(text, harmful) < 0
}

// harmful reports whether a character does something rather than show something.
func harmful(r rune) bool {
	switch {
	case r == '\t', r == '\n':
		return false
	case r >= 0x2028 && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x061c, r == 0x200e, r == 0x200f:
		return true
	}
	return unicode.IsControl(r)
}

// harmlessFields is harmless for a JSON object; fields that are too long are left
// out. Outside of strings JSON has nothing harmful, inside the escapes mean
// what they stand for.
func harmlessFields(fields json.RawMessage, limit int) json.RawMessage {
	note := func(what string) json.RawMessage {
		b, _ := json.Marshal(map[string]string{"leftOut": what}) // cannot fail
		return b
	}
	if len(fields) > limit {
		return note(strconv.Itoa(len(fields)) + " bytes of fields")
	}
	var b bytes.Buffer
	if err := json.Compact(&b, fields); err != nil || b.Len() == 0 || b.Bytes()[0] != '{' {
		return note("fields that are no JSON object")
	}
	text := harmless(b.String(), 8*limit) // longer than any escaped text of limit bytes
	if len(text) > limit {
		return note(strconv.Itoa(len(fields)) + " bytes of fields")
	}
	return json.RawMessage(text)
}
