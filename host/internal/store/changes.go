package store

import (
	"context"
	"iter"
	"sort"
	"sync"

	"geomill/host/internal/job"
)

const (
	changesKept  = 4096 // changes that Watch can still yield
	changesTaken = 128  // changes a reader copies at a time
)

// changeLog holds the last changes. Readers come for them at their own speed;
// the writer waits for nobody.
type changeLog struct {
	mu     sync.RWMutex
	ring   []job.Change // oldest at start, once it is full
	start  int
	before uint64        // revision just before the oldest change here
	more   chan struct{} // closed when there are more changes
}

func newChangeLog(revision uint64) *changeLog {
	return &changeLog{before: revision, more: make(chan struct{})}
}

func (l *changeLog) add(changes []job.Change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range changes {
		if len(l.ring) < changesKept {
			l.ring = append(l.ring, c)
			continue
		}
		l.before = l.ring[l.start].Revision
		l.ring[l.start] = c
		l.start = (l.start + 1) % len(l.ring)
	}
	close(l.more)
	l.more = make(chan struct{})
}

// after returns some changes above a revision, oldest first, or a channel that is
// closed when there are any. ok is false when changes were forgotten.
func (l *changeLog) after(revision uint64) (changes []job.Change, more <-chan struct{}, ok bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if revision < l.before {
		return nil, nil, false
	}
	at := func(k int) *job.Change { return &l.ring[(l.start+k)%len(l.ring)] }
	first := sort.Search(len(l.ring), func(k int) bool { return at(k).Revision > revision })
	for k := first; k < min(first+changesTaken, len(l.ring)); k++ {
		changes = append(changes, *at(k))
	}
	return changes, l.more, true
}

// newest returns the revision of the last change.
func (l *changeLog) newest() uint64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if len(l.ring) == 0 {
		return l.before
	}
	return l.ring[(l.start+len(l.ring)-1)%len(l.ring)].Revision
}

// Revision implements job.Store.
func (s *Store) Revision(ctx context.Context) (uint64, error) { return s.changes.newest(), ctx.Err() }

// Watch implements job.Store. It ends with ErrClosed when the store is closed.
func (s *Store) Watch(ctx context.Context, from uint64) iter.Seq2[job.Change, error] {
	return func(yield func(job.Change, error) bool) {
		for {
			changes, more, ok := s.changes.after(from)
			if !ok {
				yield(job.Change{}, job.ErrBehind)
				return
			}
			for _, c := range changes {
				if ctx.Err() != nil {
					return
				}
				from = c.Revision
				c.Job = clone(c.Job)
				if !yield(c, nil) {
					return
				}
			}
			if len(changes) > 0 {
				continue
			}
			select {
			case <-more:
			case <-ctx.Done():
				return
			case <-s.stopped:
				yield(job.Change{}, ErrClosed)
				return
			}
		}
	}
}
