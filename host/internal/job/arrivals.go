package job

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// arrivals counts the async requests between being let in and being queued, so
// that many at once do not pass the limits of the queue.
type arrivals struct {
	mu  sync.Mutex
	all int
	of  map[string]int // by caller; kept only where callers have a limit
}

// BusyError says that no more jobs are accepted now.
type BusyError struct {
	Caller     bool // it is the caller who has too many
	RetryAfter time.Duration
}

func (e *BusyError) Error() string {
	if e.Caller {
		return "too many jobs of one caller"
	}
	return ErrBusy.Error()
}

// Is makes every BusyError an ErrBusy.
func (e *BusyError) Is(target error) bool { return target == ErrBusy }

// arrival is a request that was let in, until it departs. The zero value is one
// that no limit holds for.
type arrival struct {
	service *Service
	caller  string
}

// arrive lets a request in, before anything is done for it, or fails with a
// *BusyError. Each arrive that succeeds is followed by depart. Sync executions
// have no place in the queue.
func (s *Service) arrive(ctx context.Context, mode Mode, caller string) (arrival, error) {
	if mode == Sync || s.QueueLimit <= 0 {
		return arrival{}, nil
	}
	all, callers, err := s.Queue.Depth(ctx, caller)
	if err != nil {
		return arrival{}, fmt.Errorf("measure queue: %w", err)
	}
	a := &s.arriving
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case all+a.all >= s.QueueLimit:
		return arrival{}, &BusyError{RetryAfter: s.ends.pace(s.Now())}
	case s.CallerLimit > 0 && callers+a.of[caller] >= s.CallerLimit:
		return arrival{}, &BusyError{Caller: true, RetryAfter: s.ends.pace(s.Now())}
	}
	a.all++
	if s.CallerLimit > 0 {
		a.of[caller]++
	}
	return arrival{s, caller}, nil
}

// depart may be called again.
func (r *arrival) depart() {
	s := r.service
	if s == nil {
		return
	}
	r.service = nil
	a := &s.arriving
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all--
	if s.CallerLimit <= 0 {
		return
	}
	if a.of[r.caller]--; a.of[r.caller] == 0 {
		delete(a.of, r.caller)
	}
}

// Bounds of what a client is told to wait when the queue is full.
const (
	shortestPause = time.Second
	longestPause  = time.Hour
)

// ends remembers when the last queued jobs ended.
type ends struct {
	mu   sync.Mutex
	last [32]time.Time // a ring
	n    int
}

func (e *ends) add(now time.Time) {
	e.mu.Lock()
	e.last[e.n%len(e.last)] = now
	e.n++
	e.mu.Unlock()
}

// pace returns how long it takes for a job to end, as far as the last ones tell.
func (e *ends) pace(now time.Time) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	known := min(e.n, len(e.last))
	if known == 0 {
		return shortestPause
	}
	since := now.Sub(e.last[(e.n-known)%len(e.last)])
	return max(shortestPause, min(since/time.Duration(known), longestPause))
}
