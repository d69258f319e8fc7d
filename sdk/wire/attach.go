package wire

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"geomill/proto/processv1"
)

// RunDetached is Run for an instance that outlives its host. seen is set to the
// number of the last message that ev was handed.
func (s *Session) RunDetached(ctx context.Context, st Start, grace time.Duration, ev Events, seen *atomic.Uint64) (Values, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	r := newRun(s, st, grace, ev)
	r.seen = seen
	defer r.dir.close()
	return r.begin(ctx)
}

// Attach is RunDetached for a job that the instance runs, or has run, already:
// what followed the message number seen is handed to ev.
func (s *Session) Attach(ctx context.Context, st Start, grace time.Duration, ev Events, seen *atomic.Uint64) (Values, error) {
	r := newRun(s, st, grace, ev)
	r.seen = seen
	defer r.dir.close()
	after := seen.Load()
	r.box.seq, r.box.again = after, true
	if err := s.join(r); err != nil {
		return nil, fmt.Errorf("attach to job: %w", err)
	}
	defer s.leave(r)
	m := &processv1.HostMessage{JobId: st.JobID, Kind: &processv1.HostMessage_Attach{Attach: &processv1.Attach{AfterSeq: after}}}
	if err := s.send(context.WithoutCancel(ctx), instruction{m, messageOverhead}); err != nil {
		return nil, err
	}
	return r.follow(ctx)
}

// Replay hands on what the journal of a detached instance, in dir, tells of its
// job after the message number seen. It reports whether the job has ended, and
// how, as Run does; ctx is that of the job.
func Replay(ctx context.Context, dir string, st Start, ev Events, seen *atomic.Uint64) (_ Values, ended bool, _ error) {
	nowhere := &Session{queue: make(chan instruction, 1)} // for a cancellation
	r := newRun(nowhere, st, 0, ev)
	r.seen = seen
	defer r.dir.close()
	r.box.seq, r.box.again = seen.Load(), true
	var end *processv1.PluginMessage
	err := readJournal(filepath.Join(dir, JournalFile), func(m *processv1.PluginMessage) bool {
		r.box.receive(m)
		end = r.deliver()
		return end == nil
	})
	if end == nil {
		if errors.Is(err, errTorn) {
			err = nil
		}
		return nil, false, err
	}
	values, err := r.result(ctx, end)
	return values, true, err
}
