package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	badger "github.com/dgraph-io/badger/v4"

	"geomill/host/internal/job"
)

// Create implements job.Store. Ids that are not UUIDs in canonical form are
// refused.
func (s *Store) Create(ctx context.Context, j job.Job, o job.Order) (job.Job, error) {
	n, err := prepareNew(j, s.portable(o))
	if err != nil {
		return job.Job{}, fmt.Errorf("create job %s: %w", j.ID, err)
	}
	err = s.submit(ctx, s.config.MinFree, func(b *batch) (edit, error) {
		var e edit
		err := s.planCreate(b, n, &e)
		return e, err
	})
	if err != nil {
		return job.Job{}, fmt.Errorf("create job %s: %w", j.ID, err)
	}
	return clone(n.job), nil
}

// newJob is a job to be created, as far as its author can prepare it: the
// committer is one goroutine for all.
type newJob struct {
	id     id
	job    job.Job
	record []byte // without its revision
	order  []byte
}

func prepareNew(j job.Job, o job.Order) (*newJob, error) {
	i, ok := parseID(j.ID)
	if !ok {
		return nil, errors.New("the id is not a UUID")
	}
	if err := checkIndexed(&j); err != nil {
		return nil, err
	}
	order, err := encodeOrder(o)
	if err != nil {
		return nil, err
	}
	record, err := encodeRecord(j)
	if err != nil {
		return nil, err
	}
	return &newJob{id: i, job: clone(j), record: record, order: order}, nil
}

func (s *Store) planCreate(b *batch, n *newJob, e *edit) error {
	if err := s.checkFree(b, n.id); err != nil {
		return err
	}
	n.job.Revision = s.nextRevision()
	s.setRecord(e, n.id, &n.job, n.record)
	e.account(&n.job, 1)
	e.set(orderKey(n.id), n.order)
	for _, k := range indexKeys(n.id, &n.job) {
		e.set(k, nil)
	}
	return nil
}

// checkFree reports ErrExists for an id that a job has or had. Ids mostly come
// in order: one above all others is free without a look at the disk.
func (s *Store) checkFree(b *batch, i id) error {
	if i.compare(s.highest) > 0 {
		s.highest = i
		return nil
	}
	for _, key := range [][]byte{jobKey(i), tombstoneKey(i)} {
		taken, err := exists(b.txn, key)
		if err != nil {
			return err
		}
		if taken {
			return job.ErrExists
		}
	}
	return nil
}

// setJob adds a record and its change to an edit.
func (s *Store) setJob(e *edit, i id, j *job.Job) error {
	record, err := encodeRecord(*j)
	if err != nil {
		return err
	}
	s.setRecord(e, i, j, record)
	return nil
}

func (s *Store) setRecord(e *edit, i id, j *job.Job, record []byte) {
	binary.BigEndian.PutUint64(record, j.Revision)
	e.set(jobKey(i), record)
	e.changes = append(e.changes, job.Change{Revision: j.Revision, Job: *j})
	s.widenSkew(i, j.Created)
}

// widenSkew keeps seeking by time right for a job whose Created is far from the
// time in its id. It doubles, so that it is seldom written.
func (s *Store) widenSkew(i id, created time.Time) {
	distance := int64(created.Sub(i.time()).Abs())
	skew := s.skew.Load()
	for skew < distance {
		skew = min(skew, math.MaxInt64/2)*2 + 1
	}
	s.skew.Store(skew)
}

// Update implements job.Store.
func (s *Store) Update(ctx context.Context, j job.Job, outputs map[string]job.Value) (job.Job, error) {
	return s.update(ctx, j, outputs, nil)
}

// update writes a delivery, if there is one, together with the job.
func (s *Store) update(ctx context.Context, j job.Job, outputs map[string]job.Value, d *delivery) (job.Job, error) {
	i, ok := parseID(j.ID)
	if !ok {
		return job.Job{}, fmt.Errorf("update job %s: %w", j.ID, job.ErrNoSuchJob)
	}
	if err := checkIndexed(&j); err != nil {
		return job.Job{}, fmt.Errorf("update job %s: %w", j.ID, err)
	}
	u := &update{id: i, job: clone(j), delivery: d}
	if outputs != nil {
		var err error
		if u.outputs, err = s.stage(i, &u.job, outputs); err != nil {
			return job.Job{}, fmt.Errorf("update job %s: store outputs: %w", j.ID, err)
		}
	}
	room := s.config.MinFree / 2
	if outputs != nil {
		room = s.config.MinFree
	}
	err := s.submit(ctx, room, func(b *batch) (edit, error) { return s.planUpdate(b, u) })
	if u.outputs != nil && !errors.Is(err, errUnknown) {
		s.settle(u.outputs, err == nil)
	}
	if err != nil {
		return job.Job{}, fmt.Errorf("update job %s: %w", j.ID, err)
	}
	return clone(u.after), nil
}

