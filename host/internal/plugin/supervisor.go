package plugin

import (
	"context"
	"fmt"
	"log/slog"
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
	onCrash  func() // with mu held; set before the first start; nil: nobody listens

	ctx    context.Context // ends with the supervisor
	cancel context.CancelFunc
	wg     sync.WaitGroup // starts and owners of instances

	ledger  *ledger
	stirred chan struct{}            // holds one: tend is due
	places  chan struct{}            // for jobs of shared processes
	shared  atomic.Pointer[instance] // takes them
	held    atomic.Pointer[hold]     // not nil: not started before

	mu       sync.Mutex
	gate     gate
	starting *start
	reused   pool // of exclusive instances
	fresh    pool // of instances for one job
	live     map[*instance]struct{}
	launches int       // starts under way
	warm     int       // shared instances that are kept: 0 or 1
	tended   time.Time // when tend is due; zero: not for a reason of time
	crashes  int       // ever
	closed   string
	changed  time.Time     // of the state when no instance lives
	lifted   chan struct{} // closed by a reset: starts wait no longer
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
		places: make(chan struct{}, l.cfg.MaxConcurrency), gate: newGate(l.cfg), live: map[*instance]struct{}{}, changed: time.Now(),
		ledger: l.ledgers.of(exe.name), stirred: make(chan struct{}, 1), lifted: make(chan struct{}), reused: pool{reuse: true}}
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
	if in := s.shared.Load(); in != nil && in.usable() { // another was faster
		st := &start{done: make(chan struct{})}
		close(st.done)
		return st, nil
	}
	return s.startSharedLocked(nil)
}

