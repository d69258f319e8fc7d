package job_test

import (
	"context"
	"sync/atomic"
	"testing"

	"geomill/host/internal/job"
	"geomill/host/internal/job/jobtest"
	"geomill/sdk/ogc"
)

// fullStore takes no changes while it is told so.
type fullStore struct {
	*jobtest.MemoryStore
	full    atomic.Bool
	refused chan struct{} // gets one when it is not full already
}

func (s *fullStore) Update(ctx context.Context, j job.Job, outputs map[string]job.Value) (job.Job, error) {
	if s.full.Load() {
		select {
		case s.refused <- struct{}{}:
		default:
		}
		return job.Job{}, job.ErrNoSpace
	}
	return s.MemoryStore.Update(ctx, j, outputs)
}

func startFull(t *testing.T, e executor) (*bench, *fullStore) {
	full := &fullStore{refused: make(chan struct{}, 1)}
	b := start(t, e, func(c *job.Config) {
		full.MemoryStore = c.Store.(*jobtest.MemoryStore)
		c.Store = full
	})
	return b, full
}

func TestAnEndIsWrittenOnceThereIsRoomAgain(t *testing.T) {
	t.Parallel()
	started, release := make(chan struct{}), make(chan struct{})
	b, full := startFull(t, func(context.Context, job.Attempt, job.Events) (map[string]job.Value, error) {
		close(started)
		<-release
		return nil, &job.Failure{Kind: job.ProcessFailed, Detail: "it went wrong"}
	})
	id := b.submit(t, async(`"x"`)).ID
	within(t, started, "the attempt")
	full.full.Store(true)
	close(release)
	within(t, full.refused, "the end to be refused")
	if j, err := b.store.Get(t.Context(), id); err != nil || j.Status != ogc.Running {
		t.Errorf("%s, %v", j.Status, err)
	}
	full.full.Store(false)
	if j := b.reaches(t, id, ogc.Failed); j.Message != "it went wrong" {
		t.Errorf("message %q", j.Message)
	}
}
