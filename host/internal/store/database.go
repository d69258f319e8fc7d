package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	badger "github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

// layoutVersion is the version of the keys and values; the package comment
// describes it.
const layoutVersion = 1

// Sizes of the database, in bytes. They bound memory: a memtable and its log are
// both mapped, a compaction allocates a multiple of the size of tables (which
// would double from level to level), an index cache of zero would keep the
// indexes of all tables; and a million jobs have to fit beside the rest of the
// host into 400 MiB.
const (
	memTableSize   = 8 << 20
	tableSize      = 1 << 20
	blockCacheSize = 32 << 20
	indexCacheSize = 16 << 20
	logFileSize    = 16 << 20
	// Values up to this size live in the tables, which makes all of them do so:
	// there is no value log to collect.
	inTableSize = 1 << 20
	// Opening and closing writes the memtables, and begins a new one.
	openRoom = 4 * memTableSize
)

const minSkew = time.Second

func databaseOptions(dir string, log *slog.Logger) badger.Options {
	o := badger.DefaultOptions(dir).
		WithSyncWrites(true).
		WithDetectConflicts(false). // there is one writer
		WithNumMemtables(2).
		WithMemTableSize(memTableSize).
		WithBaseTableSize(tableSize).
		WithBlockCacheSize(blockCacheSize).
		WithIndexCacheSize(indexCacheSize).
		WithValueLogFileSize(logFileSize).
		WithValueThreshold(inTableSize).
		WithNumCompactors(2).
		WithNumLevelZeroTables(5).
		WithNumLevelZeroTablesStall(15).
		WithCompression(options.Snappy).
		WithMetricsEnabled(false).
		WithLogger(badgerLog{log})
	o.TableSizeMultiplier = 1
	return o
}

// badgerLog passes on what Badger says; its chatter is for debugging.
type badgerLog struct{ log *slog.Logger }

func (l badgerLog) say(level slog.Level, format string, args []any) {
	if l.log.Enabled(context.Background(), level) {
		l.log.Log(context.Background(), level, "database: "+strings.TrimSpace(fmt.Sprintf(format, args...)))
	}
}

func (l badgerLog) Errorf(f string, a ...any)   { l.say(slog.LevelError, f, a) }
func (l badgerLog) Warningf(f string, a ...any) { l.say(slog.LevelWarn, f, a) }
func (l badgerLog) Infof(f string, a ...any)    { l.say(slog.LevelDebug, f, a) }
func (l badgerLog) Debugf(f string, a ...any)   { l.say(slog.LevelDebug, f, a) }

// load checks the layout and fills what is kept in memory.
func (s *Store) load() error {
	if err := s.db.Update(checkLayout); err != nil {
		return err
	}
	s.active = &activeSet{}
	err := s.db.View(func(txn *badger.Txn) error {
		revision, err := readUint64(txn, revisionKey())
		if err != nil {
			return err
		}
		skew, err := readUint64(txn, skewKey())
		if err != nil {
			return err
		}
		s.revision = revision
		s.savedSkew = int64(skew)
		s.skew.Store(max(int64(skew), int64(minSkew)))
		s.highest = oldest
		for _, prefix := range []byte{jobPrefix, tombstonePrefix} {
			s.raiseHighest(txn, prefix)
		}
		s.outbox = loadOutbox(txn)
		return s.loadActive(txn)
	})
	if err != nil {
		return err
	}
	if err := s.loadUsage(); err != nil {
		return fmt.Errorf("count jobs: %w", err)
	}
	s.changes = newChangeLog(s.revision)
	s.recent, err = s.loadRecent()
	return err
}

// checkLayout stamps a new database and refuses one of another version.
func checkLayout(txn *badger.Txn) error {
	found, err := readUint64(txn, versionKey())
	switch {
	case err != nil:
		return err
	case found == 0:
		return txn.Set(versionKey(), encodeUint64(layoutVersion))
	case found != layoutVersion:
		return fmt.Errorf("the store has layout version %d, this geomill reads version %d", found, layoutVersion)
	}
	return nil
}

// raiseHighest reads the first key below a prefix: newer jobs come first.
func (s *Store) raiseHighest(txn *badger.Txn, prefix byte) {
	it := newIterator(txn, []byte{prefix}, false)
	defer it.Close()
	if it.Rewind(); it.Valid() {
		if i := keyID(it.Item().Key()); i.compare(s.highest) > 0 {
			s.highest = i
		}
	}
}

func (s *Store) loadActive(txn *badger.Txn) error {
	it := newIterator(txn, []byte{activePrefix}, false)
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		i := keyID(it.Item().Key())
		j, err := readJob(txn, i)
		if err != nil {
			return err
		}
		s.active.put(i, &j)
	}
	return nil
}

func (s *Store) loadRecent() (*recentJobs, error) {
	r := &recentJobs{}
	err := s.db.View(func(txn *badger.Txn) error {
		it := newIterator(txn, []byte{jobPrefix}, false)
		defer it.Close()
		// One more than fits, so that the list knows whether it is complete.
		for it.Rewind(); it.Valid() && r.floor == oldest; it.Next() {
			i := keyID(it.Item().Key())
			j, err := itemJob(i, it.Item())
			if err != nil {
				return err
			}
			r.put(i, j)
		}
		return nil
	})
	return r, err
}

// newIterator iterates over the keys with a prefix. Values need no prefetching:
// they are in the tables.
func newIterator(txn *badger.Txn, prefix []byte, reverse bool) *badger.Iterator {
	return txn.NewIterator(badger.IteratorOptions{Prefix: prefix, Reverse: reverse})
}

func encodeUint64(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// readUint64 returns zero when there is no such key.
func readUint64(txn *badger.Txn, key []byte) (n uint64, err error) {
	item, err := txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	err = item.Value(func(b []byte) error {
		if len(b) != 8 {
			return fmt.Errorf("key %q holds no number", key)
		}
		n = binary.BigEndian.Uint64(b)
		return nil
	})
	return n, err
}