// startSharedLocked starts a shared instance in the place of another, if there
// is one: that takes jobs until the new one does.
func (s *supervisor) startSharedLocked(why error) (*start, error) {
	pause, err := s.allowLocked()
	if err != nil {
		return nil, err
	}
	st := &start{done: make(chan struct{})}
	s.starting = st
	s.wg.Go(func() {
		in, err := s.launch(s.ctx, pause)
		s.mu.Lock()
		defer s.mu.Unlock()
		if err == nil {
			if old := s.shared.Swap(in); old != nil && why != nil {
				old.end(why)
			}
			s.runLocked(in)
		}
		s.starting, st.err = nil, err
		close(st.done)
		s.stir()
	})
	return st, nil
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

// launch starts an instance after a pause, which allowLocked has told.
func (s *supervisor) launch(ctx context.Context, pause time.Duration) (in *instance, err error) {
	err = s.attempt(ctx, pause, func() (err error) {
		in, err = s.begin(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	return in, nil
}

// startAside makes the start of an instance that is not the supervisor's own.
func (s *supervisor) startAside(ctx context.Context, start func() error) error {
	s.mu.Lock()
	pause, err := s.allowLocked()
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return s.attempt(ctx, pause, start)
}

// attempt makes a start after a pause, which allowLocked has told. One that fails
// counts as a crash, unless ctx ended it.
func (s *supervisor) attempt(ctx context.Context, pause time.Duration, start func() error) error {
	err := s.await(ctx, pause)
	begun := time.Now()
	if err == nil {
		err = start()
	}
	took := time.Since(begun)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.launches--
	s.changed = time.Now()
	switch {
	case err == nil:
		s.ledger.started(startReady, took)
		if s.gate.quarantined {
			s.ledger.note(Transition{Time: s.changed, From: StateQuarantined, To: StateReady})
		}
		s.gate.served()
		s.held.Store(nil)
		return nil
	case ctx.Err() != nil:
		s.ledger.started(startAbandoned, took)
		if s.ctx.Err() != nil {
			return &job.UnavailableError{Reason: s.closed}
		}
		return ctx.Err()
	}
	s.ledger.started(startFailed, took)
	s.gate.crashed(time.Now(), 0, err.Error())
	s.crashedLocked(err)
	return &job.UnavailableError{Reason: "its plugin cannot be started", RetryAfter: s.gate.wait(time.Now()), Passing: !s.gate.quarantined}
}

// await waits for a pause, or until a reset.
func (s *supervisor) await(ctx context.Context, pause time.Duration) error {
	if pause <= 0 {
		return nil
	}
	s.mu.Lock()
	lifted := s.lifted
	s.mu.Unlock()
	over := time.NewTimer(pause)
	defer over.Stop()
	select {
	case <-over.C:
	case <-lifted:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// begin starts an instance.
func (s *supervisor) begin(ctx context.Context) (*instance, error) {
	begun := time.Now()
	conn, err := s.launcher.start(ctx, s.exe, s.options)
	if err != nil {
		return nil, err
	}
	in, err := newInstance(ctx, conn)
	if err != nil {
		conn.enter(StateCrashed, err)
		conn.kill()
		return nil, conceal(err, conn.options.settled)
	}
	conn.enter(StateReady, nil)
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
	was := s.shared.CompareAndSwap(in, nil)
	s.reused.remove(in)
	s.fresh.remove(in)
	if isCrash(cause) {
		s.countLocked(in, cause)
	}
	if was && s.closed == "" && s.starting == nil && in.isPoisoned() {
		_, _ = s.startSharedLocked(nil) // it is in use; if it cannot be, the next job says why
	}
	s.stir()
}

// ended forgets an instance that is gone.
func (s *supervisor) ended(in *instance) {
	level := slog.LevelInfo
	if in.ending.crashed() {
		level = slog.LevelError
	}
	in.log.Log(context.Background(), level, "plugin instance ended", "cause", in.ending.cause, "status", in.ending.status,
		"ran", time.Since(in.since), "jobs", in.served.Load(), "max_rss_bytes", in.ending.rss, "cpu", in.ending.cpu)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.live, in)
	s.ledger.ended(in.ending.cause, in.served.Load())
	s.changed = time.Now()
	if in.ending.crashed() {
		s.gate.reason = in.ending.detail()
	}
}

// countLocked counts the crash of an instance. If it had jobs, that may be the
// doing of a client, and must not make the plugin unavailable to others: a job
// that was alone pays for it alone, and others put a start off for a moment.
func (s *supervisor) countLocked(in *instance, cause error) {
	ran := time.Since(in.since)
	switch busy := in.jobs() > 0; {
	case busy && in.solo:
	case busy:
		s.gate.stumbled(time.Now(), ran, cause.Error())
	default:
		s.gate.crashed(time.Now(), ran, cause.Error())
	}
	s.crashedLocked(cause)
}

// crashedLocked lets others know of a crash that the gate has counted.
func (s *supervisor) crashedLocked(cause error) {
	s.crashes++
	if s.onCrash != nil {
		s.onCrash()
	}
	was := s.held.Swap(&hold{s.gate.until, s.gate.quarantined})
	attrs := []any{"cause", cause, "crashes", s.crashes, "next_start_in", s.gate.wait(time.Now())}
	if !s.gate.quarantined {
		s.log.Warn("plugin crashed", attrs...)
		return
	}
	s.log.Error("plugin is in quarantine", attrs...)
	if was == nil || !was.quarantined {
		s.ledger.quarantines.Add(1)
		s.ledger.note(Transition{Time: time.Now(), From: StateCrashed, To: StateQuarantined, Reason: cause.Error()})
	}
}

// unavailable says why no job can run now in an isolation, or nil.
func (s *supervisor) unavailable(i job.Isolation) *job.UnavailableError {
	held := s.held.Load()
	if held == nil {
		return nil
	}
	pause := time.Until(held.until)
	if pause <= s.cfg.MaxStartWait && !(held.quarantined && pause > 0) || s.hasFree(i) {
		return nil
	}
	return heldBack(held.quarantined, pause)
}

// hasFree reports whether a job in an isolation needs no new instance.
func (s *supervisor) hasFree(i job.Isolation) bool {
	if i == job.Shared {
		in := s.shared.Load()
		return in != nil && in.usable()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.poolOf(i).free) > 0
}

// heldBack is the answer while a plugin that crashed is not to be started.
func heldBack(quarantined bool, pause time.Duration) *job.UnavailableError {
	if quarantined {
		return &job.UnavailableError{Reason: "its plugin crashed too often and is in quarantine", RetryAfter: pause}
	}
	return &job.UnavailableError{Reason: "its plugin crashed and is not started again yet", RetryAfter: pause, Passing: true}
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
