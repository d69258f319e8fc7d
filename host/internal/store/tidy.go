package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	badger "github.com/dgraph-io/badger/v4"
)

// tidiedAtOnce is how many directories are looked at between two looks at the
// context.
const tidiedAtOnce = 256

// Tidy implements job.Archive. Marks let Open settle what a killed host left;
// this finds what is left without a mark, as when the machine lost its power.
func (s *Store) Tidy(ctx context.Context) (removed int, err error) {
	dir, err := os.Open(s.path(resultsDir))
	if err != nil {
		return 0, fmt.Errorf("look for orphaned outputs: %w", err)
	}
	defer dir.Close()
	for {
		entries, err := dir.ReadDir(tidiedAtOnce)
		if errors.Is(err, io.EOF) {
			return removed, nil
		}
		if err == nil {
			err = ctx.Err()
		}
		for _, e := range entries {
			if err != nil {
				break
			}
			var orphan bool
			if orphan, err = s.tidyJob(e.Name()); orphan {
				removed++
			}
		}
		if err != nil {
			return removed, fmt.Errorf("look for orphaned outputs: %w", err)
		}
	}
}

// tidyJob removes what is in a directory of outputs if no record leads there.
func (s *Store) tidyJob(name string) (orphan bool, err error) {
	i, ok := parseID(name)
	if !ok || s.holds.keeps(i) {
		return false, nil
	}
	final := false
	err = s.view(func(txn *badger.Txn) error {
		j, err := readJob(txn, i)
		final = err == nil && j.Status.Final()
		return err
	})
	switch {
	case errors.Is(err, badger.ErrKeyNotFound):
		return true, s.removeOrphan(i, "")
	case err != nil || !final: // an active job may be about to link its outputs
		return false, err
	}
	linked, err := s.linkedDirs(i)
	if err != nil {
		return false, err
	}
	subs, err := os.ReadDir(s.path(resultsDir, name))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	for _, sub := range subs {
		if err == nil && !linked[sub.Name()] {
			orphan, err = true, s.removeOrphan(i, sub.Name())
		}
	}
	return orphan, err
}

func (s *Store) removeOrphan(i id, sub string) error {
	if s.holds.keeps(i) { // its record went between two looks
		return nil
	}
	if err := s.mark(i, sub); err != nil {
		return err
	}
	s.discard(i, sub)
	return nil
}
