package store

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	badger "github.com/dgraph-io/badger/v4"

	"geomill/host/internal/job"
)

func endedIndex(t tally) []byte {
	return append(append(append([]byte{endedPrefix}, t.process...), 0), t.status)
}

// endedKey sorts the finished jobs of a tally as they ended.
func endedKey(i id, j *job.Job) []byte {
	return idKey(binary.BigEndian.AppendUint64(endedIndex(tallyOf(j)), j.Revision), i)
}

// endedJob is what a key of endedPrefix says.
type endedJob struct {
	revision uint64
	id       id
}

// Ended implements job.Archive. It reads at most limit keys of each group.
func (s *Store) Ended(ctx context.Context, groups []job.Group, after uint64, limit int) (jobs []job.Job, err error) {
	err = s.view(func(txn *badger.Txn) error {
		var found []endedJob
		it := newIterator(txn, []byte{endedPrefix}, false)
		defer it.Close()
		for _, g := range groups {
			if err := ctx.Err(); err != nil {
				return err
			}
			found = append(found, s.endedOf(it, tally{g.ProcessID, statusByte(g.Status)}, after, limit)...)
		}
		slices.SortFunc(found, func(a, b endedJob) int { return cmp.Compare(a.revision, b.revision) })
		for _, f := range found[:min(limit, len(found))] {
			j, err := readJob(txn, f.id)
			if errors.Is(err, badger.ErrKeyNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			jobs = append(jobs, j)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list ended jobs: %w", err)
	}
	return jobs, nil
}

// endedOf returns the first jobs of a tally above a revision.
func (s *Store) endedOf(it *badger.Iterator, t tally, after uint64, limit int) (found []endedJob) {
	prefix := endedIndex(t)
	s.memory.RLock()
	first := s.firstEnded[t]
	s.memory.RUnlock()
	fromStart := after < first || after == 0
	it.Seek(binary.BigEndian.AppendUint64(slices.Clone(prefix), max(after+1, first)))
	for ; len(found) < limit && it.ValidForPrefix(prefix); it.Next() {
		key := it.Item().Key()
		found = append(found, endedJob{binary.BigEndian.Uint64(key[len(prefix):]), keyID(key)})
	}
	if fromStart && len(found) > 0 {
		s.memory.Lock()
		s.firstEnded[t] = max(s.firstEnded[t], found[0].revision)
		s.memory.Unlock()
	}
	return found
}
