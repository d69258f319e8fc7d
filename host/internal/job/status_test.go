package job

import (
	"errors"
	"testing"
	"time"

	"geomill/sdk/ogc"

	"pgregory.net/rapid"
)

func TestFinalStatesNeverChange(t *testing.T) {
	t.Parallel()
	all := []ogc.Status{ogc.Accepted, ogc.Running, ogc.Successful, ogc.Failed, ogc.Dismissed}
	rapid.Check(t, func(t *rapid.T) {
		j, now := Job{ID: "x", Status: ogc.Accepted}, time.Unix(1, 0)
		for range rapid.IntRange(1, 20).Draw(t, "moves") {
			to := rapid.SampledFrom(all).Draw(t, "to")
			now = now.Add(time.Second)
			n, err := j.move(to, now)
			if j.Status.Final() && err == nil {
				t.Fatalf("%s became %s", j.Status, to)
			}
			if err != nil {
				if !errors.Is(err, ErrConflict) {
					t.Fatalf("unexpected error %v", err)
				}
				continue
			}
			if n.Updated != now || n.Status.Final() != (n.Finished == now) {
				t.Fatalf("times of %+v at %s", n, now)
			}
			if n.Attempt < j.Attempt || (to == ogc.Running) != (n.Attempt > j.Attempt) {
				t.Fatalf("attempt went from %d to %d by becoming %s", j.Attempt, n.Attempt, to)
			}
			if !j.Started.IsZero() && n.Started != j.Started {
				t.Fatal("the start of the first attempt was lost")
			}
			j = n
		}
	})
}

func TestJobsRunAgainOnlyWhileAttemptsAreLeft(t *testing.T) {
	t.Parallel()
	crash := &Failure{Kind: PluginDied}
	for _, c := range []struct {
		name    string
		attempt int
		retries int
		err     error
		again   bool
	}{
		{"no retries", 1, 0, crash, false},
		{"first of two", 1, 1, crash, true},
		{"second of two", 2, 1, crash, false},
		{"the process failed", 1, 3, &Failure{Kind: ProcessFailed}, false},
		{"the process asked for it", 1, 3, &Failure{Kind: ProcessFailed, Retryable: true}, true},
		{"timeout", 1, 3, ErrTimeout, false},
		{"shutdown", 1, 3, ErrShuttingDown, true},
	} {
		if got := (Job{Attempt: c.attempt, Retries: c.retries}).again(c.err); got != c.again {
			t.Errorf("%s: again is %v", c.name, got)
		}
	}
}
