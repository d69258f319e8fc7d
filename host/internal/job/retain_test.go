package job_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"geomill/host/internal/job"
	"geomill/host/internal/job/jobtest"
	"geomill/sdk/ogc"
)

// clocks are a wall clock that a test sets, and one that only goes on.
type clocks struct {
	mu      sync.Mutex
	wall    time.Time
	elapsed time.Duration
	looks   int // at elapsed: at least one in each round of retention
}

func (c *clocks) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wall
}

func (c *clocks) since() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.looks++
	return c.elapsed
}

func (c *clocks) looked() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.looks
}

// pass lets time pass; set sets the wall clock.
func (c *clocks) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall, c.elapsed = c.wall.Add(d), c.elapsed+d
}

func (c *clocks) set(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall = c.wall.Add(by)
}

// retaining starts a bench whose jobs go by a retention and clocks of the test.
func retaining(t *testing.T, r job.Retention, change ...func(*job.Config)) (*bench, *clocks) {
	t.Helper()
	c := &clocks{wall: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), elapsed: time.Hour}
	b := start(t, echo, append([]func(*job.Config){func(config *job.Config) {
		config.Archive = config.Store.(job.Archive)
		config.Retention = func(string) job.Retention { return r }
		config.SweepEvery, config.Now, config.Elapsed = time.Millisecond, c.now, c.since
	}}, change...)...)
	return b, c
}

// succeeds runs a job to its end and returns it.
func (b *bench) succeeds(t *testing.T, text string) job.Job {
	t.Helper()
	return b.reaches(t, b.submit(t, async(text)).ID, ogc.Successful)
}

// left polls until exactly these jobs are left, and looks once more later.
func (b *bench) left(t *testing.T, want ...job.Job) {
	t.Helper()
	var ids []string
	for _, j := range want {
		ids = append([]string{j.ID}, ids...)
	}
	listed := func() error {
		p, err := b.Jobs(t.Context(), job.Filter{}, job.Cursor{}, 1000)
		if err != nil {
			return err
		}
		var got []string
		for _, j := range p.Jobs {
			got = append(got, j.ID)
		}
		if fmt.Sprint(got) != fmt.Sprint(ids) {
			return fmt.Errorf("left are %v, want %v", got, ids)
		}
		return nil
	}
	poll(t, listed)
}

func poll(t testing.TB, f func() error) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(patience); ; {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			t.Fatal(err)
		}
	}
}

func TestJobsAreRemovedAtTheirAge(t *testing.T) {
	t.Parallel()
	logs := jobtest.NewMemoryLogs()
	b, clock := retaining(t, job.Retention{Statuses: map[ogc.Status]job.Limit{ogc.Successful: {Age: time.Hour}}},
		func(c *job.Config) { c.Logs = logs })
	old := b.succeeds(t, `"old"`)
	if err := logs.Append(t.Context(), old.ID, []byte("{}\n")); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Job(t.Context(), old.ID); err != nil || !got.Expires.Equal(old.Finished.Add(time.Hour)) {
		t.Errorf("expires %s, %v; finished %s", got.Expires, err, old.Finished)
	}
	clock.pass(50 * time.Minute)
	young := b.succeeds(t, `"young"`)
	clock.pass(11 * time.Minute)
	b.left(t, young)
	if _, err := b.Job(t.Context(), old.ID); !errors.Is(err, job.ErrGone) {
		t.Errorf("the removed job: %v", err)
	}
	if logs.Len() != 0 {
		t.Error("the log of the removed job is still there")
	}
}

func TestCountsHoldForAStatusAProcessAndAll(t *testing.T) {
	t.Parallel()
	fails := func(ctx context.Context, a job.Attempt, ev job.Events) (map[string]job.Value, error) {
		if strings.HasPrefix(string(a.Inputs["in"].JSON), `"bad`) {
			return nil, &job.Failure{Kind: job.ProcessFailed, Detail: "it is bad"}
		}
		return echo(ctx, a, ev)
	}
	for _, c := range []struct {
		name      string
		retention job.Retention
		all       job.Limit
		good, bad int // of five each, ending in turns
	}{
		{"a status", job.Retention{Statuses: map[ogc.Status]job.Limit{ogc.Failed: {Jobs: 2}}}, job.Limit{}, 5, 2},
		{"a process", job.Retention{Limit: job.Limit{Jobs: 4}}, job.Limit{}, 2, 2},
		{"all", job.Retention{}, job.Limit{Jobs: 6}, 3, 3},
		{"each", job.Retention{Limit: job.Limit{Jobs: 5}, Statuses: map[ogc.Status]job.Limit{ogc.Failed: {Jobs: 1}}}, job.Limit{Jobs: 3}, 2, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b, _ := retaining(t, c.retention, func(config *job.Config) {
				config.Executor, config.Retain, config.SweepEvery = executor(fails), c.all, time.Hour
			})
			var good, bad []job.Job
			for n := range 5 {
				good = append(good, b.succeeds(t, fmt.Sprintf(`"good %d"`, n)))
				bad = append(bad, b.reaches(t, b.submit(t, async(fmt.Sprintf(`"bad %d"`, n))).ID, ogc.Failed))
			}
			b.stop()
			b.open(t, fails, func(config *job.Config) {
				config.Archive, config.Retain = b.store, c.all
				config.Retention = func(string) job.Retention { return c.retention }
			})
			var want []job.Job
			for n := range 5 {
				if n >= 5-c.good {
					want = append(want, good[n])
				}
				if n >= 5-c.bad {
					want = append(want, bad[n])
				}
			}
			b.left(t, want...)
		})
	}
}

