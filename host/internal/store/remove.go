package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	badger "github.com/dgraph-io/badger/v4"

	"geomill/host/internal/job"
)

// removedAtOnce is how many jobs are deleted in one transaction: more would hold
// up those who write meanwhile.
const removedAtOnce = 256

// removal is a job on its way out.
type removal struct {
	id    id
	job   job.Job
	files bool // some outputs are files
	found bool // planned to go
	gone  bool
}

// Remove implements job.Archive.
func (s *Store) Remove(ctx context.Context, jobs []job.Job) (removed []string, err error) {
	for group := range slices.Chunk(jobs, removedAtOnce) {
		gone, err := s.removeGroup(ctx, group)
		for _, r := range gone {
			if removed = append(removed, r.job.ID); r.files {
				s.removeFiles(r.id, r.job.Size())
			}
		}
		if err != nil {
			return removed, fmt.Errorf("remove jobs: %w", err)
		}
	}
	return removed, nil
}

// removeGroup deletes jobs in as few transactions as hold them, and returns
// those that it has deleted.
func (s *Store) removeGroup(ctx context.Context, jobs []job.Job) (gone []*removal, err error) {
	all := make([]*removal, 0, len(jobs))
	named := make(map[id]bool, len(jobs)) // a job named twice goes, and is counted, once
	for _, j := range jobs {
		if i, ok := parseID(j.ID); ok && j.Status.Final() && !named[i] {
			named[i] = true
			all = append(all, &removal{id: i, job: j})
		}
	}
	if err := s.markRemovals(all); err != nil {
		return nil, err
	}
	for start, end := 0, 0; start < len(all) && err == nil; start = end {
		err = s.submit(ctx, 0, func(b *batch) (e edit, err error) {
			end, err = s.planRemovals(b, all, start, &e)
			return e, err
		})
		if err != nil {
			break
		}
		for _, r := range all[start:end] {
			if r.gone = r.found; r.gone {
				gone = append(gone, r)
			}
		}
	}
	if errors.Is(err, errUnknown) {
		return gone, err // the next Open goes by the marks
	}
	for _, r := range all {
		if r.files && !r.gone {
			s.unmark(r.id, "")
		}
	}
	return gone, err
}

// markRemovals marks the jobs that have files, outside the committer.
func (s *Store) markRemovals(all []*removal) error {
	err := s.view(func(txn *badger.Txn) error {
		for _, r := range all {
			for name := range r.job.Outputs {
				file, err := isFile(txn, outputKey(r.id, name))
				if err != nil {
					return err
				}
				r.files = r.files || file
			}
		}
		return nil
	})
	for _, r := range all {
		if err == nil && r.files {
			err = s.mark(r.id, "")
		}
	}
	return err
}

// isFile reports whether there is an output under a key, and it is a file.
func isFile(txn *badger.Txn, key []byte) (file bool, err error) {
	item, err := txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return false, nil
	}
	if err == nil {
		err = item.Value(func(b []byte) error { file = len(b) > 0 && b[0] == fileOutput; return nil })
	}
	return file, err
}

// planRemovals plans to delete jobs from start on, as many as fit in a write,
// and returns the index after the last.
func (s *Store) planRemovals(b *batch, all []*removal, start int, e *edit) (end int, err error) {
	for end = start; end < len(all); end++ {
		r := all[end]
		if size, keys := e.size(); end > start && (size > maxEditSize/2 || keys+len(r.job.Outputs) > maxEditKeys/2) {
			return end, nil
		}
		stored, err := readRevision(b.txn, r.id)
		if err != nil {
			return end, err
		}
		if r.found = stored == r.job.Revision; !r.found {
			continue
		}
		if err := s.planGone(b.txn, e, r.id, &r.job); err != nil {
			return end, err
		}
		for name := range r.job.Outputs {
			e.deletes = append(e.deletes, outputKey(r.id, name))
		}
	}
	return end, nil
}

// readRevision returns zero, which no job has, when there is no such job.
func readRevision(txn *badger.Txn, i id) (revision uint64, err error) {
	item, err := txn.Get(jobKey(i))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	err = item.Value(func(b []byte) error {
		if len(b) < revisionSize {
			return fmt.Errorf("record of job %s is cut off", i)
		}
		revision = binary.BigEndian.Uint64(b)
		return nil
	})
	return revision, err
}

// planGone adds to an edit that a job goes, with all but its outputs.
func (s *Store) planGone(txn *badger.Txn, e *edit, i id, j *job.Job) error {
	e.deletes = append(append(e.deletes, indexKeys(i, j)...), jobKey(i), orderKey(i))
	if j.Callback {
		if err := planForget(txn, e, i); err != nil {
			return err
		}
	}
	e.sets = append(e.sets, badger.NewEntry(tombstoneKey(i), nil).WithTTL(s.config.TombstoneTTL))
	e.changes = append(e.changes, job.Change{Revision: s.nextRevision(), Job: *j, Deleted: true})
	e.account(j, -1)
	return nil
}

// removeFiles removes the output files of a job that is gone, or leaves that to
// those who read them.
func (s *Store) removeFiles(i id, size int64) {
	if !s.holds.postpone(i, size) {
		s.discard(i, "")
	}
}
