package job

import (
	"testing"
	"time"
)

func TestTheEndIsEstimatedFromTheStartOfTheAttempt(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		name    string
		percent float64
		at, now time.Duration // since the start
		left    time.Duration // since now; negative: no estimate
	}{
		{"half way", 50, 10 * time.Second, 10 * time.Second, 10 * time.Second},
		{"some time after the report", 50, 10 * time.Second, 14 * time.Second, 6 * time.Second},
		{"a quarter", 25, time.Minute, time.Minute, 3 * time.Minute},
		{"what was to end by now", 50, 10 * time.Second, 30 * time.Second, 30 * time.Second},
		{"nearly done", 99, 99 * time.Second, 99 * time.Second, time.Second},
		{"reported too early", 50, time.Second, 10 * time.Second, -1},
		{"too little done", 1, time.Minute, time.Minute, -1},
		{"nothing done", 0, time.Minute, time.Minute, -1},
		{"years", 2, 300 * 24 * time.Hour, 300 * 24 * time.Hour, -1},
		{"a clock that went back", 50, -time.Hour, time.Minute, -1},
	} {
		r := &report{percent: c.percent, at: start.Add(c.at)}
		got := r.estimate(start, start.Add(c.now))
		want := start.Add(c.now + c.left)
		if c.left < 0 {
			want = time.Time{}
		}
		if !got.Equal(want) {
			t.Errorf("%s: %s, want %s", c.name, got, want)
		}
	}
	if e := (&report{percent: 50}).estimate(start, start.Add(time.Hour)); !e.IsZero() {
		t.Errorf("estimate %s for a job without a record", e)
	}
}
