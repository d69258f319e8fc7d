package job_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"geomill/host/internal/job"
	"geomill/host/internal/job/jobtest"
	"geomill/sdk/ogc"
)

// retried has the process run again so often, without much delay.
func retried(t testing.TB, times int) func(*job.Config) {
	return func(c *job.Config) {
		p := process(t)
		p.Policy.RetryAttempts, p.Policy.RetryBackoff = times, time.Millisecond
		c.Catalog = catalog{p}
	}
}

var errDeath = &job.Failure{Kind: job.PluginDied, Detail: "the plugin ended unexpectedly (signal: killed)", Crash: &job.Crash{Signal: "SIGKILL"}}

func TestCheckpointIsKeptBetweenAttemptsAndNothingElseIs(t *testing.T) {
	t.Parallel()
	var attempts atomic.Int32
	b := start(t, func(_ context.Context, a job.Attempt, _ job.Events) (map[string]job.Value, error) {
		note, scratch := filepath.Join(a.Checkpoint, "note"), filepath.Join(a.Dir, "scratch")
		if attempts.Add(1) == 1 {
			return nil, errors.Join(os.MkdirAll(a.Checkpoint, 0o700), os.WriteFile(note, []byte("half way"), 0o600),
				os.MkdirAll(a.Dir, 0o700), os.WriteFile(scratch, nil, 0o600), errDeath)
		}
		text, err := os.ReadFile(note)
		if err != nil || string(text) != "half way" {
			return nil, &job.Failure{Kind: job.ProcessFailed, Detail: "no checkpoint"}
		}
		if _, err := os.Stat(filepath.Join(filepath.Dir(a.Dir), "1")); !errors.Is(err, os.ErrNotExist) {
			return nil, &job.Failure{Kind: job.ProcessFailed, Detail: "the first attempt's files are there"}
		}
		return map[string]job.Value{"out": a.Inputs["in"]}, nil
	}, retried(t, 1))
	j := b.reaches(t, b.submit(t, async(`"x"`)).ID, ogc.Successful)
	if j.Attempt != 2 || j.PluginCrashes != 1 {
		t.Errorf("job %+v", j)
	}
	b.stop()
	if left, _ := os.ReadDir(b.dir); len(left) > 0 {
		t.Errorf("left in the directory: %v", left)
	}
}

func TestCheckpointIsOnlyOfferedToWhatMayRunAgain(t *testing.T) {
	t.Parallel()
	offered := make(chan string, 1)
	note := func(_ context.Context, a job.Attempt, _ job.Events) (map[string]job.Value, error) {
		offered <- a.Checkpoint
		return map[string]job.Value{"out": a.Inputs["in"]}, nil
	}
	b := start(t, note, retried(t, 1))
	b.submit(t, request(`"x"`))
	if dir := <-offered; dir != "" {
		t.Errorf("a sync execution has %s", dir)
	}
	id := b.submit(t, async(`"x"`)).ID
	if dir := <-offered; dir != filepath.Join(b.dir, id, "checkpoint") {
		t.Errorf("a job that may run again has %q", dir)
	}
	b = start(t, note, retried(t, 0))
	b.submit(t, async(`"x"`))
	if dir := <-offered; dir != "" {
		t.Errorf("a job that may not run again has %s", dir)
	}
}

func TestAJobThatKillsItsPluginThreeTimesFails(t *testing.T) {
	t.Parallel()
	b := start(t, func(context.Context, job.Attempt, job.Events) (map[string]job.Value, error) { return nil, errDeath }, retried(t, 9))
	j := b.reaches(t, b.submit(t, async(`"x"`)).ID, ogc.Failed)
	if j.Attempt != 3 || j.PluginCrashes != 3 || !strings.HasSuffix(j.Message, "that happened 3 times while this job ran, so it is not run again") {
		t.Errorf("job %+v", j)
	}
	if e := j.Exception; e.Type != job.TypePluginCrashed || e.Attempt != 3 || e.Signal != "SIGKILL" || e.Instance != "urn:uuid:"+j.ID {
		t.Errorf("exception %+v", e)
	}
}

