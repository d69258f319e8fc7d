package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"

	badger "github.com/dgraph-io/badger/v4"

	"geomill/host/internal/job"
)

// snapshotChunk is about how many bytes of records Snapshot.Records hands over
// at once; a chunk has at most one value more.
const snapshotChunk = 1 << 20

// ErrSnapshot is the error of Snapshot while another is open.
var ErrSnapshot = errors.New("another snapshot is being taken")

// Snapshot is the store as it was at one moment: all that was acknowledged
// before, and nothing of what came after. It keeps the files that it names until
// Close, and the store from closing; memory does not grow with the store.
type Snapshot struct {
	store  *Store
	txn    *badger.Txn
	closed atomic.Bool
}

// Add takes a part of a snapshot: size bytes of content under a name, a clean
// slash-separated path.
type Add func(name string, size int64, content io.Reader) error

// Snapshot returns the store as it is now. There is one at a time (ErrSnapshot).
func (s *Store) Snapshot() (*Snapshot, error) {
	s.readers.RLock()
	if s.readersOut {
		s.readers.RUnlock()
		return nil, ErrClosed
	}
	if !s.holdFiles() {
		s.readers.RUnlock()
		return nil, ErrSnapshot
	}
	return &Snapshot{store: s, txn: s.db.NewTransaction(false)}, nil
}

// Close lets go of the snapshot. What was removed meanwhile is removed now.
func (n *Snapshot) Close() {
	if n.closed.Swap(true) {
		return
	}
	n.txn.Discard()
	n.store.releaseFiles()
	n.store.readers.RUnlock()
}

// Records hands over every key of the database, in parts that Loader.Records
// takes, named records/<n>. It returns how many jobs there are.
func (n *Snapshot) Records(ctx context.Context, add Add) (jobs int, err error) {
	it := newIterator(n.txn, nil, false)
	defer it.Close()
	var chunk []byte
	var part int
	flush := func() error {
		part++
		err := add(fmt.Sprintf("records/%08d", part), int64(len(chunk)), bytes.NewReader(chunk))
		chunk = chunk[:0]
		return err
	}
	for it.Rewind(); it.Valid(); it.Next() {
		item := it.Item()
		if item.Key()[0] == jobPrefix {
			jobs++
		}
		err := item.Value(func(value []byte) error {
			chunk = appendFrame(chunk, item.Key(), value, item.ExpiresAt())
			return nil
		})
		if err != nil {
			return 0, fmt.Errorf("read key %q: %w", item.Key(), err)
		}
		if len(chunk) < snapshotChunk {
			continue
		}
		if err := errors.Join(ctx.Err(), flush()); err != nil {
			return 0, err
		}
	}
	return jobs, errors.Join(ctx.Err(), flush())
}

// appendFrame adds an entry of the database to a chunk: the lengths of key and
// value, when it expires (seconds, 0 for never), key, value.
func appendFrame(b, key, value []byte, expires uint64) []byte {
	b = binary.AppendUvarint(b, uint64(len(key)))
	b = binary.AppendUvarint(b, uint64(len(value)))
	b = binary.AppendUvarint(b, expires)
	return append(append(b, key...), value...)
}

// Outputs hands over the outputs that are files, under their paths in the store.
func (n *Snapshot) Outputs(ctx context.Context, add Add) error {
	it := newIterator(n.txn, []byte{outputPrefix}, false)
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		var v job.Value
		err := it.Item().Value(func(b []byte) (err error) {
			if len(b) > 0 && b[0] == fileOutput {
				v, err = decodeOutput(b)
			}
			return err
		})
		if err == nil && v.File != "" {
			err = errors.Join(ctx.Err(), n.addOutput(v, add))
		}
		if err != nil {
			key := it.Item().Key()
			return fmt.Errorf("output %s of job %s: %w", outputName(key), keyID(key[:1+len(id{})]), err)
		}
	}
	return nil
}

func (n *Snapshot) addOutput(v job.Value, add Add) error {
	f, err := os.Open(n.store.path(v.File))
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() != v.Size {
		return fmt.Errorf("its file has %d bytes, not the %d that were stored", info.Size(), v.Size)
	}
	return add(filepath.ToSlash(v.File), v.Size, f)
}

// Orders hands over the orders of the jobs that have still to run, or to run
// again after a crash.
func (n *Snapshot) Orders(ctx context.Context, each func(jobID string, o job.Order) error) error {
	it := newIterator(n.txn, []byte{activePrefix}, false)
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		i := keyID(it.Item().Key())
		j, err := readJob(n.txn, i)
		if err == nil && !j.Sync {
			var o job.Order
			if o, err = n.store.readOrder(n.txn, i); err == nil {
				err = errors.Join(ctx.Err(), each(j.ID, o))
			}
		}
		if err != nil {
			return fmt.Errorf("inputs of job %s: %w", i, err)
		}
	}
	return nil
}
