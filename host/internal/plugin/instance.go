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

// Why an instance stops serving.
var (
	errDied     = errors.New("the plugin ended unexpectedly")
	errMemory   = errors.New("the plugin ran out of memory")
	errCutOff   = errors.New("the plugin broke off its connection")
	errWedged   = errors.New("the plugin stopped answering and was stopped")
	errPoisoned = errors.New("the plugin was stopped because another job in it did not end when it was told to")
	errSpent    = errors.New("the plugin was stopped with its job")
	errRetired  = errors.New("the plugin was stopped by the host")
)

// closedBit in instance.load says that no job is taken any more; the bits
// below count the jobs.
const closedBit = int64(1) << 62

// exitGrace is how long a plugin that cut the connection may take to exit, so
// that its own exit status is seen.
const exitGrace = 250 * time.Millisecond

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

	memoryKills int64 // of the machine, at the last check; of own

	expelled chan struct{} // closed: end within a second, jobs or not
	expulsion

	state  atomic.Pointer[stateAt]
	done   chan struct{} // closed when the process is gone and all is cleaned
	ending ending        // valid after done
}

// stateAt is a state since a time.
type stateAt struct {
	state State
	since time.Time
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
func (e *ending) crashed() bool {
	return errors.Is(e.cause, errDied) || errors.Is(e.cause, errMemory) || errors.Is(e.cause, errCutOff) || errors.Is(e.cause, errWedged)
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
		idle: make(chan struct{}, 1), left: make(chan struct{}), rush: make(chan struct{}), expelled: make(chan struct{}), done: make(chan struct{})}
	in.serving, in.end = context.WithCancelCause(context.Background())
	in.enter(StateReady)
	c.work = nil
	return in, nil
}

func (in *instance) enter(s State) {
	in.state.Store(&stateAt{s, time.Now()})
	in.log.Debug("plugin instance "+string(s), "pid", in.conn.child.pid())
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
	cause := in.blame(in.serve())
	in.shut(cause)
	retire(cause)
	switch {
	case errors.Is(cause, errDied), errors.Is(cause, errCutOff):
		in.enter(StateCrashed)
		cause = in.awaitDeath(cause)
		in.conn.kill()
	case errors.Is(cause, errWedged), in.conn.child.excess.Load() != nil:
		in.enter(StateStopping)
		in.conn.child.notePeak()
		in.conn.kill()
	default:
		if cause = in.blame(in.drain(cause)); in.isExpelled() {
			cause = in.evict()
			break
		}
		in.enter(StateStopping)
		in.conn.stop(in.session, in.cfg.TermAfter, in.cfg.KillAfter)
	}
	in.ending = in.conn.ending(cause)
	if errors.Is(cause, errDied) && in.starved() {
		in.ending.cause = errMemory
	}
	in.session.Close()
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
	if x := in.conn.child.excess.Load(); x != nil && (&ending{cause: cause}).crashed() {
		return x
	}
	return cause
}

// serve waits for a reason to stop, and asks regularly whether the plugin
// still works.
func (in *instance) serve() error {
	tick := time.NewTicker(in.cfg.HeartbeatEvery)
	defer tick.Stop()
	in.memoryKills = memoryKills()
	in.conn.child.notePeak()
	for misses := 0; ; {
		select {
		case <-in.serving.Done():
			return context.Cause(in.serving)
		case <-in.conn.child.exited:
			return errDied
		case <-in.session.Done():
			return errCutOff
		case <-tick.C:
			in.memoryKills = memoryKills()
			in.work.tidy(in.session.Runs)
			in.conn.child.notePeak()
			if in.beats() {
				misses = 0
				continue
			}
			if misses++; misses >= in.cfg.HeartbeatMisses {
				return errWedged
			}
		}
	}
}

func (in *instance) beats() bool {
	ctx, cancel := context.WithTimeout(in.serving, in.cfg.HeartbeatEvery)
	defer cancel()
	health, err := in.conn.client.Check(ctx)
	return err == nil && health.Ready || in.serving.Err() != nil
}

// awaitDeath gives a plugin that cut the connection the time to exit: most
// often its death is why.
func (in *instance) awaitDeath(cause error) error {
	select {
	case <-in.conn.child.exited:
		return errDied
	case <-time.After(exitGrace):
		return cause
	}
}

// drain waits until the jobs of the instance have ended, within limits. It
// returns cause, or that the plugin died before they had.
func (in *instance) drain(cause error) error {
	in.enter(StateDraining)
	limit := time.NewTimer(in.cfg.DrainTimeout)
	defer limit.Stop()
	select {
	case <-in.idle:
	case <-in.rush:
	case <-in.expelled:
	case <-limit.C:
		in.log.Warn("plugin instance still has jobs and is stopped", "jobs", in.jobs(), "waited", in.cfg.DrainTimeout)
	case <-in.conn.child.exited:
		return errDied
	case <-in.session.Done():
		return in.awaitDeath(errCutOff)
	}
	return cause
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
