package plugin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"geomill/host/internal/plugin/settings"
)

const (
	consoleLines = 64        // last lines kept for a crash report
	lineBytes    = 16 << 10  // longer lines are cut
	blockLines   = 200       // lines of one stack trace that are logged
	blockBytes   = 128 << 10 // of one stack trace

	traceQuiet = 500 * time.Millisecond // the pause after which an unfinished stack trace is logged
	traceMost  = 2 * time.Second        // how long one is collected
)

// console takes what an instance writes on its standard streams to the log,
// and remembers the last lines. Its streams may be written to at once.
type console struct {
	log *slog.Logger
	tap atomic.Pointer[tap] // nil: no job is alone with the instance
	// secrets are taken out of all that is written; nil as long as the plugin
	// was told none.
	secrets atomic.Pointer[settings.Settings]

	mu     sync.Mutex
	ring   [consoleLines]string
	next   int
	head   []string // the first lines of the last stack trace of Go, which may be long
	headAt int      // how many lines came before it
}

func (c *console) remember(line string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case len(c.head) > 0 && len(c.head) < shownLines && c.next == c.headAt+len(c.head):
		c.head = append(c.head, line)
	case endsProgram(line):
		c.head, c.headAt = []string{line}, c.next
	}
	c.ring[c.next%consoleLines] = line
	c.next++
}

// written returns how many lines there were so far.
func (c *console) written() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.next
}

// lastWords returns the last lines after the first began, at most shownLines:
// those that say what happened, which in a stack trace are its first.
func (c *console) lastWords(began int) []string {
	c.mu.Lock()
	written := c.next
	if len(c.head) > 0 && c.headAt >= began && written-c.headAt > shownLines {
		defer c.mu.Unlock()
		return slices.Clone(c.head)
	}
	c.mu.Unlock()
	return c.last(min(written-began, shownLines))
}

// ending returns at most n of the last lines, after the line that began the last
// stack trace of Go, if they are within or after it: it alone says what happened.
func (c *console) ending(n int) []string {
	lines := c.last(n)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.head) > 0 && c.headAt < c.next-len(lines) {
		return append([]string{c.head[0]}, lines...)
	}
	return lines
}

// last returns at most n of the last lines, oldest first.
func (c *console) last(n int) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	n = min(n, c.next, consoleLines)
	out := make([]string, 0, n)
	for i := c.next - n; i < c.next; i++ {
		out = append(out, c.ring[i%consoleLines])
	}
	return out
}

// stream is one of the standard streams of an instance. It splits what is
// written to it into lines of bounded length. It has one writer at a time.
type stream struct {
	console *console
	name    string // "stderr" or "stdout"
	synced  bool   // comes through go-plugin

	mu      sync.Mutex
	line    []byte
	cut     int // bytes of the line left out
	block   []string
	size    int // bytes in block
	dropped int // lines of the block left out
	ends    func(line string) bool
	began   time.Time // when the block did
	grew    time.Time // when it last did
	quiet   *time.Timer
}

func (c *console) stream(name string) *stream { return &stream{console: c, name: name} }

// Write takes any part of the stream; it never fails.
func (s *stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(p)
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			s.add(p)
			return n, nil
		}
		s.add(p[:i])
		s.endLine()
		p = p[i+1:]
	}
}

func (s *stream) add(p []byte) {
	room := max(0, min(len(p), lineBytes-len(s.line)))
	s.line = append(s.line, p[:room]...)
	s.cut += len(p) - room
}

func (s *stream) endLine() {
	text := strings.ToValidUTF8(strings.TrimSuffix(string(s.line), "\r"), "\uFFFD")
	if s.cut > 0 {
		text += fmt.Sprintf(" ... (%d more bytes)", s.cut)
	}
	s.line, s.cut = s.line[:0], 0
	s.take(text)
}

// endPart takes what there is of a line for the whole of it.
func (s *stream) endPart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.line) > 0 || s.cut > 0 {
		s.endLine()
	}
}

// close logs what is left over when the stream has ended.
func (s *stream) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.line) > 0 || s.cut > 0 {
		s.endLine()
	}
	s.flush()
}

// settle logs a stack trace whose end was not seen, once nothing has followed
// for a while, or too much.
func (s *stream) settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.block) > 0 && time.Since(s.grew) < traceQuiet && time.Since(s.began) < traceMost {
		s.quiet.Reset(traceQuiet)
		return
	}
	s.flush()
}

