package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"geomill/host/internal/job"
)

// confession is the Events of a job that says which processes it has: the
// plugin first. They are killed at the end of the test.
type confession chan []int

func (c confession) Progress(_ float64, message string) {
	var pids []int
	if json.Unmarshal([]byte(message), &pids) == nil {
		select {
		case c <- pids:
		default:
		}
	}
}

func (c confession) Log(slog.Level, string, json.RawMessage) {}

func (c confession) Moved(*job.Process) error { return nil }

// confess runs a process until dismiss is called, and returns once it has said
// which operating-system processes it has.
func (b *bench) confess(id string, grace time.Duration, in map[string]job.Value) (pids []int, done <-chan error, dismiss func()) {
	b.t.Helper()
	p, err := b.host.Process(id)
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	said, ended := make(confession, 1), make(chan error, 1)
	go func() {
		_, err := b.host.Execute(ctx, job.Attempt{JobID: newID(), Number: 1, Process: p, Inputs: in,
			Dir: filepath.Join(b.dir, "..", "job"), Grace: grace}, said)
		ended <- err
	}()
	dismiss = func() { cancel(job.ErrDismissed) }
	b.t.Cleanup(dismiss)
	select {
	case pids = <-said:
	case err := <-ended:
		b.t.Fatalf("%s ended: %v", id, err)
	case <-time.After(patience):
		b.t.Fatalf("%s says nothing", id)
	}
	b.t.Cleanup(func() {
		for _, pid := range pids {
			if !gone(pid) {
				syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	})
	return pids, ended, dismiss
}

func allGone(pids []int) bool {
	return !slices.ContainsFunc(pids, func(pid int) bool { return !gone(pid) })
}

// patientHost is a host on the chaos plugin that leaves a frozen one to others.
func patientHost(t *testing.T) *bench {
	t.Helper()
	cfg := quick(t)
	cfg.KillAfter, cfg.TermAfter, cfg.HeartbeatEvery = time.Hour, time.Hour, time.Hour // whoever waits for these waits too long
	install(t, cfg.Dir, "chaos", "")
	return serve(t, cfg)
}

// TestDismissalLeavesNoProcess is promise 2: whatever a job did to its
// processes, a second after its grace time there are none. A busy machine gets
// several tries.
func TestDismissalLeavesNoProcess(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"brood", "brood-alone", "brood-once", "brood-deaf", "brood-deaf-alone", "brood-deaf-once"} {
		for _, frozen := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s frozen %t", id, frozen), func(t *testing.T) {
				t.Parallel()
				b := patientHost(t)
				late := 2 * time.Second
				for try := 0; try < 6 && late > time.Second; try++ {
					late = b.dismissBrood(id, frozen)
				}
				if late > time.Second {
					t.Errorf("processes lived on for %s after the grace time", late)
				}
				if _, err := b.run(t.Context(), "echo"); err != nil {
					t.Errorf("the next job: %v", err)
				}
			})
		}
	}
}

// dismissBrood returns how long after the grace time of a job, dismissed,
// the last of its processes was gone.
func (b *bench) dismissBrood(id string, frozen bool) (late time.Duration) {
	b.t.Helper()
	const grace = 400 * time.Millisecond
	pids, done, dismiss := b.confess(id, grace, nil)
	if frozen {
		syscall.Kill(pids[0], syscall.SIGSTOP)
	}
	if slices.ContainsFunc(pids, gone) {
		b.t.Fatalf("of %v not all run", pids)
	}
	dismissed := time.Now()
	dismiss()
	eventually(b.t, "end of all processes", func() bool { return allGone(pids) })
	late = time.Since(dismissed) - grace
	if err := <-done; !errors.Is(err, job.ErrDismissed) {
		b.t.Errorf("the job ended with %v", err)
	}
	return late
}

func TestDismissalCallsOffTheStartOfAnInstanceOfItsOwn(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	cfg.Env = []string{"CHAOS_FLAG=" + filepath.Join(cfg.Dir, "..", "flag")}
	install(t, cfg.Dir, "slow", "")
	b := serve(t, cfg)
	place(t, filepath.Dir(cfg.Dir), "flag", nil, 0o600) // from now on it starts for ever
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := b.run(ctx, "once")
		done <- err
	}()
	eventually(t, "start", func() bool { return b.status("slow").State == StateStarting })
	cancel(job.ErrDismissed)
	if err := <-done; !errors.Is(err, job.ErrDismissed) {
		t.Errorf("the job ended with %v", err)
	}
	eventually(t, "end of the start", func() bool { return b.status("slow").State == StateIdle })
	if s := b.status("slow"); s.Crashes != 0 {
		t.Errorf("status: %+v", s)
	}
}

