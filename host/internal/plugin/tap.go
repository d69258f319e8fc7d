package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"geomill/host/internal/job"
)

// tapWait bounds how long the end of a job waits for what its process has
// written. It is there already, so only a slow reader of the log takes longer.
const tapWait = time.Second

// tap takes the lines of the job that an instance runs alone.
type tap struct {
	take func(stream string, level slog.Level, line string, fields json.RawMessage)
	// synced lines come through go-plugin, some time after the process wrote
	// them: they can be an earlier job's if there was one.
	synced bool
}

// record hands on a structured line.
func (t *tap) record(stream string, r record) {
	var fields json.RawMessage
	if len(r.attrs) > 0 {
		m := make(map[string]any, len(r.attrs))
		for _, a := range r.attrs {
			m[a.Key] = a.Value.Any()
		}
		fields, _ = json.Marshal(m) // it was decoded from JSON
	}
	t.take(stream, r.level, r.message, fields)
}

// attribute makes what the instance writes on its standard streams the job's,
// until release is called: that hands on all that was written by then. In a
// shared instance nobody knows whose a line is.
func (in *instance) attribute(a job.Attempt) (release func()) {
	if a.Console == nil || a.Process.Policy.Isolation == job.Shared {
		return func() {}
	}
	c := in.conn.child
	c.console.tap.Store(&tap{take: a.Console, synced: a.Process.Policy.Isolation == job.PerJob})
	return func() {
		c.catchUp()
		c.console.tap.Store(nil)
	}
}

// reader reads one of the standard streams of a process.
type reader struct {
	file  *os.File
	lines *stream
	feed  func([]byte) []byte // takes its part of what is read; or nil
	asked chan chan struct{}  // holds one: who wants to know when the reader has caught up
}

func newReader(f *os.File, lines *stream) *reader {
	return &reader{file: f, lines: lines, asked: make(chan chan struct{}, 1)}
}

// run reads until the end of the stream.
func (r *reader) run() {
	defer r.lines.close()
	buf := make([]byte, 32<<10)
	for {
		n, err := r.file.Read(buf)
		r.take(buf[:n])
		if errors.Is(err, os.ErrDeadlineExceeded) {
			if err = r.file.SetReadDeadline(time.Time{}); err == nil {
				err = r.answer(buf)
			}
		}
		if err != nil {
			return
		}
	}
}

func (r *reader) take(b []byte) {
	if r.feed != nil {
		b = r.feed(b)
	}
	_, _ = r.lines.Write(b) // never fails
}

// answer reads what is in the pipe now and says that it has.
func (r *reader) answer(buf []byte) error {
	left, err := r.waiting()
	for err == nil && left > 0 {
		var n int
		n, err = r.file.Read(buf[:min(left, len(buf))])
		r.take(buf[:n])
		left -= n
	}
	r.lines.endPart()
	select {
	case done := <-r.asked:
		close(done)
	default:
	}
	return err
}

// waiting returns how many bytes are in the pipe.
func (r *reader) waiting() (n int, err error) {
	raw, err := r.file.SyscallConn()
	if err != nil {
		return 0, err
	}
	if e := raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.TIOCINQ) }); e != nil {
		return 0, e
	}
	return n, err
}

// catchUp returns when the reader has read what is there now, or at the end of ctx
// or of the stream. A deadline that is over wakes the reader.
func (r *reader) catchUp(ctx context.Context, ended <-chan struct{}) {
	done := make(chan struct{})
	select {
	case r.asked <- done:
	case <-ended:
		return
	case <-ctx.Done():
		return
	}
	if r.file.SetReadDeadline(time.Unix(1, 0)) != nil {
		return // it is closed: nothing is left
	}
	select {
	case <-done:
	case <-ended:
	case <-ctx.Done():
	}
}

// catchUp returns once all that the process has written so far is read, or after
// tapWait.
func (c *child) catchUp() {
	ctx, cancel := context.WithTimeout(context.Background(), tapWait)
	defer cancel()
	for _, r := range c.readers {
		r.catchUp(ctx, c.drained)
	}
}