func TestAJobThatEndedLastStaysHoweverLongItRan(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	b, _ := retaining(t, job.Retention{Limit: job.Limit{Jobs: 1}}, func(c *job.Config) {
		c.Executor = executor(func(ctx context.Context, a job.Attempt, ev job.Events) (map[string]job.Value, error) {
			if string(a.Inputs["in"].JSON) == `"long"` {
				<-release
			}
			return echo(ctx, a, ev)
		})
	})
	long := b.submit(t, async(`"long"`))
	b.reaches(t, long.ID, ogc.Running)
	b.succeeds(t, `"short"`)
	close(release)
	b.left(t, b.reaches(t, long.ID, ogc.Successful))
}

func TestAClockThatIsSetRemovesNothingFreshAndKeepsNothingForEver(t *testing.T) {
	t.Parallel()
	const year = 365 * 24 * time.Hour
	b, clock := retaining(t, job.Retention{Limit: job.Limit{Age: 10 * time.Hour}})
	first := b.succeeds(t, `"first"`)
	clock.rounds(t)
	clock.pass(time.Hour)
	clock.rounds(t)
	clock.set(year)
	ahead := b.succeeds(t, `"ahead"`)
	b.left(t, first, ahead)
	clock.rounds(t)
	clock.pass(time.Hour)
	clock.rounds(t)
	clock.set(-2 * year)
	behind := b.succeeds(t, `"behind"`)
	b.left(t, first, ahead, behind)
	clock.rounds(t)
	clock.pass(time.Hour)
	clock.rounds(t)
	clock.set(year)
	clock.pass(7*time.Hour + time.Minute) // the first is a little older than ten hours
	b.left(t, ahead, behind)
	clock.pass(time.Hour)
	b.left(t, behind)
	clock.pass(time.Hour)
	b.left(t)
}

// rounds waits until retention has gone over its jobs, three at most, again.
func (c *clocks) rounds(t *testing.T) {
	t.Helper()
	before := c.looked()
	poll(t, func() error {
		if c.looked() < before+8 {
			return errors.New("retention does not look")
		}
		return nil
	})
}

func TestWithoutSpaceInTheQuotaWhatEndedFirstGoes(t *testing.T) {
	t.Parallel()
	text := `"` + strings.Repeat("x", 10<<10) + `"`
	b, _ := retaining(t, job.Retention{}, func(c *job.Config) { c.DiskQuota, c.SweepEvery = 60<<10, time.Hour })
	var jobs []job.Job
	for range 6 {
		jobs = append(jobs, b.succeeds(t, text)) // 21 KiB each
	}
	b.left(t, jobs[4:]...)
}

func TestWithNothingToRemoveAboveTheQuotaNewJobsAreRefused(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	b, _ := retaining(t, job.Retention{}, func(c *job.Config) {
		c.DiskQuota, c.Slots = 100<<10, 1
		c.Executor = executor(func(_ context.Context, a job.Attempt, _ job.Events) (map[string]job.Value, error) {
			err := errors.Join(os.MkdirAll(a.Dir, 0o700), os.WriteFile(a.Dir+"/scratch", make([]byte, 200<<10), 0o600))
			<-release
			return map[string]job.Value{"out": {JSON: json.RawMessage(`"done"`)}}, err
		})
	})
	running := b.submit(t, async(`"x"`))
	poll(t, func() error {
		if _, err := b.Submit(t.Context(), async(`"y"`)); !errors.Is(err, job.ErrNoSpace) {
			return fmt.Errorf("a job beyond the quota: %w", err)
		}
		return nil
	})
	close(release)
	b.reaches(t, running.ID, ogc.Successful)
	poll(t, func() error { _, err := b.Submit(t.Context(), async(`"z"`)); return err })
}

func TestResultsThatAreReadOutliveTheirJob(t *testing.T) {
	t.Parallel()
	b, clock := retaining(t, job.Retention{Limit: job.Limit{Age: time.Hour}}, func(c *job.Config) {
		c.Executor = executor(func(_ context.Context, a job.Attempt, _ job.Events) (map[string]job.Value, error) {
			err := errors.Join(os.MkdirAll(a.Dir, 0o700), os.WriteFile(a.Dir+"/out", []byte(`"content"`), 0o600))
			return map[string]job.Value{"out": {File: a.Dir + "/out", Size: 9}}, err
		})
	})
	j := b.succeeds(t, `"x"`)
	r, err := b.Results(t.Context(), j.ID)
	if err != nil {
		t.Fatal(err)
	}
	clock.pass(2 * time.Hour)
	b.left(t)
	v := r.Outputs["out"]
	if text, err := os.ReadFile(v.File); err != nil || string(text) != `"content"` {
		t.Errorf("the output is %q, %v", text, err)
	}
	if held := b.store.Usage().Held; held != j.Size() {
		t.Errorf("%d bytes are held, want %d", held, j.Size())
	}
	r.Close()
	if _, err := os.Stat(v.File); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the output after the end of its reader: %v", err)
	}
	if u := b.store.Usage(); u.Bytes() != 0 {
		t.Errorf("usage %+v", u)
	}
}
