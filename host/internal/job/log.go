package job

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
)

// LogQuery selects lines of a job's log. The zero value selects those from level
// info on.
type LogQuery struct {
	After uint64     // only lines with a higher number
	Level slog.Level // the least level
	Limit int        // the most lines; 0 is all
}

// Log is what a LogQuery selects of the log of a job, as it was when it was opened.
type Log struct {
	Job  Job    // as it was then
	Last uint64 // number of the last line selected, or LogQuery.After
	More bool   // further lines are there already

	query     LogQuery
	written   LogReader
	size      int64
	unwritten []byte
}

// Log opens the log of a job: what its process logged, its standard output and
// error where these are its own, and what became of it. It fails with
// ErrNoSuchJob or ErrGone. The caller closes it.
func (s *Service) Log(ctx context.Context, id string, q LogQuery) (*Log, error) {
	j, err := s.Job(ctx, id)
	if err != nil {
		return nil, err
	}
	l := &Log{Job: j, Last: q.After, query: q}
	// Before the file: what is written meanwhile is in both, never in none.
	if u := s.live.get(id); u != nil {
		if g := u.journal.Load(); g != nil {
			l.unwritten = g.unwritten()
		}
	}
	if s.Logs != nil {
		if l.written, err = s.Logs.Open(ctx, id); err != nil {
			return nil, fmt.Errorf("open log of job %s: %w", id, err)
		}
		l.size = l.written.Size()
	}
	for text, err := range l.selected() {
		if err != nil {
			return nil, errors.Join(err, l.Close())
		}
		l.Last, _, _ = lineHead(text)
	}
	return l, nil
}

// Close gives back what the log holds open.
func (l *Log) Close() error {
	if l.written == nil {
		return nil
	}
	return l.written.Close()
}

// Lines yields the selected lines, the oldest first. It may be called again.
func (l *Log) Lines() iter.Seq2[LogLine, error] {
	return func(yield func(LogLine, error) bool) {
		for text, err := range l.selected() {
			var line LogLine
			if err == nil {
				err = json.Unmarshal(text, &line)
			}
			if !yield(line, err) || err != nil {
				return
			}
		}
	}
}

// selected yields the texts of the selected lines, and notes whether there are
// more.
func (l *Log) selected() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		n := 0
		for text, err := range l.all() {
			if err != nil {
				yield(nil, err)
				return
			}
			seq, level, _ := lineHead(text)
			if seq <= l.query.After || level < l.query.Level {
				continue
			}
			if n++; l.query.Limit > 0 && n > l.query.Limit {
				l.More = true
				return
			}
			if !yield(text, nil) {
				return
			}
		}
	}
}

// all yields the texts of all lines, in the order of their numbers: those that
// are there, and before and after them those that follow from the record.
func (l *Log) all() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		last := uint64(0)
		for text, err := range l.kept() {
			if err != nil {
				yield(nil, err)
				return
			}
			seq, _, ok := lineHead(text)
			if !ok || seq <= last {
				continue // what a crash of the machine made of it, or read twice
			}
			if last = seq; !yield(text, nil) {
				return
			}
		}
		var implied []LogLine
		if last == 0 {
			implied = headOf(l.Job)
		}
		if l.Job.Status.Final() {
			implied = append(implied, endOf(l.Job))
		}
		for _, line := range implied {
			last++
			line.Seq = last
			text, err := line.MarshalJSON()
			if !yield(text, err) || err != nil {
				return
			}
		}
	}
}

// kept yields what was logged, written or not.
func (l *Log) kept() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if l.written != nil && l.size > 0 {
			if _, err := l.written.Seek(0, io.SeekStart); err != nil {
				yield(nil, fmt.Errorf("read log: %w", err))
				return
			}
			for text, err := range wholeLines(io.LimitReader(l.written, l.size)) {
				if !yield(text, err) || err != nil {
					return
				}
			}
		}
		for text := range bytes.Lines(l.unwritten) {
			if !yield(bytes.TrimSuffix(text, []byte("\n")), nil) {
				return
			}
		}
	}
}

// removeLog removes the log of a job that is about to be removed itself: in this
// order a crash between leaves no log without a job.
func (s *Service) removeLog(ctx context.Context, id string) error {
	if s.Logs == nil {
		return nil
	}
	if err := s.Logs.Remove(ctx, id); err != nil {
		return fmt.Errorf("remove log of job %s: %w", id, err)
	}
	return nil
}
