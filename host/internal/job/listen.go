package job

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
)

// ErrNothingMore is the error of listening again to a job whose end the listener
// was told.
var ErrNothingMore = errors.New("nothing more will happen to the job")

// Listen returns a listener to a job. A new one (from is nil) is told first how
// the job is, one that comes again what it has missed, as far as that is kept;
// either then what happens until the job has ended. It fails with ErrNoSuchJob,
// ErrGone, ErrNothingMore or ErrShuttingDown.
func (s *Service) Listen(ctx context.Context, id string, from *Place) (Listener, error) {
	j, err := s.Store.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	j.Expires = s.expires(j)
	if j.Status.Final() {
		return s.listenToEnd(ctx, j, from)
	}
	t, err := s.join(ctx, id)
	if err != nil {
		return nil, err
	}
	// Read again: what is changed from here on reaches the topic.
	if j, err = s.Store.Get(ctx, id); err != nil {
		s.leave(t)
		return nil, err
	}
	j.Expires = s.expires(j)
	if err := s.beginLines(ctx, t); err != nil {
		s.leave(t)
		return nil, err
	}
	if t.offer(j) {
		s.live.end(t)
	}
	v, j := t.open()
	l := &jobListener{topic: t, more: v.more, place: v.place, number: v.end(), close: sync.OnceFunc(func() { s.leave(t) })}
	if from != nil && from.Revision <= v.place.Revision {
		l.place, l.number, l.lines = *from, 0, s.recall()
	} else {
		l.first = &Notice{Kind: StatusNotice, Place: v.place, Job: s.live.overlay(j, s.Now())}
	}
	return l, nil
}

// listenToEnd tells how a job has ended, and who comes again the lines before.
func (s *Service) listenToEnd(ctx context.Context, j Job, from *Place) (Listener, error) {
	if from != nil && from.Revision == j.Revision {
		return nil, ErrNothingMore
	}
	t := newTopic(j.ID, Place{})
	if err := s.beginLines(ctx, t); err != nil {
		return nil, err
	}
	t.offer(j)
	v, _ := t.open()
	l := &jobListener{topic: t, more: v.more, place: Place{Line: v.place.Line}, close: func() {}}
	if from != nil && from.Revision < j.Revision {
		l.place, l.lines = *from, s.recall()
	}
	return l, nil
}

// ListenAll returns a listener to the changes of jobs that match: created, with
// another status, removed. A new one (from is nil) is told those to come, one that
// comes again those after its place, or that there were too many. It fails with
// ErrShuttingDown.
func (s *Service) ListenAll(ctx context.Context, f Filter, from *Place) (Listener, error) {
	t, err := s.join(ctx, "")
	if err != nil {
		return nil, err
	}
	v := t.view.Load()
	l := &listListener{topic: t, more: v.more, store: s.Store, expires: s.expires, filter: f, place: v.place, close: sync.OnceFunc(func() { s.leave(t) })}
	if from != nil {
		l.place = *from
	}
	return l, nil
}

// EndListeners lets all listeners go, for good: the host stops.
func (s *Service) EndListeners() {
	s.live.mu.Lock()
	s.live.closed = true
	topics := slices.Collect(maps.Values(s.live.topics))
	s.live.mu.Unlock()
	for _, t := range topics {
		t.end()
	}
}
