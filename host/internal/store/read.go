package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	badger "github.com/dgraph-io/badger/v4"

	"geomill/host/internal/job"
)

// Get implements job.Store.
func (s *Store) Get(ctx context.Context, jobID string) (j job.Job, err error) {
	err = s.read(ctx, jobID, func(txn *badger.Txn, i id) error {
		j, err = readJob(txn, i)
		return err
	})
	return j, err
}

// Order implements job.Store.
func (s *Store) Order(ctx context.Context, jobID string) (o job.Order, err error) {
	err = s.read(ctx, jobID, func(txn *badger.Txn, i id) error {
		o, err = s.readOrder(txn, i)
		return err
	})
	return o, err
}

// readOrder fails with badger.ErrKeyNotFound when there is no such job.
func (s *Store) readOrder(txn *badger.Txn, i id) (o job.Order, err error) {
	item, err := txn.Get(orderKey(i))
	if err != nil {
		return o, err
	}
	if err := item.Value(func(b []byte) error { return decodeOrder(i, b, &o) }); err != nil {
		return o, err
	}
	s.locate(o)
	return o, nil
}

// Output implements job.Store.
func (s *Store) Output(ctx context.Context, jobID, name string) (v job.Value, err error) {
	err = s.read(ctx, jobID, func(txn *badger.Txn, i id) error {
		v, err = readOutput(txn, i, name)
		if !errors.Is(err, badger.ErrKeyNotFound) {
			return err
		}
		if _, err := txn.Get(jobKey(i)); err != nil {
			return err
		}
		return job.ErrNotAvailable
	})
	if err == nil && v.File != "" {
		v.File = filepath.Join(s.config.Dir, v.File)
	}
	return v, err
}

// read runs get for a job and tells absence from deletion.
func (s *Store) read(ctx context.Context, jobID string, get func(txn *badger.Txn, i id) error) error {
	i, ok := parseID(jobID)
	if !ok {
		return job.ErrNoSuchJob
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	err := s.view(func(txn *badger.Txn) error {
		err := get(txn, i)
		if !errors.Is(err, badger.ErrKeyNotFound) {
			return err
		}
		gone, err := exists(txn, tombstoneKey(i))
		switch {
		case err != nil:
			return err
		case gone:
			return job.ErrGone
		}
		return job.ErrNoSuchJob
	})
	switch err {
	case nil, job.ErrNoSuchJob, job.ErrGone, job.ErrNotAvailable:
		return err
	}
	return fmt.Errorf("read job %s: %w", jobID, err)
}

// readJob fails with badger.ErrKeyNotFound when there is no such job.
func readJob(txn *badger.Txn, i id) (job.Job, error) {
	item, err := txn.Get(jobKey(i))
	if err != nil {
		return job.Job{}, err
	}
	return itemJob(i, item)
}

func itemJob(i id, item *badger.Item) (j job.Job, err error) {
	err = item.Value(func(b []byte) error {
		j, err = decodeRecord(i, b)
		return err
	})
	return j, err
}

// readOutput fails with badger.ErrKeyNotFound when there is no such output. The
// path of a file is relative.
func readOutput(txn *badger.Txn, i id, name string) (v job.Value, err error) {
	item, err := txn.Get(outputKey(i, name))
	if err != nil {
		return job.Value{}, err
	}
	err = item.Value(func(b []byte) error {
		v, err = decodeOutput(b)
		return err
	})
	return v, err
}
