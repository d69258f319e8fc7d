package plugin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"geomill/sdk/wire"

	"golang.org/x/sys/unix"
)

// closedBit in instance.load says that no job is taken any more; the bits
// below count the jobs.
const closedBit = int64(1) << 62

// instance is one running process of a plugin with its session. One goroutine,
// own, takes it through its states; others ask by end and hurry.
type instance struct {
	conn    *connection
	session *wire.Session
	work    *workDir
	cfg     *Config
	log     *slog.Logger
	since   time.Time

	load atomic.Int64  // jobs, and closedBit
	idle chan struct{} // gets one when closed and without jobs
	left chan struct{} // closed then, too
	last sync.Once

	serving context.Context // ends when no new job is to be taken, with the reason
	end     context.CancelCauseFunc
	rush    chan struct{} // closed: do not wait for jobs
	rushed  sync.Once

	served   atomic.Int64 // jobs that were given back
	measured atomic.Int64 // when its memory was last looked at, Unix nanoseconds
	solo     bool         // its jobs have it alone
	freed    time.Time    // since when it is in a pool; of the supervisor

	memoryKills int64 // of the machine, at the last beat

	poisoned  chan struct{} // closed: a job goes on that nobody waits for
	poisoning sync.Once
	expelled  chan struct{} // closed: end within a second, jobs or not
	expulsion

	done   chan struct{} // closed when the process is gone and all is cleaned
	ending ending        // valid after done
}

// ending is how an instance came to its end.
type ending struct {
	cause  error
	status string   // of the process, such as "signal: killed"
	code   int      // exit code; -1 when a signal ended it
	signal string   // such as SIGKILL, or empty
	last   []string // lines on its standard streams
	rss    int64    // largest resident size, bytes; 0 when not known
	cpu    time.Duration
}

// crashed reports whether the plugin, and not the host, is why it ended.
func (e *ending) crashed() bool { return isCrash(e.cause) }

func isCrash(cause error) bool {
	return errors.Is(cause, errDied) || errors.Is(cause, errMemory) || errors.Is(cause, errCutOff) || errors.Is(cause, errWedged)
}

// detail says it in a sentence for clients.
func (e *ending) detail() string {
	if errors.Is(e.cause, errDied) || errors.Is(e.cause, errMemory) {
		return fmt.Sprintf("%v (%s)", e.cause, e.status)
	}
	return e.cause.Error()
}

// report says it in full, for the log.
func (e *ending) report() error {
	return fmt.Errorf("%w: %s, %d KiB resident, %s CPU; last lines: %s",
		e.cause, e.status, e.rss>>10, e.cpu, strings.Join(e.last, " | "))
}

// newInstance opens the session of a connected plugin. It does not run until
// own is called.
func newInstance(ctx context.Context, c *connection) (*instance, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.ConnectTimeout)
	defer cancel()
	session, err := c.client.OpenSession(ctx)
	if err != nil {
		return nil, err
	}
	in := &instance{conn: c, session: session, work: c.work, cfg: c.cfg, log: c.log, since: time.Now(),
		idle: make(chan struct{}, 1), left: make(chan struct{}), rush: make(chan struct{}), poisoned: make(chan struct{}),
		expelled: make(chan struct{}), done: make(chan struct{})}
	in.serving, in.end = context.WithCancelCause(context.Background())
	c.work = nil
	return in, nil
}

// acquire takes a place for one job; it reports false when the instance takes
// none any more.
func (in *instance) acquire() bool {
	if in.load.Add(1)&closedBit != 0 || in.cutOff() {
		in.release()
		return false
	}
	return true
}

// seize takes a place for the job that the instance was started for. It holds
// although the plugin may be gone already, for the job then gives it back.
func (in *instance) seize() { in.load.Add(1) }

// usable reports whether acquire may succeed.
func (in *instance) usable() bool { return in.load.Load()&closedBit == 0 && !in.cutOff() }

// cutOff reports whether the session is over, though own may not know yet.
func (in *instance) cutOff() bool {
	select {
	case <-in.session.Done():
		return true
	default:
		return false
	}
}

// release gives the place of a job back.
func (in *instance) release() {
	if in.load.Add(-1) == closedBit {
		in.signalIdle()
	}
}

// shut ends the instance for a reason: from now on it takes no job.
func (in *instance) shut(cause error) {
	in.end(cause)
	if in.load.Or(closedBit) == 0 {
		in.signalIdle()
	}
}

func (in *instance) signalIdle() {
	in.last.Do(func() { close(in.left) })
	select {
	case in.idle <- struct{}{}:
	default:
	}
}

// jobs returns how many jobs the instance has.
func (in *instance) jobs() int { return int(in.load.Load() &^ closedBit) }

// hurry makes an ending instance stop although it has jobs.
func (in *instance) hurry() { in.rushed.Do(func() { close(in.rush) }) }

