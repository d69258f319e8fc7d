package plugin

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"geomill/host/internal/job"
)

// patient runs a process that ends well once let go, in a host on the chaos
// plugin.
func (b *bench) patient() (outcome <-chan error, letGo func()) {
	b.t.Helper()
	done := make(chan error, 1)
	before := b.status("chaos").Counters.InFlight
	go func() {
		_, err := b.run(b.t.Context(), "patient")
		done <- err
	}()
	eventually(b.t, "the job to run", func() bool { return b.status("chaos").Counters.InFlight == before+1 })
	return done, func() { place(b.t, filepath.Dir(b.dir), "flag", nil, 0o600) }
}

func TestOtherJobsOfAPoisonedInstanceEndWell(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	cfg.HeartbeatEvery, cfg.PoisonGrace = time.Minute, time.Minute
	cfg.Env = []string{"CHAOS_FLAG=" + filepath.Join(cfg.Dir, "..", "flag")}
	install(t, cfg.Dir, "chaos", "")
	b := serve(t, cfg)
	pids, deaf, dismiss := b.confess("brood-deaf", 50*time.Millisecond, nil)
	other, letGo := b.patient()
	dismiss()
	if err := <-deaf; !errors.Is(err, job.ErrDismissed) {
		t.Fatal(err)
	}
	eventually(t, "end of what says that it was started for the job", func() bool { return gone(pids[5]) })
	if next, err := b.run(t.Context(), "echo"); err != nil || next.PID == pids[0] {
		t.Errorf("the next job ran in %d of %v: %v", next.PID, pids, err)
	}
	if gone(pids[0]) {
		t.Error("the instance was stopped though another job ran in it")
	}
	letGo()
	if err := <-other; err != nil {
		t.Errorf("the other job: %v", err)
	}
	eventually(t, "end of all processes", func() bool { return allGone(pids) })
	if s := b.status("chaos"); s.Crashes != 0 {
		t.Errorf("it counts as a crash: %+v", s)
	}
}

func TestOtherJobsOfAPoisonedInstanceHaveTheirTime(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	cfg.HeartbeatEvery = time.Minute
	cfg.Options = func(string) Options { return Options{PoisonGrace: 100 * time.Millisecond} }
	install(t, cfg.Dir, "chaos", "")
	b := serve(t, cfg)
	pids, deaf, dismiss := b.confess("brood-deaf", 50*time.Millisecond, nil)
	other, _ := b.background("wait")
	dismiss()
	if err := <-deaf; !errors.Is(err, job.ErrDismissed) {
		t.Fatal(err)
	}
	if f := failureOf(t, <-other); f.Kind != job.PluginDied || f.Detail != errPoisoned.Error() {
		t.Errorf("the other job: %+v", f)
	}
	eventually(t, "end of all processes", func() bool { return allGone(pids) })
	eventually(t, "the reason", func() bool { return b.status("chaos").Counters.Ends["poisoned"] == 1 })
	if s := b.status("chaos"); s.Crashes != 0 {
		t.Errorf("it counts as a crash: %+v", s)
	}
}

func TestTheGraceOfPoisonedInstancesIsTheOperators(t *testing.T) {
	t.Parallel()
	c := &Config{PoisonGrace: time.Minute, Idle: time.Hour}
	for want, o := range map[time.Duration]Options{
		time.Minute: {}, time.Second: {PoisonGrace: time.Second}, 0: {PoisonGrace: -1},
	} {
		if got := o.poisonGrace(c); got != want {
			t.Errorf("%+v: %s", o, got)
		}
	}
}
