package plugin

import (
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"geomill/host/internal/job"
)

// optedHost is a host on the chaos plugin with options of the operator.
func optedHost(t testing.TB, o Options, change ...func(*Config)) *bench {
	t.Helper()
	cfg := quick(t)
	cfg.Options = func(string) Options { return o }
	cfg.HeartbeatEvery = time.Minute // these tests keep the machine busy
	for _, f := range change {
		f(&cfg)
	}
	install(t, cfg.Dir, "chaos", "")
	return serve(t, cfg)
}

// only makes all processes of one isolation.
func only(i job.Isolation) func(*Config) {
	return func(c *Config) {
		c.Policy = func(_ string, p job.Policy) job.Policy {
			p.Isolation = i
			return p
		}
	}
}

// ready returns the process numbers of the instances that are ready.
func (b *bench) ready() []int {
	var pids []int
	for _, in := range b.status("chaos").Instances {
		if in.State == StateReady {
			pids = append(pids, in.PID)
		}
	}
	return pids
}

func (b *bench) awaitReady(n int) []int {
	b.t.Helper()
	eventually(b.t, "instances that are ready", func() bool { return len(b.ready()) == n })
	return b.ready()
}

func TestWarmInstancesAreThereBeforeTheFirstJob(t *testing.T) {
	t.Parallel()
	for isolation, want := range map[job.Isolation]int{job.Shared: 1, job.Exclusive: 2, job.PerJob: 2} {
		t.Run(string(isolation), func(t *testing.T) {
			t.Parallel()
			b := optedHost(t, Options{Warm: 2}, only(isolation))
			warm := b.awaitReady(want)
			a, err := b.run(t.Context(), "echo")
			if err != nil || !slices.Contains(warm, a.PID) {
				t.Errorf("the job ran in %d, not in one of %v: %v", a.PID, warm, err)
			}
			if isolation == job.PerJob {
				eventually(t, "end of its instance", func() bool { return gone(a.PID) })
			}
			b.awaitReady(want)
		})
	}
}

func TestWarmInstancesThatEndAreReplaced(t *testing.T) {
	t.Parallel()
	for _, isolation := range []job.Isolation{job.Shared, job.Exclusive, job.PerJob} {
		t.Run(string(isolation), func(t *testing.T) {
			t.Parallel()
			b := optedHost(t, Options{Warm: 1}, only(isolation))
			first := b.awaitReady(1)[0]
			syscall.Kill(first, syscall.SIGKILL)
			eventually(t, "another", func() bool { p := b.ready(); return len(p) == 1 && p[0] != first })
		})
	}
}

func TestNothingIsStartedAheadWithoutTheOperatorsWish(t *testing.T) {
	t.Parallel()
	b := optedHost(t, Options{}, only(job.PerJob))
	if _, err := b.run(t.Context(), "echo"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "end of its instance", func() bool { return len(b.status("chaos").Instances) == 0 })
	if n := b.status("chaos").Counters.Starts["ready"]; n != 1 {
		t.Errorf("%d starts", n)
	}
}