func (s *stream) take(line string) {
	line = s.console.secrets.Load().Hide(line)
	s.console.remember(line)
	if r, ok := parseRecord(line); ok {
		s.attribute(r)
		s.flush()
		s.console.log.LogAttrs(context.Background(), r.level, r.message, r.attrs...)
		return
	}
	s.attribute(record{level: s.levelOf(line), message: line})
	if ends := traceEnd(line); ends != nil && len(s.block) == 0 {
		s.ends, s.began = ends, time.Now()
		s.quiet = time.AfterFunc(traceQuiet, s.settle)
		s.keep(line)
		return
	}
	if len(s.block) > 0 {
		s.keep(line)
		if s.ends(line) {
			s.flush()
		}
		return
	}
	if line != "" {
		s.console.log.LogAttrs(context.Background(), plainLevel(line), line, slog.String("stream", s.name))
	}
}

// attribute hands a line to the job that is alone with the instance, if one is.
func (s *stream) attribute(r record) {
	if t := s.console.tap.Load(); t != nil && (t.synced || !s.synced) && (r.message != "" || len(r.attrs) > 0) {
		t.record(s.name, r)
	}
}

// levelOf is plainLevel, but that stack traces are errors from end to end.
func (s *stream) levelOf(line string) slog.Level {
	if len(s.block) > 0 || traceEnd(line) != nil {
		return slog.LevelError
	}
	return plainLevel(line)
}

func (s *stream) keep(line string) {
	s.grew = time.Now()
	if len(s.block) >= blockLines || s.size+len(line) > blockBytes {
		s.dropped++
		return
	}
	s.block = append(s.block, line)
	s.size += len(line)
}

// flush logs the stack trace that was collected as one record.
func (s *stream) flush() {
	if len(s.block) == 0 {
		return
	}
	attrs := []slog.Attr{slog.String("stream", s.name), slog.String("trace", strings.Join(s.block, "\n"))}
	if s.dropped > 0 {
		attrs = append(attrs, slog.Int("dropped_lines", s.dropped))
	}
	s.console.log.LogAttrs(context.Background(), slog.LevelError, s.block[0], attrs...)
	s.quiet.Stop()
	s.block, s.size, s.dropped, s.ends = nil, 0, 0, nil
}

// traceEnd recognises the first line of a stack trace, and returns what
// recognises its last; else it returns nil.
func traceEnd(line string) func(string) bool {
	switch {
	case endsProgram(line):
		return func(string) bool { return false }
	case strings.HasPrefix(line, "Traceback (most recent call last)"):
		// Python's end with the exception, the first line that is not indented.
		return func(l string) bool { return l != "" && l[0] != ' ' && l[0] != '\t' }
	}
	return nil
}

// endsProgram recognises the first line of a stack trace of Go, which ends with
// the process.
func endsProgram(line string) bool {
	return strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") ||
		strings.HasPrefix(line, "runtime: ") || strings.HasPrefix(line, dumped)
}

// plainLevel reads the level from the prefixes that go-plugin's documentation
// recommends; lines without one are information.
func plainLevel(line string) slog.Level {
	for prefix, level := range map[string]slog.Level{
		"[TRACE]": levelTrace, "[DEBUG]": slog.LevelDebug, "[WARN]": slog.LevelWarn, "[ERROR]": slog.LevelError,
	} {
		if strings.HasPrefix(line, prefix) {
			return level
		}
	}
	return slog.LevelInfo
}

// record is a structured log line.
type record struct {
	level   slog.Level
	message string
	attrs   []slog.Attr
}

// parseRecord reads a line in hclog's JSON form (@level, @message), or slog's
// (level, msg).
func parseRecord(line string) (record, bool) {
	if !strings.HasPrefix(line, "{") {
		return record{}, false
	}
	var m map[string]any
	if json.Unmarshal([]byte(line), &m) != nil {
		return record{}, false
	}
	message, ok := pop(m, "@message", "msg", "message")
	if !ok {
		return record{}, false
	}
	r := record{message: message, level: slog.LevelInfo}
	if level, ok := pop(m, "@level", "level"); ok {
		r.level = parseLevel(level)
	}
	pop(m, "@timestamp", "time", "timestamp")
	for k, v := range m {
		r.attrs = append(r.attrs, slog.Any(strings.TrimPrefix(k, "@"), v))
	}
	slices.SortFunc(r.attrs, func(a, b slog.Attr) int { return strings.Compare(a.Key, b.Key) })
	return r, true
}

// pop removes the first of keys that holds a string and returns it.
func pop(m map[string]any, keys ...string) (string, bool) {
	for _, k := range keys {
		if s, ok := m[k].(string); ok {
			delete(m, k)
			return s, true
		}
	}
	return "", false
}

func parseLevel(s string) slog.Level {
	switch strings.ToLower(s) {
	case "trace":
		return levelTrace
	case "warning":
		return slog.LevelWarn
	case "critical", "fatal":
		return slog.LevelError
	}
	var l slog.Level
	if l.UnmarshalText([]byte(s)) != nil {
		return slog.LevelInfo
	}
	return l
}
