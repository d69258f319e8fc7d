package job

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"geomill/sdk/ogc"
)

const (
	journalBuffer = 64 << 10         // bytes that wait to be written at most
	journalTail   = 256 << 10        // bytes of the last lines of a long log at most
	journalNotes  = 1 << 10          // bytes kept free for what the host itself has to say
	logDeadline   = 10 * time.Second // for one write to a log
)

// MinLogBytes is the least Config.LogMaxBytes, in bytes.
const MinLogBytes = 8 << 10

// journal writes the log of a job during one attempt. A job that logs nothing
// costs nothing: what the host has to say of it follows from its record, see
// Service.Log, and is written with the first line of another source, or when
// the record is about to forget it.
//
// The lines of an attempt fill what room there is for it, but for a quarter. From
// then on only the last are kept, in memory, and written at its end, after a
// note that says how many are missing between.
type journal struct {
	logs Logs
	most int64 // bytes of the job's log
	now  func() time.Time
	log  *slog.Logger

	mu     sync.Mutex
	job    Job  // as it was when the attempt started
	opened bool // the log's end is known
	closed bool // only the host may add lines
	full   bool // the log has no room for this attempt
	warned bool
	seq    uint64 // last number given out
	size   int64  // bytes of the job's log, as far as this journal knows

	room     int // bytes that the first lines may still take
	tailRoom int // bytes of the last lines
	pending  []byte
	lines    int // in pending
	tail     []tailLine
	tailSize int
	dropped  int64
}

type tailLine struct {
	seq  uint64
	text []byte
}

// newJournal returns the journal of an attempt that has just started, or nil
// when no logs are kept.
func (s *Service) newJournal(j Job) *journal {
	if s.Logs == nil {
		return nil
	}
	return &journal{logs: s.Logs, most: s.LogMaxBytes, now: s.Now, log: s.Logger, job: j}
}

// add takes a line of the process or its streams; it is the one place that all
// of them pass, in the order of their numbers: tell, unless nil, is called for each.
// It reports whether someone should flush later.
func (g *journal) add(l LogLine, tell func(LogLine)) bool {
	l = l.bounded()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.open(true)
	l.Attempt = g.job.Attempt
	if l = g.put(l); tell != nil {
		tell(l)
	}
	return g.lines > 0
}

// begin writes that an attempt after the first has started, which no record
// tells later.
func (g *journal) begin() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open(true)
	g.flush()
}

// put numbers a line and finds it a place. It returns the line as it then is.
func (g *journal) put(l LogLine) LogLine {
	g.seq++
	l.Seq = g.seq
	if l.Time.IsZero() {
		l.Time = g.now()
	}
	text, err := l.MarshalJSON()
	if err != nil { // fields are checked
		g.dropped++
		return l
	}
	text = append(text, '\n')
	if g.dropped == 0 && len(g.tail) == 0 && len(text) <= g.room {
		g.room -= len(text)
		g.pending = append(g.pending, text...)
		g.lines++
		if len(g.pending) >= journalBuffer {
			g.flush()
		}
		return l
	}
	g.tail = append(g.tail, tailLine{l.Seq, text})
	g.tailSize += len(text)
	for len(g.tail) > 0 && g.tailSize > g.tailRoom {
		g.tailSize -= len(g.tail[0].text)
		g.tail[0] = tailLine{}
		g.tail = g.tail[1:]
		g.dropped++
	}
	return l
}

// open finds the end of the log and says what has become of the job so far, if
// the log does not. starts adds the start of this attempt.
func (g *journal) open(starts bool) {
	if g.opened {
		return
	}
	g.opened = true
	size, last, err := g.end()
	if err != nil {
		g.warn(err)
	}
	g.seq, g.size = last, size
	left := max(0, g.most-size)
	if g.job.Attempt <= g.job.Retries {
		left /= 2 // another attempt may have something to say
	}
	left -= journalNotes
	if g.full = left <= 0; !g.full {
		g.tailRoom = int(min(left/4, journalTail))
		g.room = int(left) - g.tailRoom
	}
	switch {
	case last == 0:
		for _, l := range headOf(g.job) {
			g.put(l)
		}
	case starts:
		g.put(startOf(g.job))
	}
}

