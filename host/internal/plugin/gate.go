package plugin

import (
	"math/rand/v2"
	"time"
)

// gate decides when a plugin that crashed may be started again. It is not
// safe for concurrent use.
type gate struct {
	first, most time.Duration // backoff: first, doubled each time, up to most
	healthy     time.Duration // a run as long as this forgives earlier crashes
	patience    time.Duration // what a job waits for at most
	limit       int           // crashes within window that lead to quarantine
	window      time.Duration
	quarantine  time.Duration // until one start is tried again

	streak      int         // crashes since a healthy run
	recent      []time.Time // crashes, at most limit
	until       time.Time   // no start before
	quarantined bool
	reason      string // of the last crash
}

func newGate(c *Config) gate {
	return gate{first: c.BackoffFirst, most: c.BackoffMax, healthy: c.HealthyAfter, patience: c.MaxStartWait,
		limit: c.CrashLimit, window: c.CrashWindow, quarantine: c.QuarantineFor}
}

// crashed counts the crash of an instance that had run for ran.
func (g *gate) crashed(now time.Time, ran time.Duration, reason string) {
	if ran >= g.healthy {
		g.streak, g.recent = 0, nil
	}
	g.reason = reason
	g.recent = append(g.recent, now)
	if len(g.recent) > g.limit {
		g.recent = g.recent[1:]
	}
	if g.quarantined || len(g.recent) == g.limit && now.Sub(g.recent[0]) <= g.window {
		g.quarantined = true
		g.until = now.Add(g.quarantine)
		return
	}
	g.until = now.Add(jitter(g.next()))
}

// stumbled counts the crash of an instance that had jobs, of which one may be to
// blame. The next start is put off for no longer than jobs wait for it.
func (g *gate) stumbled(now time.Time, ran time.Duration, reason string) {
	if ran >= g.healthy {
		g.streak = 0
	}
	g.reason = reason
	if until := now.Add(min(jitter(g.next()), g.patience)); until.After(g.until) {
		g.until = until
	}
}

// next returns the pause after one more crash.
func (g *gate) next() time.Duration {
	pause := g.most
	if shift := min(g.streak, 30); g.first<<shift > 0 {
		pause = min(g.first<<shift, g.most)
	}
	g.streak++
	return pause
}

// reset forgets all crashes.
func (g *gate) reset() { g.streak, g.recent, g.until, g.quarantined = 0, nil, time.Time{}, false }

// served notes that an instance works, which ends a quarantine.
func (g *gate) served() {
	if g.quarantined {
		g.quarantined, g.recent, g.until = false, nil, time.Time{}
	}
}

// wait returns how long no start is allowed.
func (g *gate) wait(now time.Time) time.Duration { return max(0, g.until.Sub(now)) }

// jitter spreads d by a fifth to both sides.
func jitter(d time.Duration) time.Duration {
	return d - d/5 + rand.N(max(1, 2*d/5))
}