type update struct {
	id      id
	job     job.Job        // what is wished, with the expected revision
	after   job.Job        // what is written
	outputs *stagedOutputs // nil: leave those that are stored

	delivery *delivery // or nil
}

func (s *Store) planUpdate(b *batch, u *update) (edit, error) {
	before, err := readJob(b.txn, u.id)
	if err != nil {
		return edit{}, missing(err)
	}
	if before.Revision != u.job.Revision {
		return edit{}, job.ErrConflict
	}
	after := u.job
	after.Revision = s.nextRevision()
	after.Outputs, after.InputSize = before.Outputs, before.InputSize
	var e edit
	if u.outputs != nil {
		after.Outputs = u.outputs.info
		if err := u.outputs.plan(b.txn, &e, u.id, before.Outputs); err != nil {
			return edit{}, err
		}
	}
	if err := s.setJob(&e, u.id, &after); err != nil {
		return edit{}, err
	}
	moveIndex(&e, u.id, &before, &after)
	e.recount(&before, &after)
	if u.delivery != nil {
		if err := u.delivery.plan(b.txn, &e); err != nil {
			return edit{}, err
		}
	}
	u.after = after
	return e, nil
}

// moveIndex replaces the keys that led to a job by those that lead to it now.
func moveIndex(e *edit, i id, before, after *job.Job) {
	had, has := keySet(indexKeys(i, before)), keySet(indexKeys(i, after))
	for k := range had {
		if !has[k] {
			e.deletes = append(e.deletes, []byte(k))
		}
	}
	for k := range has {
		if !had[k] {
			e.set([]byte(k), nil)
		}
	}
}

func keySet(keys [][]byte) map[string]bool {
	set := make(map[string]bool, len(keys))
	for _, k := range keys {
		set[string(k)] = true
	}
	return set
}

// Delete implements job.Store.
func (s *Store) Delete(ctx context.Context, jobID string, revision uint64) error {
	i, ok := parseID(jobID)
	if !ok {
		return fmt.Errorf("delete job %s: %w", jobID, job.ErrNoSuchJob)
	}
	var files bool
	var size int64
	err := s.submit(ctx, 0, func(b *batch) (edit, error) {
		e, linked, err := s.planDelete(b, i, revision)
		if files = linked; err == nil {
			size = e.changes[0].Job.Size()
		}
		if err != nil || !linked {
			return e, err
		}
		return e, s.mark(i, "")
	})
	if err != nil {
		return fmt.Errorf("delete job %s: %w", jobID, err)
	}
	if files {
		s.removeFiles(i, size)
	}
	return nil
}

func (s *Store) planDelete(b *batch, i id, revision uint64) (e edit, files bool, err error) {
	before, err := readJob(b.txn, i)
	if err != nil {
		return e, false, missing(err)
	}
	if before.Revision != revision {
		return e, false, job.ErrConflict
	}
	if err := s.planGone(b.txn, &e, i, &before); err != nil {
		return e, false, err
	}
	for _, name := range slices.Sorted(maps.Keys(before.Outputs)) {
		v, err := readOutput(b.txn, i, name)
		if errors.Is(err, badger.ErrKeyNotFound) {
			continue
		}
		if err != nil {
			return e, false, err
		}
		files = files || v.File != ""
		e.deletes = append(e.deletes, outputKey(i, name))
	}
	return e, files, nil
}

// missing turns the absence of a record into what writers are told.
func missing(err error) error {
	if errors.Is(err, badger.ErrKeyNotFound) {
		return job.ErrNoSuchJob
	}
	return err
}

func exists(txn *badger.Txn, key []byte) (bool, error) {
	_, err := txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return false, nil
	}
	return err == nil, err
}
