package plugin

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"geomill/host/internal/job"
)

// supervisor keeps the instances of one plugin version: it starts them when
// jobs come, one start at a time for those that share one, and holds back a
// plugin that crashes.
type supervisor struct {
	launcher *launcher
	exe      *executable
	options  Options
	cfg      *Config
	log      *slog.Logger

	ctx    context.Context // ends with the supervisor
	cancel context.CancelFunc
	wg     sync.WaitGroup // starts and owners of instances

	places chan struct{}            // for jobs of shared processes
	shared atomic.Pointer[instance] // takes them
	held   atomic.Pointer[hold]     // not nil: not started before

	mu       sync.Mutex
	gate     gate
	starting *start
	pool     []*instance // exclusive ones without a job
	live     map[*instance]struct{}
	launches int // starts under way
	crashes  int // ever
	closed   string
	changed  time.Time // of the state when no instance lives
}

// hold is what others may know of the gate without a lock.
type hold struct {
	until       time.Time
	quarantined bool
}

// start is the start of the shared instance, which several jobs may await.
type start struct {
	done chan struct{}
	err  error // valid after done
}

func newSupervisor(l *launcher, exe *executable, o Options) *supervisor {
	s := &supervisor{launcher: l, exe: exe, options: o, cfg: l.cfg, log: l.cfg.Log.With(slog.String("plugin", exe.name)),
		places: make(chan struct{}, l.cfg.MaxConcurrency), gate: newGate(l.cfg), live: map[*instance]struct{}{}, changed: time.Now()}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// acquireShared returns the shared instance with a place for a job in it,
// started if need be.
func (s *supervisor) acquireShared(ctx context.Context) (*instance, error) {
	for range 3 {
		if in := s.shared.Load(); in != nil && in.acquire() {
			return in, nil
		}
		st, err := s.startShared()
		if err != nil {
			return nil, err
		}
		select {
		case <-st.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if st.err != nil {
			return nil, st.err
		}
	}
	return nil, &job.UnavailableError{Reason: "its plugin ends as soon as it has started", RetryAfter: s.cfg.BackoffFirst}
}

// startShared starts the shared instance, or joins a start under way.
func (s *supervisor) startShared() (*start, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.starting != nil {
		return s.starting, nil
	}
	st := &start{done: make(chan struct{})}
	if in := s.shared.Load(); in != nil && in.usable() { // another was faster
		close(st.done)
		return st, nil
	}
	pause, err := s.allowLocked()
	if err != nil {
		return nil, err
	}
	s.starting = st
	s.wg.Go(func() {
		in, err := s.launch(s.ctx, pause)
		s.mu.Lock()
		defer s.mu.Unlock()
		if err == nil {
			s.shared.Store(in)
			s.runLocked(in)
		}
		s.starting, st.err = nil, err
		close(st.done)
	})
	return st, nil
}

// acquireOwn returns an instance for one job alone: a free one of the pool if
// pooled, or a fresh one.
func (s *supervisor) acquireOwn(ctx context.Context, pooled bool) (*instance, error) {
	s.mu.Lock()
	for pooled && len(s.pool) > 0 {
		in := s.pool[len(s.pool)-1]
		s.pool = s.pool[:len(s.pool)-1]
		if in.acquire() {
			s.mu.Unlock()
			return in, nil
		}
	}
	pause, err := s.allowLocked()
	if err != nil {
		s.mu.Unlock()
		return nil, err
	}
	started := make(chan *instance)
	failed := make(chan error, 1)
	s.wg.Go(func() { s.launchOwn(ctx, pause, pooled, started, failed) })
	s.mu.Unlock()
	select {
	case in := <-started:
		return in, nil
	case err := <-failed:
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// launchOwn starts an instance for a job that may be gone by the time it is
// ready.
func (s *supervisor) launchOwn(ctx context.Context, pause time.Duration, pooled bool, started chan<- *instance, failed chan<- error) {
	starting, cancel := context.WithCancel(s.ctx)
	defer cancel()
	if !pooled { // then nobody else wants it
		defer context.AfterFunc(ctx, cancel)()
	}
	in, err := s.launch(starting, pause)
	if err != nil {
		failed <- err
		return
	}
	in.seize()
	s.mu.Lock()
	s.runLocked(in)
	s.mu.Unlock()
	select {
	case started <- in:
	case <-ctx.Done():
		s.giveBack(in, pooled)
	}
}

// giveBack ends the use of an instance by one job: a pooled one waits for the
// next, another ends.
func (s *supervisor) giveBack(in *instance, pooled bool) {
	in.release()
	if !pooled {
		in.end(errRetired)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, alive := s.live[in]; alive && in.serving.Err() == nil {
		s.pool = append(s.pool, in)
	}
}

// allowLocked says whether an instance may be started, after which pause, or
// why not.
func (s *supervisor) allowLocked() (time.Duration, error) {
	if s.closed != "" {
		return 0, &job.UnavailableError{Reason: s.closed}
	}
	pause := s.gate.wait(time.Now())
	if s.gate.quarantined && pause > 0 || pause > s.cfg.MaxStartWait {
		return 0, heldBack(s.gate.quarantined, pause)
	}
	s.launches++
	return pause, nil
}

// launch starts an instance after a pause. A failed start counts as a crash,
// unless ctx ended it.
func (s *supervisor) launch(ctx context.Context, pause time.Duration) (*instance, error) {
	in, err := s.tryLaunch(ctx, pause)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.launches--
	s.changed = time.Now()
	switch {
	case err == nil:
		s.gate.served()
		s.held.Store(nil)
		return in, nil
	case s.ctx.Err() != nil:
		return nil, &job.UnavailableError{Reason: s.closed}
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	s.crashLocked(0, err)
	return nil, &job.UnavailableError{Reason: "its plugin cannot be started", RetryAfter: s.gate.wait(time.Now())}
}

func (s *supervisor) tryLaunch(ctx context.Context, pause time.Duration) (*instance, error) {
	if pause > 0 {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	begun := time.Now()
	conn, err := s.launcher.start(ctx, s.exe, s.options)
	if err != nil {
		return nil, err
	}
	in, err := newInstance(ctx, conn)
	if err != nil {
		conn.kill()
		return nil, conceal(err, conn.options.settled)
	}
	in.log.Info("plugin instance started", "pid", conn.child.pid(), "version", conn.info.Version, "took", time.Since(begun))
	return in, nil
}

// runLocked makes the instance live. A supervisor that closed meanwhile ends
// it at once.
func (s *supervisor) runLocked(in *instance) {
	s.live[in] = struct{}{}
	if s.closed != "" {
		in.end(errRetired)
	}
	s.wg.Go(func() {
		in.own(func(cause error) { s.retire(in, cause) })
		s.ended(in)
		in.vacate()
	})
}

// retire takes an instance out of use; it may still have jobs.
func (s *supervisor) retire(in *instance, cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shared.CompareAndSwap(in, nil)
	s.pool = slices.DeleteFunc(s.pool, func(p *instance) bool { return p == in })
	if (&ending{cause: cause}).crashed() {
		s.crashLocked(time.Since(in.since), cause)
	}
}

// ended forgets an instance that is gone.
func (s *supervisor) ended(in *instance) {
	level := slog.LevelInfo
	if in.ending.crashed() {
		level = slog.LevelError
	}
	in.log.Log(context.Background(), level, "plugin instance ended", "cause", in.ending.cause, "status", in.ending.status,
		"ran", time.Since(in.since), "max_rss_bytes", in.ending.rss, "cpu", in.ending.cpu)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.live, in)
	s.changed = time.Now()
	if in.ending.crashed() {
		s.gate.reason = in.ending.detail()
	}
}

func (s *supervisor) crashLocked(ran time.Duration, cause error) {
	s.crashes++
	s.gate.crashed(time.Now(), ran, cause.Error())
	s.held.Store(&hold{s.gate.until, s.gate.quarantined})
	attrs := []any{"cause", cause, "crashes", s.crashes, "next_start_in", s.gate.wait(time.Now())}
	if s.gate.quarantined {
		s.log.Error("plugin is in quarantine", attrs...)
		return
	}
	s.log.Warn("plugin crashed", attrs...)
}

// unavailable says why no job can run now, or nil.
func (s *supervisor) unavailable() *job.UnavailableError {
	held := s.held.Load()
	if held == nil {
		return nil
	}
	pause := time.Until(held.until)
	if pause <= s.cfg.MaxStartWait && !(held.quarantined && pause > 0) {
		return nil
	}
	return heldBack(held.quarantined, pause)
}

// heldBack is the answer while a plugin that crashed is not to be started.
func heldBack(quarantined bool, pause time.Duration) *job.UnavailableError {
	if quarantined {
		return &job.UnavailableError{Reason: "its plugin crashed too often and is in quarantine", RetryAfter: pause}
	}
	return &job.UnavailableError{Reason: "its plugin crashed and is not started again yet", RetryAfter: pause}
}

// refuse makes the supervisor take no more jobs; those that run may finish.
func (s *supervisor) refuse(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = reason
	s.cancel()
	for in := range s.live {
		in.end(fmt.Errorf("%w: %s", errRetired, reason))
	}
}

// close waits until all instances of a refused supervisor are gone, and from
// the end of ctx on makes them hurry.
func (s *supervisor) close(ctx context.Context) {
	gone := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(gone)
	}()
	select {
	case <-gone:
	case <-ctx.Done():
		s.mu.Lock()
		for in := range s.live {
			in.hurry()
		}
		s.mu.Unlock()
		<-gone
	}
	s.exe.close()
}
