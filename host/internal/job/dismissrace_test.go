package job_test

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"geomill/host/internal/job"
	"geomill/host/internal/job/jobtest"
	"geomill/sdk/ogc"
)

// TestJobDismissedWhileItIsClaimedNeverStarts dismisses many jobs while they are claimed:
// once a DELETE is answered, no work begins.
func TestJobDismissedWhileItIsClaimedNeverStarts(t *testing.T) {
	t.Parallel()
	var answered sync.Map
	b := start(t, func(ctx context.Context, a job.Attempt, _ job.Events) (map[string]job.Value, error) {
		if _, late := answered.Load(a.JobID); late && ctx.Err() == nil {
			t.Errorf("job %s began after it was dismissed", a.JobID)
		}
		return map[string]job.Value{"out": a.Inputs["in"]}, nil
	}, func(c *job.Config) { c.Slots = 3 })
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 15 {
				x, err := b.Submit(context.Background(), async(`"x"`))
				if err != nil {
					t.Error(err)
					return
				}
				id := x.Job.ID
				j, err := b.Dismiss(context.Background(), id)
				if err != nil || j.Status != ogc.Dismissed {
					t.Errorf("dismiss: %+v, %v", j, err)
				}
				answered.Store(id, true)
			}
		})
	}
	wg.Wait()
	for _, j := range b.listed(t) {
		if j.Status != ogc.Dismissed {
			t.Errorf("job %s is %s", j.ID, j.Status)
		}
	}
}

// ledger counts the callbacks that tell how jobs ended.
type ledger struct {
	*callbacks
	mu   sync.Mutex
	told map[string][]job.Event
}

func (l *ledger) Finish(ctx context.Context, j job.Job, outputs map[string]job.Value, d job.Delivery) (job.Job, error) {
	n, err := l.callbacks.Finish(ctx, j, outputs, d)
	if err == nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.told[j.ID] = append(l.told[j.ID], d.Event)
	}
	return n, err
}

// of returns what was told of a job: at least one callback, for which it waits.
func (l *ledger) of(t *testing.T, id string) []job.Event {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.After(patience); ; {
		l.mu.Lock()
		told := l.told[id]
		l.mu.Unlock()
		if len(told) > 0 {
			return told
		}
		select {
		case <-tick.C:
		case <-end:
			t.Fatal("the subscriber was told nothing")
		}
	}
}

// TestDismissalAndCompletionAgreeEverywhere lets jobs end while several clients
// dismiss them: every answer, later requests and the subscriber tell one story.
func TestDismissalAndCompletionAgreeEverywhere(t *testing.T) {
	t.Parallel()
	told := &ledger{told: map[string][]job.Event{}}
	begun := make(chan string, 1)
	b := start(t, func(ctx context.Context, a job.Attempt, _ job.Events) (map[string]job.Value, error) {
		select {
		case begun <- a.JobID:
		case <-ctx.Done(): // and those before it were not looked for
		}
		return map[string]job.Value{"out": a.Inputs["in"]}, nil // whether it was told to end or not
	}, func(c *job.Config) {
		told.callbacks = &callbacks{MemoryStore: c.Store.(*jobtest.MemoryStore)}
		c.Callbacks = told
	})
	ends := map[job.Event]int{}
	for round := range 200 {
		id := b.submit(t, subscribed(async(`"x"`))).ID
		if round%2 == 0 {
			<-begun // it is about to end
		}
		answers := make(chan error, 3)
		var clients sync.WaitGroup
		for range cap(answers) {
			clients.Go(func() {
				j, err := b.Dismiss(context.Background(), id)
				if err == nil && j.Status != ogc.Dismissed {
					t.Errorf("a DELETE was answered with %s", j.Status)
				}
				answers <- err
			})
		}
		clients.Wait()
		close(answers)
		won := 0
		for err := range answers {
			if err == nil {
				won++
			} else if !errors.Is(err, job.ErrGone) {
				t.Error(err)
			}
		}
		events := told.of(t, id)
		if won == 0 || len(events) != 1 {
			t.Fatalf("%d DELETEs succeeded, the subscriber was told %v", won, events)
		}
		j, err := b.Job(t.Context(), id)
		if gone := errors.Is(err, job.ErrGone); !gone && (err != nil || j.Status != ogc.Dismissed || events[0] != job.OnFailed) {
			t.Fatalf("the subscriber was told %v, a client %s, %v", events, j.Status, err)
		}
		ends[events[0]]++
		select {
		case <-begun: // of a job that was claimed and dismissed at once
		default:
		}
	}
	t.Logf("how they ended: %v", ends)
}

// TestDismissalWinsOverWorkThatIsDoneJustThen answers the DELETE while the
// outputs wait to be written.
func TestDismissalWinsOverWorkThatIsDoneJustThen(t *testing.T) {
	t.Parallel()
	begun := make(chan string)
	b := start(t, func(ctx context.Context, a job.Attempt, _ job.Events) (map[string]job.Value, error) {
		begun <- a.JobID
		<-ctx.Done()
		return map[string]job.Value{"out": a.Inputs["in"]}, nil
	})
	b.submit(t, async(`"x"`))
	id := <-begun
	if j, err := b.Dismiss(t.Context(), id); err != nil || j.Status != ogc.Dismissed {
		t.Errorf("dismiss: %+v, %v", j, err)
	}
	if j, err := b.Job(t.Context(), id); err != nil || j.Status != ogc.Dismissed || len(j.Outputs) > 0 {
		t.Errorf("job: %+v, %v", j, err)
	}
}

// TestRecordedSyncJobEndsWithItsRequest lets requests end at any moment: no job
// is left for which nobody cares.
func TestRecordedSyncJobEndsWithItsRequest(t *testing.T) {
	t.Parallel()
	b := start(t, func(ctx context.Context, _ job.Attempt, _ job.Events) (map[string]job.Value, error) {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}, func(c *job.Config) { c.RecordSync = true })
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			ctx, cancel := context.WithCancel(context.Background())
			time.AfterFunc(time.Duration(i)*10*time.Microsecond, cancel)
			if _, err := b.Submit(ctx, request(`"x"`)); err == nil {
				t.Error("it was answered")
			}
		})
	}
	wg.Wait()
	for _, j := range b.listed(t) {
		if j.Status != ogc.Dismissed {
			t.Errorf("job %s is %s", j.ID, j.Status)
		}
	}
	if left, _ := os.ReadDir(b.dir); len(left) > 0 {
		t.Errorf("left in the directory: %v", left)
	}
}

// TestDismissedRecordedSyncJobIsToldToItsRequest dismisses a job whose request
// still waits, and removes it too.
func TestDismissedRecordedSyncJobIsToldToItsRequest(t *testing.T) {
	t.Parallel()
	begun := make(chan string, 1)
	b := start(t, hang(begun), func(c *job.Config) { c.RecordSync = true })
	for deletes := 1; deletes <= 2; deletes++ {
		answer := make(chan error, 1)
		go func() {
			_, err := b.Submit(context.Background(), request(`"x"`))
			answer <- err
		}()
		id := <-begun
		for range deletes {
			if j, err := b.Dismiss(t.Context(), id); err != nil || j.Status != ogc.Dismissed {
				t.Errorf("dismiss: %+v, %v", j, err)
			}
		}
		if err := <-answer; !errors.Is(err, job.ErrDismissed) {
			t.Errorf("the request: %v", err)
		}
	}
}
