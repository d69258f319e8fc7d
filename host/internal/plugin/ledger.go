package plugin

import (
	"sync"
	"sync/atomic"
	"time"
)

// historyLength is how many transitions of a plugin are remembered.
const historyLength = 32

// Transition is a change of the state of an instance, or of a plugin.
type Transition struct {
	Time     time.Time
	Instance int64 // number of the instance, as in the log; 0: the plugin as a whole
	PID      int   // 0 before there is a process
	From, To State
	Reason   string // empty when it is the usual course
}

// Counters is what has happened to a plugin since the host began to serve it,
// whatever the version. All but InFlight only grow.
type Counters struct {
	// Starts counts the starts of instances by their results: ready, failed
	// and abandoned.
	Starts map[string]int64
	// StartSeconds is how long those took that became ready.
	StartSeconds Histogram
	// Ends counts the ends of instances by their reasons; see the reasons of
	// endReason.
	Ends map[string]int64
	// Transitions counts how often an instance came into each state.
	Transitions map[State]int64

	Quarantines int64
	Resets      int64
	Jobs        int64 // attempts that ended, well or not
	InFlight    int64 // attempts that run
}

// Histogram counts observations up to bounds.
type Histogram struct {
	Bounds []float64 // upper ones, ascending; a last one is infinite
	Counts []int64   // one more than Bounds; each of its own bucket only
	Sum    float64
}

// The results of starts.
const (
	startReady = iota
	startFailed
	startAbandoned
	startResults
)

var (
	startNames  = [startResults]string{"ready", "failed", "abandoned"}
	startBounds = [...]float64{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}
	instanceIn  = [...]State{StateStarting, StateConnecting, StateConfiguring, StateReady, StateDraining, StateStopping,
		StateCrashed, StateWedged, StateGone}
)

// ledger counts what happens to one plugin and remembers the end of it. It is
// safe for concurrent use.
type ledger struct {
	starts      [startResults]atomic.Int64
	startBucket [len(startBounds) + 1]atomic.Int64
	startNanos  atomic.Int64
	ends        [len(endReasons)]atomic.Int64
	entered     [len(instanceIn)]atomic.Int64
	quarantines atomic.Int64
	resets      atomic.Int64
	jobs        atomic.Int64 // in instances that are gone

	mu   sync.Mutex
	ring [historyLength]Transition
	next int
}

// started counts a start that came to a result, and if ready how long it took.
func (l *ledger) started(result int, took time.Duration) {
	l.starts[result].Add(1)
	if result != startReady {
		return
	}
	l.startNanos.Add(int64(took))
	bucket := 0
	for bucket < len(startBounds) && took.Seconds() > startBounds[bucket] {
		bucket++
	}
	l.startBucket[bucket].Add(1)
}

// ended counts the end of an instance that had run some jobs.
func (l *ledger) ended(cause error, jobs int64) {
	l.ends[endReason(cause)].Add(1)
	l.jobs.Add(jobs)
}

// note remembers a transition, and counts that of an instance.
func (l *ledger) note(t Transition) {
	for i, s := range instanceIn {
		if s == t.To && t.Instance != 0 {
			l.entered[i].Add(1)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ring[l.next%historyLength] = t
	l.next++
}

// history returns the last transitions, oldest first.
func (l *ledger) history() []Transition {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]Transition, 0, min(l.next, historyLength))
	for i := max(0, l.next-historyLength); i < l.next; i++ {
		list = append(list, l.ring[i%historyLength])
	}
	return list
}

// counters returns the counts of now, without what instances that live do.
func (l *ledger) counters() Counters {
	c := Counters{
		Starts: map[string]int64{}, Ends: map[string]int64{}, Transitions: map[State]int64{},
		Quarantines: l.quarantines.Load(), Resets: l.resets.Load(), Jobs: l.jobs.Load(),
		StartSeconds: Histogram{Bounds: startBounds[:], Sum: time.Duration(l.startNanos.Load()).Seconds()},
	}
	for i, name := range startNames {
		c.Starts[name] = l.starts[i].Load()
	}
	for i, r := range endReasons {
		c.Ends[r.name] = l.ends[i].Load()
	}
	for i, s := range instanceIn {
		c.Transitions[s] = l.entered[i].Load()
	}
	for i := range l.startBucket {
		c.StartSeconds.Counts = append(c.StartSeconds.Counts, l.startBucket[i].Load())
	}
	return c
}

// ledgers are those of all plugins, by name in the plugins directory. The zero
// value is ready for use.
type ledgers struct {
	mu     sync.Mutex
	byFile map[string]*ledger
}

// of returns the ledger of a plugin, a new one if need be.
func (l *ledgers) of(file string) *ledger {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byFile == nil {
		l.byFile = map[string]*ledger{}
	}
	if l.byFile[file] == nil {
		l.byFile[file] = &ledger{}
	}
	return l.byFile[file]
}

// drop forgets a plugin that was removed.
func (l *ledgers) drop(file string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.byFile, file)
}

// Counters returns the counters of every plugin, by name in the plugins
// directory.
func (h *Host) Counters() map[string]Counters {
	all := map[string]Counters{}
	for _, s := range h.Plugins() {
		all[s.File] = s.Counters
	}
	return all
}
