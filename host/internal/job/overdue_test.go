package job_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

func TestSettingTheClockFailsNoWaitingJob(t *testing.T) {
	t.Parallel()
	g := newGate()
	b, clock := retaining(t, job.Retention{}, func(c *job.Config) {
		c.Executor, c.Slots, c.QueueTimeout = g, 1, time.Hour
	})
	b.submit(t, async(`"x"`))
	g.next(t)
	waiting := b.submit(t, async(`"x"`)).ID
	clock.set(2 * time.Hour)
	close(g.open)
	g.next(t)
	b.reaches(t, waiting, ogc.Successful)
}

func TestAJobWaitsNoLongerWhenTheClockGoesBack(t *testing.T) {
	t.Parallel()
	g := newGate()
	b, clock := retaining(t, job.Retention{}, func(c *job.Config) {
		c.Executor, c.Slots, c.QueueTimeout = g, 1, time.Hour
	})
	b.submit(t, async(`"x"`))
	g.next(t)
	clock.set(-24 * time.Hour)
	waiting := b.submit(t, async(`"x"`)).ID
	clock.set(-24 * time.Hour)
	clock.pass(time.Hour)
	b.submit(t, of("p", async(`"another, which has the service look"`)))
	close(g.open)
	b.reaches(t, waiting, ogc.Failed)
}

func TestAJobThatHasStartedOnceMayWaitForItsNextAttempt(t *testing.T) {
	t.Parallel()
	var clock *clocks
	b, c := retaining(t, job.Retention{}, func(c *job.Config) {
		c.QueueTimeout = time.Hour
		c.Executor = executor(func(_ context.Context, a job.Attempt, _ job.Events) (map[string]job.Value, error) {
			if a.Number == 1 {
				clock.pass(2 * time.Hour) // longer than it could have waited
				return nil, &job.Failure{Kind: job.ProcessFailed, Detail: "not now", Retryable: true}
			}
			return map[string]job.Value{"out": a.Inputs["in"]}, nil
		})
		p := process(t)
		p.Policy.RetryBackoff = 10 * time.Millisecond
		c.Catalog = catalog{p}
	})
	clock = c
	if j := b.reaches(t, b.submit(t, async(`"x"`)).ID, ogc.Successful); j.Attempt != 2 {
		t.Errorf("attempt %d", j.Attempt)
	}
}

func TestAJobThatIsDismissedBeforeItsNextAttemptNeverStartsAgain(t *testing.T) {
	t.Parallel()
	for pause := 100 * time.Millisecond; !dismissedBetween(t, pause); pause *= 4 {
		if pause > patience {
			t.Fatal("its next attempt always comes first")
		}
	}
}

// dismissedBetween dismisses a job in the pause before its second attempt, and
// reports whether it came in time.
func dismissedBetween(t *testing.T, pause time.Duration) bool {
	t.Helper()
	started := make(chan int, 10)
	b := start(t, func(_ context.Context, a job.Attempt, _ job.Events) (map[string]job.Value, error) {
		started <- a.Number
		return nil, &job.Failure{Kind: job.ProcessFailed, Detail: "not now", Retryable: true}
	}, func(c *job.Config) {
		p := process(t)
		p.Policy.RetryBackoff = pause
		c.Catalog = catalog{p}
	})
	id := b.submit(t, async(`"x"`)).ID
	poll(t, func() error {
		j, err := b.Job(t.Context(), id)
		if err == nil && (j.Attempt == 0 || j.Attempt == 1 && j.Status == ogc.Running) {
			err = errors.New("it waits not yet")
		}
		return err
	})
	j, err := b.Dismiss(t.Context(), id)
	if err != nil || j.Status != ogc.Dismissed {
		t.Fatalf("%+v, %v", j, err)
	}
	if j.Attempt > 1 {
		return false
	}
	next := b.submit(t, async(`"y"`)).ID // its second attempt comes later
	b.reaches(t, next, ogc.Failed)
	b.queueEmpties(t)
	if n := len(started); n != 3 {
		t.Errorf("%d attempts, want 1 and 2", n)
	}
	b.reaches(t, id, ogc.Dismissed)
	return true
}
