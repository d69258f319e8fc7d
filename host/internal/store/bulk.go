package store

import (
	"context"
	"fmt"
	"iter"

	"geomill/host/internal/job"
)

// Jobs written by BulkLoad in one transaction, at most.
const (
	bulkJobs = 250
	bulkSize = 256 << 10 // bytes of orders
)

// BulkLoad creates many jobs as they are, in whatever state, with many in each
// transaction. It serves benchmarks and restoring from elsewhere; outputs are not
// among what it restores. It ends at the first error, with the jobs before
// it on disk in part.
func (s *Store) BulkLoad(ctx context.Context, jobs iter.Seq2[job.Job, job.Order]) error {
	var group []*newJob
	var size int
	flush := func() error {
		if len(group) == 0 {
			return nil
		}
		full := group
		group, size = nil, 0
		return s.createAll(ctx, full)
	}
	for j, o := range jobs {
		n, err := prepareNew(j, s.portable(o))
		if err != nil {
			return fmt.Errorf("load job %s: %w", j.ID, err)
		}
		group = append(group, n)
		size += len(n.order)
		if len(group) < bulkJobs && size < bulkSize {
			continue
		}
		if err := flush(); err != nil {
			return err
		}
	}
	return flush()
}

func (s *Store) createAll(ctx context.Context, group []*newJob) error {
	err := s.submit(ctx, s.config.MinFree, func(b *batch) (edit, error) {
		var e edit
		seen := make(map[id]bool, len(group))
		for _, n := range group {
			if seen[n.id] {
				return edit{}, fmt.Errorf("job %s: %w", n.id, job.ErrExists)
			}
			seen[n.id] = true
			if err := s.planCreate(b, n, &e); err != nil {
				return edit{}, fmt.Errorf("job %s: %w", n.id, err)
			}
		}
		return e, nil
	})
	if err != nil {
		return fmt.Errorf("load jobs: %w", err)
	}
	return nil
}
