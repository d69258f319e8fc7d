package job_test

import (
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