// own is the life of the instance from ready to gone. retire is called as soon
// as it takes no more jobs.
func (in *instance) own(retire func(cause error)) {
	defer close(in.done)
	in.memoryKills = memoryKills()
	in.conn.child.notePeak()
	heart := startHeartbeat(in.conn, in.beat)
	cause := in.blame(in.serve(heart.wedged))
	in.shut(cause)
	retire(cause)
	expelled := false
	if !isCrash(cause) && in.conn.child.excess.Load() == nil {
		cause = in.blame(in.drain(cause, heart.wedged))
		expelled = in.isExpelled()
	}
	heart.stop()
	switch {
	case expelled:
		cause = in.evict()
	case errors.Is(cause, errDied), errors.Is(cause, errCutOff):
		in.conn.enter(StateCrashed, cause)
		cause = in.awaitDeath(cause)
		in.conn.kill()
	case in.conn.child.excess.Load() != nil:
		in.conn.enter(StateStopping, cause)
		in.conn.child.notePeak()
		in.conn.kill()
	case errors.Is(cause, errWedged):
		in.conn.enter(StateWedged, cause)
		in.conn.child.dump()
		in.conn.kill()
	default:
		in.conn.enter(StateStopping, cause)
		in.conn.stop(in.session, in.cfg.TermAfter, in.cfg.KillAfter)
	}
	in.ending = in.conn.ending(cause)
	if errors.Is(cause, errDied) && in.starved() {
		in.ending.cause = errMemory
	}
	in.session.Close()
}

// beat is what is to be done regularly with an instance that is not stopping.
func (in *instance) beat() {
	in.memoryKills = memoryKills()
	in.work.tidy(in.session.Runs)
	in.conn.child.notePeak()
}

// vacate removes the directory of an instance that is gone, once its jobs have
// taken what is theirs.
func (in *instance) vacate() {
	<-in.left
	in.work.remove()
}

// blame returns why the plugin ended: the limit that the host killed it for, or
// cause.
func (in *instance) blame(cause error) error {
	if in.conn.child.group != nil && errors.Is(cause, errCutOff) { // at its death it is known
		cause = in.awaitDeath(cause)
	}
	if x := in.conn.child.excess.Load(); x != nil && isCrash(cause) {
		return x
	}
	return cause
}

// serve waits for a reason to stop.
func (in *instance) serve(wedged <-chan struct{}) error {
	select {
	case <-in.serving.Done():
		return context.Cause(in.serving)
	case <-in.conn.child.exited:
		return errDied
	case <-in.session.Done():
		return cutOff(in.session.Err())
	case <-wedged:
		return errWedged
	}
}

// awaitDeath gives a plugin that cut the connection the time to exit: most
// often its death is why.
func (in *instance) awaitDeath(cause error) error {
	select {
	case <-in.conn.child.exited:
		return errDied
	case <-time.After(in.cfg.ExitGrace):
		return cause
	}
}

// drain waits until the jobs of the instance have ended, within limits. It
// returns cause, or what happened before they had.
func (in *instance) drain(cause error, wedged <-chan struct{}) error {
	in.conn.enter(StateDraining, cause)
	limit := time.NewTimer(in.cfg.DrainTimeout)
	defer limit.Stop()
	for poisoned := in.poisoned; ; {
		select {
		case <-in.idle:
		case <-in.rush:
		case <-in.expelled:
		case <-poisoned:
			poisoned = nil
			limit.Reset(in.conn.options.poisonGrace(in.cfg))
			continue
		case <-limit.C:
			in.log.Warn("plugin instance still has jobs and is stopped", "jobs", in.jobs(), "waited", time.Since(in.conn.state.Load().since))
		case <-in.conn.child.exited:
			return errDied
		case <-in.session.Done():
			return in.awaitDeath(cutOff(in.session.Err()))
		case <-wedged:
			return errWedged
		}
		if in.isPoisoned() { // what is left of it does not end by itself
			in.expel(errPoisoned)
		}
		return cause
	}
}

// ending describes a process that is gone.
func (c *connection) ending(cause error) ending {
	e := ending{cause: cause, status: c.child.status(), code: -1, last: c.child.console.last(consoleLines)}
	c.child.mu.Lock()
	defer c.child.mu.Unlock()
	if ps := c.child.cmd.ProcessState; ps != nil {
		e.cpu = ps.UserTime() + ps.SystemTime()
		e.rss = max(residentOf(ps), c.child.peak)
		e.code = ps.ExitCode()
		if ws, ok := ps.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			e.signal = unix.SignalName(ws.Signal())
		}
	}
	return e
}

// residentOf returns the largest resident size of a process that is gone, in
// bytes. Linux counts the size of the host at the time of the fork as the
// child's, so that one which stayed below it is not known: 0.
func residentOf(ps *os.ProcessState) int64 {
	child, ok := ps.SysUsage().(*syscall.Rusage)
	var self syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &self); !ok || err != nil || child.Maxrss <= self.Maxrss {
		return 0
	}
	return child.Maxrss << 10
}
