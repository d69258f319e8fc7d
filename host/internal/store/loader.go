package store

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	badger "github.com/dgraph-io/badger/v4"

	"geomill/host/internal/job"
)

const (
	maxFrameKey   = 8 << 10 // bytes
	maxFrameValue = maxEditSize
)

// Loader makes a store of what a Snapshot handed over. Nothing of it is trusted:
// records have to be readable, and lead to no file outside the store and the
// jobs' directories. The directory is of use only after Close has succeeded.
type Loader struct {
	dir string
	db  *badger.DB
	all *badger.WriteBatch
}

// NewLoader begins a new store in a directory that exists. The outputs that are
// files are put there by the caller, under the names that the snapshot gave
// them.
func NewLoader(dir string, log *slog.Logger) (*Loader, error) {
	path := filepath.Join(dir, databaseDir)
	if err := os.Mkdir(path, 0o700); err != nil {
		return nil, fmt.Errorf("begin store: %w", err)
	}
	db, err := badger.Open(databaseOptions(path, log).WithSyncWrites(false))
	if err != nil {
		return nil, fmt.Errorf("begin store: %w", err)
	}
	return &Loader{dir: dir, db: db, all: db.NewWriteBatch()}, nil
}

// Records takes a part that Snapshot.Records gave.
func (l *Loader) Records(r io.Reader) error {
	in := newFrames(r)
	for {
		e, err := readFrame(in)
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = checkEntry(e)
		}
		if err == nil && !derived(e.Key) {
			err = l.all.SetEntry(e)
		}
		if err != nil {
			return fmt.Errorf("load records: %w", err)
		}
	}
}

func newFrames(r io.Reader) *bufio.Reader { return bufio.NewReaderSize(r, 64<<10) }

// readFrame returns a bare io.EOF where the part ends.
func readFrame(in *bufio.Reader) (*badger.Entry, error) {
	var head [3]uint64
	for n := range head {
		v, err := binary.ReadUvarint(in)
		if err == io.EOF && n > 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, err
		}
		head[n] = v
	}
	if head[0] == 0 || head[0] > maxFrameKey || head[1] > maxFrameValue {
		return nil, fmt.Errorf("an entry has a key of %d bytes and a value of %d", head[0], head[1])
	}
	both := make([]byte, head[0]+head[1])
	if _, err := io.ReadFull(in, both); err != nil {
		return nil, io.ErrUnexpectedEOF
	}
	e := badger.NewEntry(both[:head[0]:head[0]], both[head[0]:])
	e.ExpiresAt = head[2]
	return e, nil
}

// checkEntry refuses what this store would not have written, as far as reading it
// later could do harm.
func checkEntry(e *badger.Entry) error {
	kind := e.Key[0]
	switch kind {
	case jobPrefix, orderPrefix, outputPrefix, deliveryPrefix,
		activePrefix, statusPrefix, processPrefix, bothPrefix, equalPrefix, tombstonePrefix:
	default:
		return nil // no id is read from it
	}
	if len(e.Key) < 1+len(id{}) {
		return fmt.Errorf("key %q has no job", e.Key)
	}
	i := keyID(e.Key[:1+len(id{})])
	switch kind {
	case jobPrefix:
		j, err := decodeRecord(i, e.Value)
		if err != nil {
			return err
		}
		return checkIndexed(&j)
	case orderPrefix:
		return checkOrder(i, e.Value)
	case outputPrefix:
		return checkOutput(i, e.Value)
	case deliveryPrefix:
		var d job.Delivery
		return json.Unmarshal(e.Value, &d)
	}
	return nil // neither read as text nor as a path
}

// checkOrder lets an order name files in the directory of its job's inputs only.
func checkOrder(i id, value []byte) error {
	var o job.Order
	if err := decodeOrder(i, value, &o); err != nil {
		return err
	}
	for name, v := range o.Inputs {
		if v.File != "" && v.File != filepath.Join(i.String(), "in", filepath.Base(v.File)) {
			return fmt.Errorf("input %.80q of job %s is a file elsewhere: %.200q", name, i, v.File)
		}
	}
	return nil
}

func checkOutput(i id, value []byte) error {
	v, err := decodeOutput(value)
	if err != nil {
		return err
	}
	if v.File == "" {
		return nil
	}
	parts := strings.Split(v.File, string(filepath.Separator))
	if len(parts) == 4 && parts[0] == resultsDir && parts[1] == i.String() && parts[2] != "" && plainName(parts[2]) {
		if _, err := strconv.ParseUint(parts[3], 10, 32); err == nil {
			return nil
		}
	}
	return fmt.Errorf("an output of job %s is a file elsewhere: %.200q", i, v.File)
}

// Close ends the loading: it makes sure that all outputs are there, and leaves the
// synchronisation of the directory to the caller.
func (l *Loader) Close() error {
	err := l.all.Flush()
	if err == nil {
		err = l.db.View(l.checkFiles)
	}
	if err = errors.Join(err, l.db.Close()); err != nil {
		return fmt.Errorf("load store: %w", err)
	}
	return nil
}

// Abort gives the loading up. The directory is the caller's to remove.
func (l *Loader) Abort() {
	l.all.Cancel()
	_ = l.db.Close()
}

func (l *Loader) checkFiles(txn *badger.Txn) error {
	it := newIterator(txn, []byte{outputPrefix}, false)
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		var v job.Value
		err := it.Item().Value(func(b []byte) (err error) {
			v, err = decodeOutput(b)
			return err
		})
		if err != nil {
			return err
		}
		if v.File == "" {
			continue
		}
		info, err := os.Lstat(filepath.Join(l.dir, v.File))
		if err != nil || !info.Mode().IsRegular() || info.Size() != v.Size {
			return fmt.Errorf("output %s, of %d bytes, is missing", v.File, v.Size)
		}
	}
	return nil
}