// TestDismissalDuringAStartLeavesNothing dismisses at any moment of a start;
// goleak looks for what is left of it.
func TestDismissalDuringAStartLeavesNothing(t *testing.T) {
	t.Parallel()
	b := chaosHost(t)
	for i := range 25 {
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Duration(i)*time.Millisecond, func() { cancel(job.ErrDismissed) })
		if _, err := b.run(ctx, "once"); err != nil && !errors.Is(err, job.ErrDismissed) {
			t.Error(err)
		}
	}
	eventually(t, "end of all instances", func() bool { return len(b.status("chaos").Instances) == 0 })
	if s := b.status("chaos"); s.Crashes != 0 {
		t.Errorf("status: %+v", s)
	}
}

func TestDismissalOfAWellBehavedJobKeepsItsInstance(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"helper", "helper-alone"} {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			b := patientHost(t)
			first, done, dismiss := b.confess(id, time.Minute, nil)
			dismiss()
			<-done
			second, done, dismiss := b.confess(id, time.Minute, nil)
			dismiss()
			<-done
			if first[0] != second[0] || !gone(first[1]) || !gone(second[1]) {
				t.Errorf("processes: first %v, then %v", first, second)
			}
		})
	}
}

func TestStrayOfADismissedJobEndsWithoutTheOtherJobsOfItsInstance(t *testing.T) {
	t.Parallel()
	b := patientHost(t)
	other, release := b.background("wait")
	pids, done, dismiss := b.confess("helper", time.Minute, map[string]job.Value{"stray": {JSON: json.RawMessage("true")}})
	dismiss()
	<-done
	if next, err := b.run(t.Context(), "echo"); err != nil || next.PID == pids[0] {
		t.Errorf("the next job ran in %d of %v: %v", next.PID, pids, err)
	}
	if gone(pids[0]) {
		t.Error("the instance was stopped though another job ran in it")
	}
	release()
	if err := <-other; !errors.Is(err, job.ErrDismissed) {
		t.Errorf("the other job: %v", err)
	}
	eventually(t, "end of all processes", func() bool { return allGone(pids) })
}

func TestNothingOfAnInstanceStaysBehind(t *testing.T) {
	t.Parallel()
	for end, stop := range map[string]func(b *bench, pids []int){
		"crash":  func(_ *bench, pids []int) { syscall.Kill(pids[0], syscall.SIGKILL) },
		"reload": func(b *bench, _ []int) { install(b.t, b.dir, "chaos", "2") },
		"stop":   func(b *bench, _ []int) { b.stop() },
	} {
		t.Run(end, func(t *testing.T) {
			t.Parallel()
			b := chaosHost(t)
			pids, done, dismiss := b.confess("brood-alone", time.Minute, nil)
			stop(b, pids)
			if end == "reload" {
				eventually(t, "new version", func() bool { a, err := b.run(t.Context(), "echo"); return err == nil && a.Version == "2" })
				dismiss()
			}
			<-done
			if end == "crash" {
				// Who has neither the mark nor a parent any more is not to be known.
				pids = slices.Delete(slices.Clone(pids), 4, 5)
			}
			eventually(t, "end of all processes", func() bool { return allGone(pids) })
		})
	}
}

func TestFamilyIsAllThatDescends(t *testing.T) {
	t.Parallel()
	list := []process{{pid: 5, parent: 4}, {pid: 2, parent: 1}, {pid: 4, parent: 2}, {pid: 3, parent: 1}, {pid: 1, parent: 1}, {pid: 6, instance: "x"}}
	for want, root := range map[string]func(process) bool{
		"2 4 5":       func(p process) bool { return p.pid == 2 },
		"6":           func(p process) bool { return p.instance == "x" },
		"":            func(process) bool { return false },
		"1 2 3 4 5 6": func(p process) bool { return p.pid != 2 },
	} {
		var pids []string
		for _, p := range family(list, root) {
			pids = append(pids, fmt.Sprint(p.pid))
		}
		slices.Sort(pids)
		if got := strings.Join(pids, " "); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func BenchmarkCensus(b *testing.B) {
	var c census
	for b.Loop() {
		c.take()
	}
}

func TestAProcessWithoutAMarkIsNobodys(t *testing.T) {
	t.Parallel()
	if (process{pid: 1}).bears("") || (process{instance: "a"}).bears("b") || !(process{instance: "a"}).bears("a") {
		t.Error("a mark is taken for another")
	}
}
