package jobtest

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"slices"

	"geomill/host/internal/job"
)

var _ job.Archive = (*MemoryStore)(nil)

// Usage implements job.Archive.
func (s *MemoryStore) Usage() job.Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := job.Usage{Finished: map[job.Group]job.Kept{}, Revision: s.revision}
	for _, m := range s.jobs {
		if !m.job.Status.Final() {
			u.Active += m.job.Size()
			continue
		}
		g := job.Group{ProcessID: m.job.ProcessID, Status: m.job.Status}
		u.Finished[g] = u.Finished[g].Add(job.Kept{Jobs: 1, Bytes: m.job.Size()})
	}
	for id, size := range s.left {
		if s.held[id] > 0 {
			u.Held += size
		}
	}
	return u
}

// Ended implements job.Archive.
func (s *MemoryStore) Ended(ctx context.Context, groups []job.Group, after uint64, limit int) (jobs []job.Job, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.jobs {
		g := job.Group{ProcessID: m.job.ProcessID, Status: m.job.Status}
		if m.job.Status.Final() && m.job.Revision > after && slices.Contains(groups, g) {
			jobs = append(jobs, clone(m.job))
		}
	}
	slices.SortFunc(jobs, func(a, b job.Job) int { return cmp.Compare(a.Revision, b.Revision) })
	return jobs[:min(limit, len(jobs))], nil
}

// Remove implements job.Archive.
func (s *MemoryStore) Remove(ctx context.Context, jobs []job.Job) (removed []string, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for _, j := range jobs {
		if j.Status.Final() && s.Delete(ctx, j.ID, j.Revision) == nil {
			removed = append(removed, j.ID)
		}
	}
	return removed, nil
}

// Hold implements job.Archive.
func (s *MemoryStore) Hold(id string) (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held[id]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.held[id]--; s.held[id] > 0 {
			return
		}
		delete(s.held, id)
		if _, removed := s.left[id]; removed {
			delete(s.left, id)
			_ = os.RemoveAll(filepath.Join(s.dir, id)) // the test's directory goes in any case
		}
	}
}

// Tidy implements job.Archive.
func (s *MemoryStore) Tidy(ctx context.Context) (removed int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	dirs, err := os.ReadDir(s.dir)
	for _, d := range dirs {
		if err == nil && s.jobs[d.Name()] == nil && s.held[d.Name()] == 0 {
			removed++
			err = os.RemoveAll(filepath.Join(s.dir, d.Name()))
		}
	}
	return removed, err
}
