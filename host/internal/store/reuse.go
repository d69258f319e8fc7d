package store

import (
	"context"
	"errors"
	"fmt"

	badger "github.com/dgraph-io/badger/v4"

	"geomill/host/internal/job"
)

// Reusable implements job.Store.
func (s *Store) Reusable(ctx context.Context, digest, pluginHash string) (j job.Job, err error) {
	if err := ctx.Err(); err != nil {
		return job.Job{}, err
	}
	err = s.view(func(txn *badger.Txn) error {
		it := newIterator(txn, equalIndex(digest, pluginHash), false)
		defer it.Close()
		it.Rewind()
		if !it.Valid() {
			return job.ErrNoSuchJob
		}
		j, err = readJob(txn, keyID(it.Item().Key()))
		return err
	})
	if err != nil && !errors.Is(err, job.ErrNoSuchJob) {
		err = fmt.Errorf("read job of digest %s: %w", digest, err)
	}
	return j, err
}
