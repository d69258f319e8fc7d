package job

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
)

// anyLevel is below that of all lines.
const anyLevel = slog.Level(math.MinInt)

// recalled is the number of lines that a listener who comes again is told at a
// time from the log.
const recalled = 512

// beginLines has a topic count lines from those that the log has already, so that
// a place in it holds for another run of the host too.
func (s *Service) beginLines(ctx context.Context, t *topic) error {
	if s.Logs == nil || t.begun() {
		return nil
	}
	l, err := s.Log(ctx, t.jobID, LogQuery{Level: anyLevel})
	if err != nil {
		return err
	}
	t.begin(l.Last)
	return l.Close()
}

// recall is how a listener reads the log.
type recall func(ctx context.Context, id string, at Place, until uint64) (news []*Notice, now Place, all bool, err error)

// recall is nil when there are no logs.
func (s *Service) recall() recall {
	if s.Logs == nil {
		return nil
	}
	return s.loggedLines
}

// loggedLines returns what the log of a job says after a place, up to a line, and
// the place of who was told that. Like listeners it leaves out what the host
// says; lines that are not in the log are a gap. It returns no more than some
// lines, and whether these are all.
func (s *Service) loggedLines(ctx context.Context, id string, at Place, until uint64) (news []*Notice, now Place, all bool, err error) {
	l, err := s.Log(ctx, id, LogQuery{After: at.Line, Level: anyLevel, Limit: recalled})
	if errors.Is(err, ErrNoSuchJob) || errors.Is(err, ErrGone) {
		return nil, at, true, nil // with its job
	}
	if err != nil {
		return nil, at, false, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	for line, err := range l.Lines() {
		if err != nil {
			return nil, at, false, fmt.Errorf("recall log of job %s: %w", id, err)
		}
		if line.Seq > until {
			return news, at, true, nil
		}
		lost := line.Seq - at.Line - 1
		if lost > 0 && line.Source == FromHost {
			lost++ // the note on them has the number of the last
		}
		at.Line = line.Seq
		if lost > 0 {
			news = append(news, &Notice{Kind: GapNotice, Lost: lost, Place: at})
		}
		if line.Source != FromHost {
			news = append(news, &Notice{Kind: LogNotice, Line: line, Place: at})
		}
	}
	return news, at, !l.More, nil
}