// TestEveryJobHasAnInstanceOfItsOwnHoweverManyComeAtOnce has jobs take spares,
// those on the way, and fresh instances.
func TestEveryJobHasAnInstanceOfItsOwnHoweverManyComeAtOnce(t *testing.T) {
	t.Parallel()
	b := optedHost(t, Options{Warm: 2}, func(c *Config) { c.MaxInstances = 4 })
	var mu sync.Mutex
	pids := map[int]bool{}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 5 {
				a, err := b.run(t.Context(), "once")
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if pids[a.PID] {
					t.Errorf("two jobs ran in %d", a.PID)
				}
				pids[a.PID] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	b.awaitReady(4 + 1) // two for each kind, and the shared one
	b.stop()
	for pid := range pids {
		if !gone(pid) {
			t.Errorf("%d lives on", pid)
		}
	}
}

func TestIdleInstancesEndUnlessTheyAreKeptWarm(t *testing.T) {
	t.Parallel()
	b := optedHost(t, Options{Warm: 1, Idle: 50 * time.Millisecond}, only(job.Exclusive))
	one, releaseOne := b.background("alone")
	two, releaseTwo := b.background("alone")
	if n := len(b.ready()); n < 2 {
		t.Errorf("%d instances for two jobs", n)
	}
	releaseOne()
	releaseTwo()
	<-one
	<-two
	eventually(t, "end of one of them", func() bool { return len(b.status("chaos").Instances) == 1 })
	eventually(t, "the reason", func() bool { return b.status("chaos").Counters.Ends["idle"] > 0 })
}

func TestExclusiveInstancesAreReplacedWhenTheyAreWorn(t *testing.T) {
	t.Parallel()
	for reason, r := range map[string]Recycle{
		"recycle-jobs": {Jobs: 2}, "recycle-age": {Age: time.Millisecond}, "recycle-memory": {Memory: 48 << 20},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			b := optedHost(t, Options{Recycle: r})
			first, err := b.run(t.Context(), "swell-alone")
			if err != nil {
				t.Fatal(err)
			}
			eventually(t, "another instance", func() bool {
				next, err := b.run(t.Context(), "swell-alone")
				if err != nil {
					t.Fatal(err)
				}
				return next.PID != first.PID
			})
			eventually(t, "the reason", func() bool { return b.status("chaos").Counters.Ends[reason] > 0 })
		})
	}
}

// TestSharedInstanceThatIsWornIsReplacedUnderLoad has it replaced all the time.
func TestSharedInstanceThatIsWornIsReplacedUnderLoad(t *testing.T) {
	t.Parallel()
	b := optedHost(t, Options{Recycle: Recycle{Jobs: 2}})
	var jobs atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for jobs.Add(1) <= 400 {
				if _, err := b.run(t.Context(), "echo"); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	eventually(t, "end of those that were replaced", func() bool { return len(b.status("chaos").Instances) == 1 })
	s := b.status("chaos")
	if s.Counters.Ends["recycle-jobs"] < 2 || s.Counters.Jobs != 400 || s.Counters.InFlight != 0 || s.Crashes != 0 {
		t.Errorf("%+v", s.Counters)
	}
}

func TestSharedInstanceThatIsOldIsReplacedWithoutAJob(t *testing.T) {
	t.Parallel()
	b := optedHost(t, Options{Recycle: Recycle{Age: 200 * time.Millisecond}}, only(job.Shared))
	a, err := b.run(t.Context(), "echo")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "another instance", func() bool { p := b.ready(); return len(p) == 1 && p[0] != a.PID })
	eventually(t, "end of the first", func() bool { return gone(a.PID) })
}

func TestOldInstanceGoesOnWhileANewOneCannotBeStarted(t *testing.T) {
	t.Parallel()
	var flag string
	b := optedHost(t, Options{Recycle: Recycle{Jobs: 1}}, func(c *Config) {
		flag = c.Dir + "/../flag"
		c.Env = []string{"CHAOS_FLAG=" + flag}
		c.QuarantineFor, c.MaxStartWait = time.Hour, time.Millisecond
		install(t, c.Dir, "grudge", "")
	})
	first, err := b.run(t.Context(), "grudge")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "another instance", func() bool {
		a, err := b.run(t.Context(), "grudge")
		return err == nil && a.PID != first.PID
	})
	place(t, b.dir+"/..", "flag", nil, 0o600) // from now on no start works
	eventually(t, "quarantine", func() bool {
		if _, err := b.run(t.Context(), "grudge"); err != nil {
			t.Fatal(err)
		}
		return b.status("grudge").Counters.Quarantines == 1
	})
	if _, err := b.run(t.Context(), "grudge"); err != nil {
		t.Errorf("in quarantine: %v", err)
	}
}
