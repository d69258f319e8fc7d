package job_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"

	"geomill/host/internal/job"
	"geomill/host/internal/job/jobtest"
	"geomill/sdk/ogc"
)

// tardyStore takes the first write of a progress when the next write comes, and
// says meanwhile that it failed.
type tardyStore struct {
	*jobtest.MemoryStore
	mu      sync.Mutex
	late    *job.Job
	refused chan struct{}
}

func (s *tardyStore) Update(ctx context.Context, j job.Job, outputs map[string]job.Value) (job.Job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.late == nil && j.Progress > 0 {
		s.late = &j
		close(s.refused)
		return job.Job{}, errors.New("nobody knows")
	}
	if s.late != nil && s.late.ID == j.ID {
		if _, err := s.MemoryStore.Update(ctx, *s.late, nil); err != nil {
			return job.Job{}, err
		}
		s.late.ID = ""
	}
	return s.MemoryStore.Update(ctx, j, outputs)
}

func TestAProgressThatIsWrittenLateDoesNotKeepItsJobRunning(t *testing.T) {
	t.Parallel()
	tardy := &tardyStore{refused: make(chan struct{})}
	b := start(t, func(_ context.Context, _ job.Attempt, ev job.Events) (map[string]job.Value, error) {
		ev.Progress(10, "")
		<-tardy.refused
		return map[string]job.Value{"out": {JSON: json.RawMessage(`"x"`)}}, nil
	}, func(c *job.Config) {
		tardy.MemoryStore = c.Store.(*jobtest.MemoryStore)
		c.Store = tardy
	})
	b.reaches(t, b.submit(t, async(`"x"`)).ID, ogc.Successful)
}