// end returns the size of the log in bytes and the number of its last line.
func (g *journal) end() (size int64, last uint64, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), logDeadline)
	defer cancel()
	r, err := g.logs.Open(ctx, g.job.ID)
	if err != nil {
		return 0, 0, fmt.Errorf("open log: %w", err)
	}
	defer r.Close()
	for line, err := range wholeLines(r) {
		if err != nil {
			return r.Size(), last, err
		}
		if seq, _, ok := lineHead(line); ok {
			last = max(last, seq)
		}
	}
	return r.Size(), last, nil
}

// wholeLines yields the lines of a log, without the part of one at its end.
func wholeLines(r io.Reader) func(yield func([]byte, error) bool) {
	return func(yield func([]byte, error) bool) {
		b := bufio.NewReaderSize(r, 64<<10) // longer than any line
		for {
			line, err := b.ReadSlice('\n')
			switch {
			case err == nil:
				if !yield(line[:len(line)-1], nil) {
					return
				}
			case errors.Is(err, bufio.ErrBufferFull): // not one of ours
			case errors.Is(err, io.EOF):
				return
			default:
				yield(nil, fmt.Errorf("read log: %w", err))
				return
			}
		}
	}
}

// keep writes what waits.
func (g *journal) keep() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.flush()
}

// flush hands what waits to the Logs. What these do not take is left out.
func (g *journal) flush() {
	if len(g.pending) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), logDeadline)
	defer cancel()
	if err := g.logs.Append(ctx, g.job.ID, g.pending); err != nil {
		g.warn(err)
		g.dropped += int64(g.lines)
	} else {
		g.size += int64(len(g.pending))
	}
	g.pending, g.lines = g.pending[:0], 0
}

func (g *journal) warn(err error) {
	if !g.warned {
		g.warned = true
		g.log.Warn("lines of a job's log are lost", "job", g.job.ID, "error", err)
	}
}

// close writes the rest; later lines of the process have no place.
func (g *journal) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	g.pending = g.rest()
	g.lines = len(g.tail) + 1
	g.tail, g.tailSize, g.dropped = nil, 0, 0
	g.flush()
}

// again writes that the job will run once more, of which its record soon knows
// nothing.
func (g *journal) again(why string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open(false); g.full {
		return
	}
	g.room += journalNotes * 3 / 4
	g.put(LogLine{Level: slog.LevelWarn, Source: FromHost, Attempt: g.job.Attempt, Message: harmless(why, journalNotes/4)})
	g.flush()
}

// written returns how many bytes the log of the job has; zero when this attempt
// has written nothing.
func (g *journal) written() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.size
}

// unwritten returns the lines that are not in the log yet, as they would be.
func (g *journal) unwritten() []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.rest()
}

// rest returns what waits, the last lines, and a note on those left out between.
func (g *journal) rest() []byte {
	text := append([]byte(nil), g.pending...)
	if g.dropped > 0 && !g.full {
		next := g.seq + 1
		if len(g.tail) > 0 {
			next = g.tail[0].seq
		}
		note := LogLine{
			Seq: next - 1, Time: g.now(), Level: slog.LevelWarn, Source: FromHost, Attempt: g.job.Attempt,
			Message: fmt.Sprintf("%d lines left out: a log holds %d bytes", g.dropped, g.most),
		}
		if line, err := note.MarshalJSON(); err == nil {
			text = append(append(text, line...), '\n')
		}
	}
	for _, l := range g.tail {
		text = append(text, l.text...)
	}
	return text
}

// headOf returns what the host has to say of the first start of a job.
func headOf(j Job) []LogLine {
	head := []LogLine{{Time: j.Created, Source: FromHost, Message: "accepted"}}
	if j.Attempt > 0 {
		l := startOf(j)
		l.Time = j.Started
		head = append(head, l)
	}
	return head
}

func startOf(j Job) LogLine {
	where, _ := json.Marshal(map[string]string{"plugin": j.Plugin.Name, "version": j.Plugin.Version}) // cannot fail
	return LogLine{Source: FromHost, Attempt: j.Attempt, Message: fmt.Sprintf("started attempt %d", j.Attempt), Fields: where}
}

// endOf returns what the host has to say of the end of a job.
func endOf(j Job) LogLine {
	l := LogLine{Time: j.Finished, Source: FromHost, Attempt: j.Attempt, Message: string(j.Status)}
	switch j.Status {
	case ogc.Failed:
		l.Level = slog.LevelError
	case ogc.Dismissed:
		l.Level = slog.LevelWarn
	}
	if j.Message != "" {
		l.Message += ": " + harmless(j.Message, maxLine)
	}
	return l
}
