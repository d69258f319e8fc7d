package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	badger "github.com/dgraph-io/badger/v4"

	"geomill/host/internal/job"
)

const (
	maxBatchWrites = 512     // writes folded into one transaction
	maxBatchSize   = 1 << 20 // bytes folded into one transaction
	maxEditSize    = 1 << 20 // bytes of a single write; below 15 % of memTableSize
	maxBatchKeys   = 6000    // keys in one transaction; Badger's own bound is higher
	maxEditKeys    = 4096    // keys of a single write
	keyOverhead    = 64      // bytes counted for a key besides itself and its value

	// maxPatience bounds how long a batch waits for writers that came last time;
	// a quarter of the time that the last commit took is the usual bound.
	maxPatience = time.Millisecond

	// lateResult bounds how long a caller whose context has ended still waits
	// to learn what became of its write.
	lateResult = 10 * time.Second
)

// ErrClosed is the error of every call after Close.
var ErrClosed = errors.New("store is closed")

// errUnknown is the error of a caller that stopped waiting for a commit.
var errUnknown = errors.New("outcome of the write is unknown")

// write is one caller's wish. plan reads through the batch, decides, and returns
// what to write; it may be called again when its batch was full. It runs in
// the committer.
type write struct {
	ctx  context.Context
	plan func(b *batch) (edit, error)
	room uint64 // free disk space it asks for, in bytes
	done chan error
}

// edit is what one write puts into its transaction, and what readers of memory
// learn once that is on disk.
type edit struct {
	sets    []*badger.Entry
	deletes [][]byte
	changes []job.Change
	outbox  []outboxChange
	usage   []usageChange
}

func (e *edit) set(key, value []byte) { e.sets = append(e.sets, badger.NewEntry(key, value)) }

func (e *edit) size() (size, keys int) {
	for _, s := range e.sets {
		size += len(s.Key) + len(s.Value) + keyOverhead
	}
	for _, k := range e.deletes {
		size += len(k) + keyOverhead
	}
	for _, u := range e.usage {
		size += len(u.process) + usageSize + keyOverhead
	}
	return size, len(e.sets) + len(e.deletes) + len(e.usage)
}

// batch is the transaction being filled.
type batch struct {
	txn        *badger.Txn
	size, keys int
	accepted   []*write
	changes    []job.Change
	outbox     []outboxChange
	usage      usage
}

// nextRevision is called by plans only. Revisions are not given back when a
// commit fails, since it may have been written all the same.
func (s *Store) nextRevision() uint64 {
	s.revision++
	return s.revision
}

// submit hands a write to the committer and waits for its result. Once the
// committer has it the result is awaited even when ctx ends, since a caller
// that has to know whether it won cannot do with less.
func (s *Store) submit(ctx context.Context, room uint64, plan func(b *batch) (edit, error)) error {
	w := &write{ctx: ctx, plan: plan, room: room, done: make(chan error, 1)}
	select {
	case <-s.stop:
		return ErrClosed
	default:
	}
	select {
	case s.writes <- w:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.stop:
		return ErrClosed
	}
	select {
	case err := <-w.done:
		return err
	case <-s.stopped:
		return drained(w)
	case <-ctx.Done():
	}
	late := time.NewTimer(lateResult)
	defer late.Stop()
	select {
	case err := <-w.done:
		return err
	case <-s.stopped:
		return drained(w)
	case <-late.C:
		return fmt.Errorf("%w: %w", errUnknown, ctx.Err())
	}
}

// drained returns the result of a write whose committer has ended: writes that
// came too late for it were not made.
func drained(w *write) error {
	select {
	case err := <-w.done:
		return err
	default:
		return ErrClosed
	}
}

// commit runs until stop is closed, then finishes what has been submitted.
func (s *Store) commit() {
	defer close(s.stopped)
	for {
		select {
		case w := <-s.writes:
			s.fold(w)
		case <-s.stop:
			for {
				select {
				case w := <-s.writes:
					s.fold(w)
				default:
					return
				}
			}
		}
	}
}

// fold commits first together with whatever else waits by now, or is about to:
// those whose writes were committed last often come again with the next.
func (s *Store) fold(first *write) {
	free, err := s.config.freeSpace(s.config.Dir)
	if err != nil {
		s.log.Warn("free disk space is not known", "error", err)
		free = math.MaxUint64
	}
	patience := time.NewTimer(min(s.lastCommit/4, maxPatience))
	defer patience.Stop()
	b := s.newBatch()
	n := 0
	for w := first; w != nil; w = s.following(n, b.size, patience) {
		b = s.add(b, w, free)
		n++
	}
	start := time.Now()
	s.finish(b)
	s.lastWrites, s.lastCommit = n, time.Since(start)
}

