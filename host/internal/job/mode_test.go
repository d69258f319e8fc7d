package job

import (
	"testing"
	"time"

	"geomill/sdk/ogc"
)

func TestNegotiateFollowsTheTableOfTheStandard(t *testing.T) {
	t.Parallel()
	const limit = time.Minute
	syncOnly := []ogc.JobControlOption{ogc.SyncExecute}
	asyncOnly := []ogc.JobControlOption{ogc.AsyncExecute, ogc.Dismiss}
	both := []ogc.JobControlOption{ogc.SyncExecute, ogc.AsyncExecute}
	wait := func(d time.Duration) *time.Duration { return &d }
	for _, c := range []struct {
		name    string
		options []ogc.JobControlOption
		prefer  Preference
		mode    Mode
		wait    time.Duration
	}{
		{"sync only, nothing asked", syncOnly, Preference{}, Sync, 0},
		{"sync only, async asked", syncOnly, Preference{Async: true}, Sync, 0},
		{"sync only, wait asked", syncOnly, Preference{Async: true, Wait: wait(time.Second)}, Sync, 0},
		{"async only, nothing asked", asyncOnly, Preference{}, Async, 0},
		{"async only, sync asked", asyncOnly, Preference{Sync: true}, Async, 0},
		{"async only, wait asked", asyncOnly, Preference{Wait: wait(time.Second)}, Async, 0},
		{"both, nothing asked", both, Preference{}, Sync, 0},
		{"both, async asked", both, Preference{Async: true}, Async, 0},
		{"both, async and wait", both, Preference{Async: true, Wait: wait(3 * time.Second)}, Wait, 3 * time.Second},
		{"both, wait alone", both, Preference{Wait: wait(3 * time.Second)}, Wait, 3 * time.Second},
		{"both, wait above the limit", both, Preference{Wait: wait(time.Hour)}, Wait, limit},
		{"both, wait of zero and async", both, Preference{Async: true, Wait: wait(0)}, Async, 0},
		{"both, sync asked", both, Preference{Sync: true}, Sync, 0},
		{"both, auto", both, Preference{Auto: true}, Wait, limit},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			mode, d := Negotiate(c.options, c.prefer, limit)
			if mode != c.mode || d != c.wait {
				t.Errorf("mode %d, wait %s; want %d, %s", mode, d, c.mode, c.wait)
			}
		})
	}
}
