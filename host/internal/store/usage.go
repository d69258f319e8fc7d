package store

import (
	"bytes"
	"encoding/binary"
	"fmt"

	badger "github.com/dgraph-io/badger/v4"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// countedVersion is the version of what is kept under usagePrefix and
// endedPrefix; both are made anew when a store with another one is opened.
const countedVersion = 1

const usageSize = 16 // bytes of a value under usagePrefix

// tally names what is counted together: the jobs of a process with one final
// status, or its active ones.
type tally struct {
	process string
	status  byte
}

func tallyOf(j *job.Job) tally {
	if !j.Status.Final() {
		return tally{j.ProcessID, statusByte(ogc.Accepted)}
	}
	return tally{j.ProcessID, statusByte(j.Status)}
}

func (t tally) key() []byte {
	return append(append(append([]byte{usagePrefix}, t.process...), 0), t.status)
}

// usageChange is what one job adds to a tally, or takes from it.
type usageChange struct {
	tally
	job.Kept
}

// account adds a job to its tally, or with sign -1 takes it away.
func (e *edit) account(j *job.Job, sign int) {
	e.usage = append(e.usage, usageChange{tallyOf(j), job.Kept{Jobs: sign, Bytes: int64(sign) * j.Size()}})
}

// recount moves a job that has changed to its tally.
func (e *edit) recount(before, after *job.Job) {
	if tallyOf(before) == tallyOf(after) && before.Size() == after.Size() {
		return
	}
	e.account(before, -1)
	e.account(after, 1)
}

// usage is how much there is of each tally, or by how much that changes.
type usage map[tally]job.Kept

func (u usage) add(changes []usageChange) {
	for _, c := range changes {
		u[c.tally] = u[c.tally].Add(c.Kept)
	}
}

// setUsage writes the tallies as they will be.
func (s *Store) setUsage(txn *badger.Txn, changed usage) error {
	for t, by := range changed {
		if by == (job.Kept{}) {
			continue
		}
		if err := setTally(txn, t, s.usage[t].Add(by)); err != nil { // only the committer writes s.usage
			return err
		}
	}
	return nil
}

func setTally(txn *badger.Txn, t tally, k job.Kept) error {
	if k == (job.Kept{}) {
		return txn.Delete(t.key())
	}
	return txn.Set(t.key(), encodeTally(k))
}

func encodeTally(k job.Kept) []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, usageSize), uint64(k.Jobs))
	return binary.BigEndian.AppendUint64(b, uint64(k.Bytes))
}

// count brings the tallies in memory up to those on disk.
func (s *Store) count(changed usage) {
	s.memory.Lock()
	defer s.memory.Unlock()
	s.written = s.revision
	for t, by := range changed {
		if sum := s.usage[t].Add(by); sum == (job.Kept{}) {
			delete(s.usage, t)
		} else {
			s.usage[t] = sum
		}
	}
}

// Usage implements job.Archive.
func (s *Store) Usage() job.Usage {
	u := job.Usage{Finished: map[job.Group]job.Kept{}, Held: s.holds.bytes()}
	s.memory.RLock()
	defer s.memory.RUnlock()
	u.Revision = s.written
	for t, k := range s.usage {
		if status := statusOf(t.status); status.Final() {
			u.Finished[job.Group{ProcessID: t.process, Status: status}] = k
		} else {
			u.Active += k.Bytes
		}
	}
	return u
}

// statusOf is the inverse of statusByte.
func statusOf(b byte) ogc.Status {
	for _, s := range []ogc.Status{ogc.Accepted, ogc.Running, ogc.Successful, ogc.Failed, ogc.Dismissed} {
		if statusByte(s) == b {
			return s
		}
	}
	return ""
}

// loadUsage reads the tallies, or counts all jobs in a store that has none.
func (s *Store) loadUsage() error {
	s.usage, s.written, s.firstEnded = usage{}, s.revision, map[tally]uint64{}
	var counted uint64
	err := s.db.View(func(txn *badger.Txn) (err error) {
		if counted, err = readUint64(txn, countedKey()); err != nil || counted != countedVersion {
			return err
		}
		return readTallies(txn, s.usage)
	})
	if err != nil || counted == countedVersion {
		return err
	}
	return s.countAll()
}

func readTallies(txn *badger.Txn, into usage) error {
	it := newIterator(txn, []byte{usagePrefix}, false)
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		key := it.Item().Key()
		if len(key) < 3 {
			return fmt.Errorf("key %q counts nothing", key)
		}
		t := tally{process: string(key[1 : len(key)-2]), status: key[len(key)-1]}
		err := it.Item().Value(func(b []byte) error {
			if len(b) != usageSize {
				return fmt.Errorf("key %q holds no count", key)
			}
			into[t] = job.Kept{Jobs: int(binary.BigEndian.Uint64(b)), Bytes: int64(binary.BigEndian.Uint64(b[8:]))}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// countAll makes anew what is derived from the records, which takes time: a store
// does it once.
func (s *Store) countAll() error {
	w := s.db.NewWriteBatch()
	defer w.Cancel()
	err := s.db.View(func(txn *badger.Txn) error {
		stale := newIterator(txn, []byte{usagePrefix}, false)
		defer stale.Close()
		for stale.Rewind(); stale.Valid(); stale.Next() {
			if err := w.Delete(stale.Item().KeyCopy(nil)); err != nil {
				return err
			}
		}
		it := newIterator(txn, []byte{jobPrefix}, false)
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			i := keyID(it.Item().Key())
			j, err := itemJob(i, it.Item())
			if err == nil && j.Status.Final() {
				err = w.Set(endedKey(i, &j), nil)
			}
			if err != nil {
				return err
			}
			var e edit
			e.account(&j, 1)
			s.usage.add(e.usage)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for t, k := range s.usage {
		if err := w.Set(t.key(), encodeTally(k)); err != nil {
			return err
		}
	}
	if err := w.Set(countedKey(), encodeUint64(countedVersion)); err != nil {
		return err
	}
	return w.Flush()
}

// derived reports whether a key is made anew when it is missing, by countAll.
func derived(key []byte) bool {
	return key[0] == usagePrefix || key[0] == endedPrefix || bytes.Equal(key, countedKey())
}
