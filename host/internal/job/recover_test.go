package job_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

var errCrash = &job.Failure{Kind: job.PluginDied, Detail: "the plugin ended unexpectedly (exit status 2)"}

func TestJobIsRunAgainWhenItsPluginDied(t *testing.T) {
	t.Parallel()
	large := `"` + strings.Repeat("x", 300<<10) + `"`
	var attempts atomic.Int32
	b := start(t, func(_ context.Context, a job.Attempt, _ job.Events) (map[string]job.Value, error) {
		text, err := os.ReadFile(a.Inputs["in"].File)
		if err != nil || string(text) != large {
			return nil, &job.Failure{Kind: job.ProcessFailed, Detail: "the input is not there"}
		}
		if attempts.Add(1) == 1 {
			return nil, errCrash
		}
		return map[string]job.Value{"out": {JSON: json.RawMessage(`"done"`)}}, nil
	})
	id := b.submit(t, async(large)).ID
	j := b.reaches(t, id, ogc.Successful)
	if j.Attempt != 2 {
		t.Errorf("it took %d attempts", j.Attempt)
	}
	b.stop()
	if left, _ := os.ReadDir(b.dir); len(left) > 0 {
		t.Errorf("left in the directory: %v", left)
	}
}

func TestJobThatKillsItsPluginEachTimeFails(t *testing.T) {
	t.Parallel()
	b := start(t, func(context.Context, job.Attempt, job.Events) (map[string]job.Value, error) { return nil, errCrash })
	j := b.reaches(t, b.submit(t, async(`"x"`)).ID, ogc.Failed)
	if j.Attempt != 2 || !strings.Contains(j.Exception.Detail, "exit status 2") {
		t.Errorf("job %+v, exception %+v", j, j.Exception)
	}
}

// crashed leaves a store as a host leaves it that was killed: one job runs,
// with the retries given, and one waits.
func crashed(t *testing.T, retries int) (b *bench, running, queued string) {
	t.Helper()
	started := make(chan string, 1)
	b = start(t, hang(started), func(c *job.Config) { c.Slots = 1 })
	running = b.submit(t, async(`"running"`)).ID
	<-started
	queued = b.submit(t, async(`"queued"`)).ID
	j, err := b.store.Get(t.Context(), running)
	if err != nil {
		t.Fatal(err)
	}
	j.Retries = retries
	if j, err = b.store.Update(t.Context(), j, nil); err != nil {
		t.Fatal(err)
	}
	b.stop()
	// What the stopping host wrote about the running job is undone.
	if n, err := b.store.Get(t.Context(), running); err != nil {
		t.Fatal(err)
	} else {
		j.Revision = n.Revision
	}
	if _, err := b.store.Update(t.Context(), j, nil); err != nil {
		t.Fatal(err)
	}
	return b, running, queued
}

func TestCrashOfTheHostLosesNoAcceptedJob(t *testing.T) {
	t.Parallel()
	b, running, queued := crashed(t, 0)
	b.open(t, echo)
	b.reaches(t, queued, ogc.Successful)
	j := b.reaches(t, running, ogc.Failed)
	if !strings.Contains(j.Exception.Detail, "server crashed") {
		t.Errorf("exception %+v", j.Exception)
	}
}

func TestRunningJobIsRunAgainAfterACrashWhenThatIsSafe(t *testing.T) {
	t.Parallel()
	b, running, queued := crashed(t, 1)
	b.open(t, echo)
	b.reaches(t, queued, ogc.Successful)
	if j := b.reaches(t, running, ogc.Successful); j.Attempt != 2 {
		t.Errorf("attempt %d", j.Attempt)
	}
}

func TestStopLeavesARetryableJobForTheNextHost(t *testing.T) {
	t.Parallel()
	started := make(chan string, 1)
	b := start(t, hang(started))
	id := b.submit(t, async(`"x"`)).ID
	<-started
	b.stop()
	b.reaches(t, id, ogc.Accepted)
	b.open(t, echo)
	b.reaches(t, id, ogc.Successful)
}

