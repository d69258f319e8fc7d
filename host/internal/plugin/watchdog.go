package plugin

import (
	"context"
	"log/slog"
	"sync"
	"syscall"
	"time"

	"geomill/host/internal/job"
)

const (
	// guardEvery is the time between looks at what instances use, guardNear
	// when one of them uses more than half of what it may.
	guardEvery = time.Second
	guardNear  = 100 * time.Millisecond
	// quellLimit bounds how long it is tried to halt processes that multiply.
	quellLimit = time.Second
)

// excess is why an instance was killed: it used more than it may.
type excess struct{ failure *job.Failure }

func (e *excess) Error() string { return e.failure.Detail }

// Is makes it an errLimit.
func (e *excess) Is(target error) bool { return target == errLimit }

// of is the failure of one attempt in the instance.
func (e *excess) of(a job.Attempt, cause error) *job.Failure {
	f := *e.failure
	f.Cause, f.Crash = cause, &job.Crash{}
	f.Retryable = a.Process.Policy.Isolation == job.Shared
	return &f
}

// watchdog looks at what instances with limits use, and ends those that use too
// much. It rests while there are none. All methods are safe for concurrent use.
type watchdog struct {
	log    *slog.Logger
	wake   chan struct{} // holds one
	cancel context.CancelFunc
	runner sync.WaitGroup

	mu    sync.Mutex
	wards map[*child]*ward

	census census // of run
}

// ward is an instance that is looked at.
type ward struct {
	child  *child
	limits Limits
	jobs   map[*allowance]struct{}
}

// newWatchdog starts a watchdog, until close.
func newWatchdog(log *slog.Logger) *watchdog {
	w := &watchdog{log: log, wake: make(chan struct{}, 1), wards: map[*child]*ward{}}
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel = cancel
	w.runner.Go(func() { w.run(ctx) })
	return w
}

func (w *watchdog) close() {
	w.cancel()
	w.runner.Wait()
}

// guard looks at a child until it is gone.
func (w *watchdog) guard(c *child, l Limits) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ward(c).limits = l
}

// allow looks at what a job uses of a child, until disallow.
func (w *watchdog) allow(c *child, a *allowance) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ward(c).jobs[a] = struct{}{}
}

func (w *watchdog) disallow(c *child, a *allowance) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if d := w.wards[c]; d != nil {
		delete(d.jobs, a)
		if len(d.jobs) == 0 && !d.limits.watched() {
			delete(w.wards, c)
		}
	}
}

// ward returns that of a child, and wakes the watchdog for the first one. The lock
// is held.
func (w *watchdog) ward(c *child) *ward {
	d := w.wards[c]
	if d != nil {
		return d
	}
	d = &ward{child: c, jobs: map[*allowance]struct{}{}}
	if w.wards[c] = d; len(w.wards) == 1 {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
	return d
}

func (w *watchdog) run(ctx context.Context) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.wake: // not at once, for jobs may come and go
			pause.Reset(guardNear)
		case <-pause.C:
			if next := w.look(); next > 0 {
				pause.Reset(next)
			}
		}
	}
}

// look looks at all wards, and returns when to look again; 0 when there are none.
func (w *watchdog) look() time.Duration {
	byPID, byMark := map[int]*ward{}, map[string]*ward{}
	w.mu.Lock()
	for c, d := range w.wards {
		if c.over() {
			delete(w.wards, c)
			continue
		}
		byPID[c.pid()], byMark[c.mark] = d, d
	}
	w.mu.Unlock()
	if len(byPID) == 0 {
		return 0
	}
	next := guardEvery
	for d, family := range families(w.census.take(), func(p process) (*ward, bool) {
		if d := byPID[p.pid]; d != nil {
			return d, true
		}
		d := byMark[p.instance]
		return d, d != nil
	}) {
		if w.check(d, family) {
			next = guardNear
		}
	}
	return next
}

// check holds a ward to its limits, and reports whether it is near one of them.
func (w *watchdog) check(d *ward, family []process) (near bool) {
	w.mu.Lock()
	memory, jobs := d.limits.Memory, make([]*allowance, 0, len(d.jobs))
	for a := range d.jobs {
		jobs = append(jobs, a)
		memory = lower(memory, a.memory)
	}
	w.mu.Unlock()
	if most := d.limits.Processes; most > 0 && len(family) > most {
		w.end(d.child, job.Exceeded(job.LimitProcesses, float64(most)), float64(len(family)))
		return false
	}
	var resident int64
	var cpu time.Duration
	for _, p := range family {
		resident, cpu = resident+p.used.resident, cpu+p.used.cpu
	}
	if beyondHalf(resident, memory) {
		resident = w.census.heldBy(family)
	}
	if memory > 0 && resident > memory {
		w.end(d.child, job.Exceeded(job.LimitMemory, float64(memory)), float64(resident))
		return false
	}
	for _, a := range jobs {
		near = a.charge(family, cpu) || near
	}
	return near || beyondHalf(int64(len(family)), int64(d.limits.Processes)) || beyondHalf(resident, memory)
}

func beyondHalf(n, limit int64) bool { return limit > 0 && n > limit/2 }

// lower returns the lower of two limits.
func lower(a, b int64) int64 {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// end kills an instance that used more than it may.
func (w *watchdog) end(c *child, why *job.Failure, used float64) {
	if !c.excess.CompareAndSwap(nil, &excess{why}) {
		return
	}
	c.console.log.Warn("plugin instance exceeded a limit and is killed", "limit", why.Limit, "maximum", why.Maximum, "used", used)
	c.notePeak()
	if why.Limit == job.LimitProcesses && (c.group == nil || c.group.Kill() != nil) {
		c.quell()
	}
	c.signal(syscall.SIGKILL)
}

// quell halts a child with all that descends from it: what multiplies has to
// stop before it can be killed.
func (c *child) quell() {
	var now census
	pid, halted := c.pid(), map[processID]bool{}
	for begun := time.Now(); time.Since(begun) < quellLimit; {
		found := family(now.take(), func(p process) bool { return p.pid == pid || p.bears(c.mark) })
		more := false
		for _, p := range found {
			if !halted[p.id()] {
				halted[p.id()], more = true, true
				now.send(p, syscall.SIGSTOP)
			}
		}
		c.mu.Lock()
		c.kin = found
		c.mu.Unlock()
		if !more {
			return
		}
	}
}

// over reports whether the process is gone.
func (c *child) over() bool {
	select {
	case <-c.exited:
		return true
	default:
		return false
	}
}
