package plugin

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func testGate() gate {
	return newGate(&Config{BackoffFirst: 200 * time.Millisecond, BackoffMax: time.Minute, HealthyAfter: time.Minute,
		CrashLimit: 5, CrashWindow: time.Minute, QuarantineFor: 5 * time.Minute, MaxStartWait: time.Second})
}

func TestBackoffDoublesUpToItsMost(t *testing.T) {
	t.Parallel()
	g := testGate()
	now := time.Unix(0, 0)
	for i, want := range []time.Duration{200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000} {
		want *= time.Millisecond
		now = now.Add(time.Minute) // no quarantine: crashes are far apart
		g.crashed(now, time.Second, "x")
		if got := g.wait(now); got < want*4/5 || got > want*6/5 {
			t.Errorf("after crash %d: %s, want about %s", i+1, got, want)
		}
	}
	g.crashed(now.Add(time.Hour), time.Minute, "x")
	if got := g.wait(now.Add(time.Hour)); got > 240*time.Millisecond {
		t.Errorf("after a healthy run: %s", got)
	}
}

func TestManyCrashesInAShortTimeLeadToQuarantineUntilAStartWorks(t *testing.T) {
	t.Parallel()
	g := testGate()
	now := time.Unix(0, 0)
	for i := range 5 {
		if g.quarantined {
			t.Fatalf("in quarantine after %d crashes", i)
		}
		now = now.Add(time.Second)
		g.crashed(now, 0, "x")
	}
	if !g.quarantined || g.wait(now) != 5*time.Minute {
		t.Fatalf("quarantined %v, wait %s", g.quarantined, g.wait(now))
	}
	now = now.Add(6 * time.Minute)
	g.crashed(now, 0, "x")
	if g.wait(now) != 5*time.Minute {
		t.Errorf("the one start failed too: wait %s", g.wait(now))
	}
	g.served()
	g.crashed(now.Add(time.Second), 0, "x")
	if g.quarantined {
		t.Error("in quarantine again after one crash")
	}
}

func TestCrashesUnderJobsPutStartsOffForAMomentOnly(t *testing.T) {
	t.Parallel()
	g := testGate()
	now := time.Unix(0, 0)
	for i := range 20 {
		now = now.Add(time.Millisecond)
		g.stumbled(now, time.Millisecond, "x")
		if w := g.wait(now); g.quarantined || w <= 0 || w > time.Second {
			t.Fatalf("after crash %d: quarantined %v, wait %s", i+1, g.quarantined, w)
		}
	}
	g.crashed(now, 0, "x")
	before := g.wait(now)
	if g.stumbled(now, 0, "x"); before < 40*time.Second || g.wait(now) != before {
		t.Errorf("wait %s, then %s", before, g.wait(now))
	}
	if g.reset(); g.wait(now) != 0 || g.streak != 0 {
		t.Errorf("after a reset: %+v", g)
	}
}

func TestGateNeverWaitsLongerThanItsLimits(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		g := testGate()
		now := time.Unix(0, 0)
		for range rapid.IntRange(0, 200).Draw(t, "crashes") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(2*time.Minute)).Draw(t, "pause")))
			ran := time.Duration(rapid.Int64Range(0, int64(2*time.Minute)).Draw(t, "ran"))
			if rapid.Bool().Draw(t, "busy") {
				g.stumbled(now, ran, "x")
			} else {
				g.crashed(now, ran, "x")
			}
			if rapid.Bool().Draw(t, "served") {
				g.served()
			}
			limit := g.most * 6 / 5
			if g.quarantined {
				limit = g.quarantine
			}
			if w := g.wait(now); w < 0 || w > limit && !g.until.Equal(now.Add(g.quarantine)) {
				t.Fatalf("waits %s, quarantined %v", w, g.quarantined)
			}
			if len(g.recent) > g.limit {
				t.Fatalf("remembers %d crashes", len(g.recent))
			}
		}
	})
}