func TestOrphanedDirectoriesAreRemovedAtStart(t *testing.T) {
	t.Parallel()
	b := start(t, echo)
	b.stop()
	if err := os.MkdirAll(b.dir+"/01890a5d-ac96-774b-bcce-b302099a8057/1/out", 0o700); err != nil {
		t.Fatal(err)
	}
	b.open(t, echo)
	if left, _ := os.ReadDir(b.dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestDirectoriesThatProcessesMadeForThemselvesAreSwept(t *testing.T) {
	t.Parallel()
	b := start(t, func(_ context.Context, a job.Attempt, _ job.Events) (map[string]job.Value, error) {
		return nil, errors.Join(os.MkdirAll(a.Dir, 0o700), os.WriteFile(a.Dir+"/scratch", nil, 0o600))
	}, func(c *job.Config) { c.SweepEvery = time.Millisecond })
	b.submit(t, request(`"x"`))
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.After(patience); ; {
		if left, _ := os.ReadDir(b.dir); len(left) == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			t.Fatal("the directory stays")
		}
	}
}

func TestWaitAnswersWithResultsOrHandsOver(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	b := start(t, func(_ context.Context, a job.Attempt, _ job.Events) (map[string]job.Value, error) {
		if string(a.Inputs["in"].JSON) == `"slow"` {
			<-release
		}
		return map[string]job.Value{"out": a.Inputs["in"]}, nil
	})
	wait := func(text string, d time.Duration) *job.Execution {
		r := request(text)
		r.Prefer.Wait = &d
		x, err := b.Submit(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	if x := wait(`"quick"`, patience); x.Results == nil || !x.Recorded {
		t.Errorf("quick: %+v", x)
	}
	x := wait(`"slow"`, time.Millisecond)
	if x.Results != nil || x.Job.Status.Final() {
		t.Errorf("slow: %+v", x)
	}
	close(release)
	b.reaches(t, x.Job.ID, ogc.Successful)
}

func TestClientThatLeavesDismissesItsSyncJob(t *testing.T) {
	t.Parallel()
	started := make(chan string, 1)
	b := start(t, hang(started), func(c *job.Config) { c.RecordSync = true })
	ctx, leave := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := b.Submit(ctx, request(`"x"`)); err == nil {
			t.Error("no error for the client that left")
		}
	}()
	id := <-started
	leave()
	within(t, done, "the request to end")
	b.reaches(t, id, ogc.Dismissed)
}

func TestFullQueueRefusesAndRecordsNothing(t *testing.T) {
	t.Parallel()
	started := make(chan string, 1)
	b := start(t, hang(started), func(c *job.Config) { c.Slots = 1 })
	b.submit(t, async(`"x"`))
	<-started
	for range 100 {
		b.submit(t, async(`"x"`))
	}
	if _, err := b.Submit(t.Context(), async(`"x"`)); !errors.Is(err, job.ErrBusy) {
		t.Errorf("error %v", err)
	}
	p, err := b.Jobs(t.Context(), job.Filter{}, job.Cursor{}, 1000)
	if err != nil || len(p.Jobs) != 101 {
		t.Errorf("%d jobs, %v", len(p.Jobs), err)
	}
}

func TestProgressRisesAndStaysBelow100WhileRunning(t *testing.T) {
	t.Parallel()
	reported, release := make(chan struct{}), make(chan struct{})
	b := start(t, func(_ context.Context, a job.Attempt, ev job.Events) (map[string]job.Value, error) {
		ev.Progress(40, "nearly half")
		ev.Progress(10, "")
		close(reported)
		<-release
		ev.Progress(400, "")
		return map[string]job.Value{"out": a.Inputs["in"]}, nil
	})
	id := b.submit(t, async(`"x"`)).ID
	within(t, reported, "progress")
	if j, err := b.Job(t.Context(), id); err != nil || j.Progress != 40 || j.Message != "nearly half" {
		t.Errorf("job %+v, %v", j, err)
	}
	close(release)
	if j := b.reaches(t, id, ogc.Successful); j.Progress != 100 {
		t.Errorf("progress %d at the end", j.Progress)
	}
}