func TestAttemptsThatDidNotBeginAreNotCounted(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	b := start(t, func(_ context.Context, a job.Attempt, _ job.Events) (map[string]job.Value, error) {
		if calls.Add(1) == 1 {
			return nil, &job.UnavailableError{ProcessID: "p", Reason: "full"}
		}
		return map[string]job.Value{"out": a.Inputs["in"]}, nil
	}, retried(t, 0))
	if j := b.reaches(t, b.submit(t, async(`"x"`)).ID, ogc.Successful); j.Attempt != 1 {
		t.Errorf("attempt %d", j.Attempt)
	}
}

func TestAJobWithoutAnAttemptThatBeganHasNoStart(t *testing.T) {
	t.Parallel()
	b := start(t, func(context.Context, job.Attempt, job.Events) (map[string]job.Value, error) {
		return nil, &job.UnavailableError{ProcessID: "p", Reason: "full"}
	}, retried(t, 0), func(c *job.Config) { c.QueueTimeout = 200 * time.Millisecond })
	j := b.reaches(t, b.submit(t, async(`"x"`)).ID, ogc.Failed)
	if j.Attempt != 0 || !j.Started.IsZero() || j.Exception.Type != job.TypeQueueTimeout {
		t.Errorf("attempt %d, started %s, %+v", j.Attempt, j.Started, j.Exception)
	}
}

func TestARequestSaysHowLongItsAttemptsMayTake(t *testing.T) {
	t.Parallel()
	started := make(chan string, 1)
	b := start(t, hang(started), func(c *job.Config) { c.Timeout, c.MaxTimeout = time.Minute, time.Hour })
	r := request(`"x"`)
	r.Prefer.Timeout = 30 * time.Millisecond
	_, err := b.Submit(t.Context(), r)
	<-started
	f, ok := errors.AsType[*job.FailedError](err)
	if !ok || f.Exception.Type != job.TypeTimeout || f.Exception.Status != 504 || f.Exception.Timeout != 0.03 || !strings.HasSuffix(f.Exception.Detail, ", 30ms") {
		t.Errorf("sync: %v, %+v", err, f)
	}
	r.Prefer.Async = true
	x, err := b.Submit(t.Context(), r)
	if err != nil || x.Timeout != r.Prefer.Timeout {
		t.Fatalf("%+v, %v", x, err)
	}
	<-started
	j := b.reaches(t, x.Job.ID, ogc.Failed)
	f.Exception.Instance = "urn:uuid:" + j.ID // the rest is the same
	if j.Exception.Type != f.Exception.Type || j.Exception.Detail != f.Exception.Detail || j.Exception.Instance != f.Exception.Instance {
		t.Errorf("async: %+v, sync: %+v", j.Exception, f.Exception)
	}
	o, err := b.store.Order(t.Context(), j.ID)
	if err != nil || o.Timeout != r.Prefer.Timeout {
		t.Errorf("on disk: %+v, %v", o, err)
	}
	r.Prefer.Timeout = 2 * time.Hour
	if x, err = b.Submit(t.Context(), r); err != nil || x.Timeout != time.Hour {
		t.Errorf("beyond the operator's bound: %+v, %v", x, err)
	}
}

// TestAJobWhoseLeaseIsLostEndsOrIsRunAgain has a queue that forgets its leases
// at once, as after the machine has slept.
func TestAJobWhoseLeaseIsLostEndsOrIsRunAgain(t *testing.T) {
	t.Parallel()
	var attempts atomic.Int32
	b := &bench{store: jobtest.NewMemoryStore(t), queue: jobtest.NewMemoryQueue(100, 5*time.Millisecond), dir: t.TempDir()}
	b.open(t, func(_ context.Context, a job.Attempt, _ job.Events) (map[string]job.Value, error) {
		time.Sleep(20 * time.Millisecond) // longer than the lease
		if attempts.Add(1) == 1 {
			return nil, errDeath
		}
		return map[string]job.Value{"out": a.Inputs["in"]}, nil
	}, retried(t, 1))
	if j := b.reaches(t, b.submit(t, async(`"x"`)).ID, ogc.Successful); j.Attempt != 2 {
		t.Errorf("job %+v", j)
	}
}

