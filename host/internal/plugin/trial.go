package plugin

import (
	"fmt"
	"sync/atomic"
	"time"
)

// trialCrashes is how many crashes, or failed starts, during its trial a new
// version takes to lose its place to the one before.
const trialCrashes = 2

// trial is the first time of a version that has taken over from another one.
type trial struct {
	back    string // hash of the kept version to go back to
	until   time.Time
	crashes atomic.Int32
}

// crashed counts a crash of the version. It is called with the supervisor's lock
// held.
func (v *version) crashed() {
	t := v.trial.Load()
	if t != nil && time.Now().Before(t.until) && t.crashes.Add(1) == trialCrashes {
		select {
		case v.failing <- struct{}{}:
		default: // the follower has others to look at, and will look at all
		}
	}
}

// failed reports whether the version has lost its trial.
func (v *version) failed() bool {
	t := v.trial.Load()
	return t != nil && t.crashes.Load() >= trialCrashes
}

// judge goes back to the version before where a new one has lost its trial.
func (f *follower) judge() {
	f.h.mu.Lock()
	defer f.h.mu.Unlock()
	for _, e := range f.h.entries {
		f.judgeLocked(e)
	}
}

func (f *follower) judgeLocked(e *entry) {
	v := e.serving
	if v == nil || !v.failed() || e.admitting { // what is being admitted decides first
		return
	}
	back := v.trial.Load().back
	v.trial.Store(nil)
	info := v.description.Info
	r := &ruling{Hash: v.exe.hash, Instead: back, Firm: true, Reason: fmt.Sprintf(
		"version %s crashed %d times within %s of taking over (%s), so the one before is back; to try it again: geomill plugin reload %s --force",
		info.Version, trialCrashes, f.h.cfg.TrialTime, v.sup.lastCrash(), e.file)}
	f.h.log.Error("plugin is rolled back", "plugin", e.file, "version", info.Version, "hash", v.exe.hash, "to_hash", back, "reason", r.Reason)
	f.begin(e, task{kind: taskGoBack, candidate: e.latest, ruling: r})
}

// lastCrash returns the reason of the last crash or failed start.
func (s *supervisor) lastCrash() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gate.reason
}