// following returns the next write for a batch of n so far, or nil when the batch
// should go to disk. It waits only while fewer have come than came last time, so
// that a lone writer is not held up.
func (s *Store) following(n, size int, patience *time.Timer) *write {
	if n >= maxBatchWrites || size >= maxBatchSize {
		return nil
	}
	select {
	case w := <-s.writes:
		return w
	default:
	}
	if n >= s.lastWrites {
		return nil
	}
	select {
	case w := <-s.writes:
		return w
	case <-patience.C:
		s.lastWrites = n
		return nil
	}
}

func (s *Store) newBatch() *batch {
	return &batch{txn: s.db.NewTransaction(true), usage: usage{}}
}

// add plans a write in b, or in a new batch when it does not fit into b. It
// answers the write at once when that fails, without harm to the others.
func (s *Store) add(b *batch, w *write, free uint64) *batch {
	if err := w.ctx.Err(); err != nil {
		w.done <- err
		return b
	}
	// Even what removes something may fill a memtable, which is then written.
	if need := max(w.room, s.config.openRoom/2); free < need {
		w.done <- fmt.Errorf("%w: disk is almost full: %d bytes are free at %s, %d are needed", job.ErrNoSpace, free, s.config.Dir, need)
		return b
	}
	e, err := w.plan(b)
	if err != nil {
		w.done <- err
		return b
	}
	size, keys := e.size()
	if size > maxEditSize || keys > maxEditKeys {
		w.done <- fmt.Errorf("write of %d bytes under %d keys is too large for one transaction", size, keys)
		return b
	}
	if len(b.accepted) > 0 && (b.size+size > maxBatchSize || b.keys+keys > maxBatchKeys) {
		s.finish(b)
		b = s.newBatch()
		// What was planned on top of the old batch is void if that failed.
		if e, err = w.plan(b); err != nil {
			w.done <- err
			return b
		}
	}
	if err := b.apply(&e); err != nil {
		return s.abandon(b, w, err)
	}
	b.size += size
	b.keys += keys
	b.accepted = append(b.accepted, w)
	b.changes = append(b.changes, e.changes...)
	b.outbox = append(b.outbox, e.outbox...)
	b.usage.add(e.usage)
	return b
}

func (b *batch) apply(e *edit) error {
	for _, k := range e.deletes {
		if err := b.txn.Delete(k); err != nil {
			return err
		}
	}
	for _, s := range e.sets {
		if err := b.txn.SetEntry(s); err != nil {
			return err
		}
	}
	return nil
}

// abandon gives up a batch of which one write was applied in part.
func (s *Store) abandon(b *batch, w *write, err error) *batch {
	b.txn.Discard()
	err = fmt.Errorf("fill transaction: %w", err)
	for _, a := range append(b.accepted, w) {
		a.done <- err
	}
	return s.newBatch()
}

// finish commits a batch and answers its writes. Readers of memory see the
// changes before their authors hear of success.
func (s *Store) finish(b *batch) {
	defer b.txn.Discard()
	if len(b.accepted) == 0 {
		return
	}
	skew := s.skew.Load()
	err := s.setMeta(b.txn, skew)
	if err == nil {
		err = s.setUsage(b.txn, b.usage)
	}
	if err == nil {
		err = b.txn.Commit()
	}
	if err != nil {
		err = fmt.Errorf("commit: %w", err)
	} else {
		s.savedSkew = skew
		if len(b.outbox) > 0 {
			s.outbox.apply(b.outbox)
		}
		s.count(b.usage)
		s.publish(b.changes)
	}
	for _, w := range b.accepted {
		w.done <- err
	}
}

func (s *Store) setMeta(txn *badger.Txn, skew int64) error {
	if skew != s.savedSkew {
		if err := txn.Set(skewKey(), encodeUint64(uint64(skew))); err != nil {
			return err
		}
	}
	return txn.Set(revisionKey(), encodeUint64(s.revision))
}

// publish brings what is kept in memory up to what is on disk.
func (s *Store) publish(changes []job.Change) {
	s.memory.Lock()
	for _, c := range changes {
		i, _ := parseID(c.Job.ID)
		switch {
		case c.Deleted:
			s.active.remove(i)
			s.recent.remove(i)
			continue
		case c.Job.Status.Final():
			s.active.remove(i)
		default:
			s.active.put(i, &c.Job)
		}
		s.recent.put(i, c.Job)
	}
	low := s.recent.low()
	s.memory.Unlock()
	if low {
		s.refillRecent()
	}
	s.changes.add(changes)
}

// refillRecent reads the newest jobs anew. Only the committer changes jobs, so
// none is missed in between.
func (s *Store) refillRecent() {
	fresh, err := s.loadRecent()
	if err != nil {
		s.log.Warn("newest jobs are not in memory", "error", err)
		return
	}
	s.memory.Lock()
	s.recent = fresh
	s.memory.Unlock()
}