// TestWhateverACrashLeftIsSettled has a store and a directory as a host may leave
// them that is killed at any moment of a job.
func TestWhateverACrashLeftIsSettled(t *testing.T) {
	t.Parallel()
	const text = `"the input"`
	for name, c := range map[string]struct {
		change func(*job.Job)
		file   string // where the crash left the input
		want   ogc.Status
	}{
		"accepted":                    {nil, "in/in", ogc.Successful},
		"accepted, inputs lent":       {nil, "1/in/in", ogc.Successful},
		"accepted, inputs lent again": {func(j *job.Job) { j.Attempt = 1 }, "2/in/in", ogc.Successful},
		"running":                     {func(j *job.Job) { j.Status, j.Attempt = ogc.Running, 1 }, "1/in/in", ogc.Failed},
		"running, inputs not lent":    {func(j *job.Job) { j.Status, j.Attempt, j.Retries = ogc.Running, 1, 1 }, "in/in", ogc.Successful},
		"running, may run again":      {func(j *job.Job) { j.Status, j.Attempt, j.Retries = ogc.Running, 1, 1 }, "1/in/in", ogc.Successful},
		"running, host not in policy": {func(j *job.Job) {
			j.Status, j.Attempt, j.Retries, j.RetryOn = ogc.Running, 1, 1, []job.FailureKind{job.PluginDied}
		}, "1/in/in", ogc.Failed},
		"running, in the third crash":  {func(j *job.Job) { j.Status, j.Attempt, j.Retries, j.HostCrashes = ogc.Running, 3, 9, 2 }, "3/in/in", ogc.Failed},
		"running, in the second crash": {func(j *job.Job) { j.Status, j.Attempt, j.Retries, j.HostCrashes = ogc.Running, 2, 9, 1 }, "2/in/in", ogc.Successful},
		"sync, accepted":               {func(j *job.Job) { j.Sync = true }, "in/in", ogc.Failed},
		"sync, running":                {func(j *job.Job) { j.Sync, j.Status, j.Attempt, j.Retries = true, ogc.Running, 1, 1 }, "1/in/in", ogc.Failed},
		"successful, not cleaned up":   {func(j *job.Job) { j.Status, j.Attempt = ogc.Successful, 1 }, "1/in/in", ogc.Successful},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			read := func(_ context.Context, a job.Attempt, _ job.Events) (map[string]job.Value, error) {
				if got, err := os.ReadFile(a.Inputs["in"].File); err != nil || string(got) != text {
					return nil, &job.Failure{Kind: job.ProcessFailed, Detail: "the input is not there"}
				}
				return map[string]job.Value{"out": {JSON: json.RawMessage(`"done"`)}}, nil
			}
			b := start(t, read)
			b.stop()
			const id = "01890a5d-ac96-774b-bcce-b302099a8057"
			dir := filepath.Join(b.dir, id)
			file := filepath.Join(dir, c.file)
			// What an older attempt left, and a checkpoint, must not be in the way.
			for _, f := range []string{file, filepath.Join(dir, "0", "out", "old"), filepath.Join(dir, "checkpoint", "note")} {
				if err := errors.Join(os.MkdirAll(filepath.Dir(f), 0o700), os.WriteFile(f, []byte(text), 0o600)); err != nil {
					t.Fatal(err)
				}
			}
			now := time.Now().Add(time.Hour) // the clock went back meanwhile
			j := job.Job{ID: id, ProcessID: "p", Status: ogc.Accepted, Created: now, Updated: now, Backoff: time.Millisecond}
			if c.change != nil {
				c.change(&j)
			}
			o := job.Order{Inputs: map[string]job.Value{"in": {File: filepath.Join(dir, "in", "in"), Size: int64(len(text))}}}
			if _, err := b.store.Create(t.Context(), j, o); err != nil {
				t.Fatal(err)
			}
			b.open(t, read)
			end := b.reaches(t, id, c.want)
			if e := end.Exception; c.want == ogc.Failed && (e.Type != job.TypeHostCrashed || e.Attempt != j.Attempt) {
				t.Errorf("exception %+v", e)
			}
			if end.Updated.Before(j.Updated) {
				t.Errorf("updated %s, before %s", end.Updated, j.Updated)
			}
			b.stop()
			if left, _ := os.ReadDir(b.dir); len(left) > 0 {
				t.Errorf("left in the directory: %v", left)
			}
		})
	}
}
