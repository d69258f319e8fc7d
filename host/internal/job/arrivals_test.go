package job_test

import (
	"context"
	"testing"

	"geomill/host/internal/job"
	"geomill/host/internal/job/jobtest"
	"geomill/sdk/ogc"
)

// panickyStore panics instead of creating the first job.
type panickyStore struct {
	*jobtest.MemoryStore
	panicked bool
}

func (s *panickyStore) Create(ctx context.Context, j job.Job, o job.Order) (job.Job, error) {
	if !s.panicked {
		s.panicked = true
		panic("the first job")
	}
	return s.MemoryStore.Create(ctx, j, o)
}

func TestARequestThatPanicsLeavesItsPlace(t *testing.T) {
	t.Parallel()
	b := start(t, echo, func(c *job.Config) {
		c.QueueLimit, c.CallerLimit = 1, 1
		c.Store = &panickyStore{MemoryStore: c.Store.(*jobtest.MemoryStore)}
	})
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		_, _ = b.Submit(t.Context(), async(`"x"`))
	}()
	b.reaches(t, b.submit(t, async(`"x"`)).ID, ogc.Successful)
}
