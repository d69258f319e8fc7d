package job

import (
	"slices"
	"sync"
	"time"
)

// samplesKept bounds the samples of ages: beyond it every second one goes, and
// those to come are as far apart as those that stay.
const samplesKept = 1024

// ages tells how long ago jobs ended. The wall clock may be set while the host
// runs, or have been wrong when a job ended: a clock that nobody can set, and the
// revisions of the store, which rise, say between which ages the truth lies.
type ages struct {
	mu      sync.Mutex
	wall    time.Time // at the first sample
	samples []sample  // oldest first
	spacing time.Duration
}

// sample is the revision of the store at a time since some fixed moment.
type sample struct {
	at       time.Duration
	revision uint64
}

// note adds a sample.
func (a *ages) note(wall time.Time, at time.Duration, revision uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := len(a.samples)
	switch {
	case n == 0:
		a.wall = wall
	case at-a.samples[n-1].at < a.spacing:
		return
	case n == samplesKept:
		kept := a.samples[:0] // the first among them: it says what was written before this run
		for k := 0; k < n; k += 2 {
			kept = append(kept, a.samples[k])
		}
		a.samples = kept
		a.spacing = 2 * (at - kept[0].at) / samplesKept
	}
	a.samples = append(a.samples, sample{at, revision})
}

// of returns the age of a finished job at a time of both clocks.
func (a *ages) of(j Job, wall time.Time, at time.Duration) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	age := max(wall.Sub(j.Finished), 0)
	// The first sample that the job was already written at.
	n, _ := slices.BinarySearchFunc(a.samples, j.Revision, func(s sample, r uint64) int {
		if s.revision < r {
			return -1
		}
		return 1
	})
	if n == 0 && len(a.samples) > 0 { // written before this run: go by the clock as it was then
		return max(a.wall.Sub(j.Finished), 0) + at - a.samples[0].at
	}
	if n < len(a.samples) {
		age = max(age, at-a.samples[n].at)
	}
	if n > 0 {
		age = min(age, at-a.samples[n-1].at)
	}
	return age
}
