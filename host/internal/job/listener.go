package job

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"time"
)

// Listener is told what happens to a job, or to all. It is for one goroutine.
// A slow one misses what it could not take, and is told so; nobody waits for it.
type Listener interface {
	// Next returns what is new, without waiting; last says that nothing
	// follows. The caller does not change what it gets, and calls Next again
	// once it has dealt with that.
	Next(ctx context.Context) (news []*Notice, last bool, err error)
	// More returns a channel that is closed when there may be more than the
	// last Next returned.
	More() <-chan struct{}
	// Place is where the listener stands after the last Next.
	Place() Place
	// Close ends the listening.
	Close()
}

// jobListener listens to one job.
type jobListener struct {
	topic  *topic
	more   <-chan struct{}
	first  *Notice // before all others, or nil
	number uint64  // of the notice that is next; 0: all above place
	place  Place
	lines  recall // for one that comes again; nil when there is nothing to be read
	close  func()
}

func (l *jobListener) More() <-chan struct{} { return l.more }
func (l *jobListener) Place() Place          { return l.place }
func (l *jobListener) Close()                { l.close() }

// Next implements Listener.
func (l *jobListener) Next(ctx context.Context) (news []*Notice, last bool, err error) {
	v := l.topic.view.Load()
	for l.lines != nil {
		if news, err = l.recall(ctx, v); err != nil || len(news) > 0 {
			return news, false, err
		}
	}
	l.more = v.more
	switch {
	case l.number == 0:
		news = v.above(l.place)
	case l.number < v.base:
		news = append(v.missed(l.number, l.place), v.notices...)
	default:
		news = v.notices[l.number-v.base:]
	}
	if l.first != nil {
		news = append([]*Notice{l.first}, news...)
		l.first = nil
	}
	l.number, l.place = v.end(), v.place
	return news, v.ended, nil
}

// recall reads from the log the lines that a topic does not keep any more, or
// never had, some at a time.
func (l *jobListener) recall(ctx context.Context, v *view) (news []*Notice, err error) {
	until := max(v.unlogged, v.dropped.Line)
	if l.place.Line >= until {
		l.lines = nil
		return nil, nil
	}
	news, now, all, err := l.lines(ctx, l.topic.jobID, l.place, until)
	if err != nil {
		return nil, err
	}
	l.more = alwaysMore
	if l.place = now; all {
		l.place.Line, l.lines = until, nil
	}
	return news, nil
}

// missed returns what a listener that was too slow is told of the notices that
// were dropped: how many lines it lost, and the newest of the rest.
func (v *view) missed(number uint64, at Place) (news []*Notice) {
	if known := max(at.Line, v.unlogged); known < v.dropped.Line {
		news = append(news, &Notice{Kind: GapNotice, Lost: v.dropped.Line - known, Place: Place{at.Revision, v.dropped.Line}})
	}
	for _, n := range []numbered{v.status, v.progress} {
		if n.notice != nil && number <= n.number && n.number < v.base && (n.notice.Kind != StatusNotice || n.notice.Place.Revision > at.Revision) {
			news = append(news, n.notice)
		}
	}
	return news
}

// above returns what a listener that comes again is told: each status and line
// that it does not have, and the newest progress.
func (v *view) above(at Place) []*Notice {
	if at.Line > v.place.Line {
		at.Line = v.dropped.Line // not one of ours: rather twice than not at all
	}
	news := v.missed(1, at)
	for k, n := range v.notices {
		switch n.Kind {
		case ProgressNotice:
			if v.base+uint64(k) != v.progress.number {
				continue
			}
		case LogNotice:
			if n.Place.Line <= at.Line {
				continue
			}
		default:
			if n.Place.Revision <= at.Revision {
				continue
			}
		}
		news = append(news, n)
	}
	return news
}

// listListener listens to the changes of all jobs.
type listListener struct {
	topic   *topic
	more    <-chan struct{}
	store   Store
	expires func(Job) time.Time
	filter  Filter
	place   Place
	close   func()
}

func (l *listListener) More() <-chan struct{} { return l.more }
func (l *listListener) Place() Place          { return l.place }
func (l *listListener) Close()                { l.close() }

// alwaysMore is what a listListener that is behind waits for.
var alwaysMore = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// atOnce is the number of changes that a listener who was away is told at a time.
const atOnce = 128

// Next implements Listener.
func (l *listListener) Next(ctx context.Context) (news []*Notice, last bool, err error) {
	v := l.topic.view.Load()
	l.more = v.more
	if l.place.Revision > v.place.Revision { // not of this store
		l.place = v.place
		return []*Notice{{Kind: ResetNotice, Place: v.place}}, v.ended, nil
	}
	if l.place.Revision < v.dropped.Revision && !v.ended {
		l.more = alwaysMore
		news, err = l.catchUp(ctx, v)
		return news, false, err
	}
	k := sort.Search(len(v.notices), func(k int) bool { return v.notices[k].Place.Revision > l.place.Revision })
	l.place = v.place
	return l.wanted(v.notices[k:]), v.ended, nil
}

// wanted returns the notices that the filter admits.
func (l *listListener) wanted(all []*Notice) []*Notice {
	if l.filter.everything() {
		return all
	}
	var some []*Notice
	for _, n := range all {
		if n.Kind == ResetNotice || l.filter.Matches(&n.Job) {
			some = append(some, n)
		}
	}
	return some
}

// catchUp asks the store for changes that the topic has dropped.
func (l *listListener) catchUp(ctx context.Context, v *view) (news []*Notice, err error) {
	seen := 0
	for c, err := range l.store.Watch(ctx, l.place.Revision) {
		if errors.Is(err, ErrBehind) {
			l.place = v.place
			return append(news, &Notice{Kind: ResetNotice, Place: v.place}), nil
		}
		if err != nil {
			return nil, fmt.Errorf("watch jobs: %w", err)
		}
		l.place.Revision = c.Revision
		c.Job.Expires = l.expires(c.Job)
		if n := noticeOf(c); l.filter.Matches(&n.Job) {
			news = append(news, n)
		}
		if seen++; seen == atOnce || c.Revision >= v.dropped.Revision {
			break
		}
	}
	return news, ctx.Err()
}

// noticeOf tells a change to those who listen to all jobs.
func noticeOf(c Change) *Notice {
	n := &Notice{Kind: StatusNotice, Place: Place{Revision: c.Revision}, Job: c.Job}
	if c.Deleted {
		n.Kind = RemovedNotice
	}
	return n
}
