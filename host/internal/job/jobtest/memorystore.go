package jobtest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// changesKept is how many changes MemoryStore.Watch remembers.
const changesKept = 4096

// MemoryStore implements job.Store in the simplest way that is right.
type MemoryStore struct {
	dir string // for outputs that are files

	mu       sync.Mutex
	revision uint64
	jobs     map[string]*memoryJob
	gone     map[string]bool
	held     map[string]int
	left     map[string]int64 // removed jobs whose files were held, and their sizes
	changes  []job.Change
	before   uint64        // revision just before changes[0]
	more     chan struct{} // closed at the next change
}

type memoryJob struct {
	job        job.Job
	order      job.Order
	outputs    map[string]job.Value
	deliveries map[job.Event]job.Delivery
}

var _ job.Store = (*MemoryStore)(nil)

// NewMemoryStore returns an empty store, which keeps output files in a directory
// that goes with the test.
func NewMemoryStore(t testing.TB) *MemoryStore {
	return &MemoryStore{dir: t.TempDir(), jobs: map[string]*memoryJob{}, gone: map[string]bool{}, held: map[string]int{}, left: map[string]int64{}, more: make(chan struct{})}
}

// Create implements job.Store.
func (s *MemoryStore) Create(ctx context.Context, j job.Job, o job.Order) (job.Job, error) {
	if err := ctx.Err(); err != nil {
		return job.Job{}, err
	}
	if u, err := uuid.Parse(j.ID); err != nil || u.String() != j.ID {
		return job.Job{}, fmt.Errorf("create job %q: the id is not a UUID", j.ID)
	}
	if !j.Status.Valid() || j.ProcessID == "" {
		return job.Job{}, fmt.Errorf("create job %s: status %q, process %q", j.ID, j.Status, j.ProcessID)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.jobs[j.ID] != nil || s.gone[j.ID] {
		return job.Job{}, job.ErrExists
	}
	m := &memoryJob{order: o}
	s.jobs[j.ID] = m
	return s.write(m, j), nil
}

// write gives the record its revision and tells the watchers.
func (s *MemoryStore) write(m *memoryJob, j job.Job) job.Job {
	s.revision++
	j.Revision = s.revision
	m.job = clone(j)
	s.publish(job.Change{Revision: s.revision, Job: clone(j)})
	return j
}

func (s *MemoryStore) publish(c job.Change) {
	s.changes = append(s.changes, c)
	if len(s.changes) > changesKept {
		s.before = s.changes[0].Revision
		s.changes = s.changes[1:]
	}
	close(s.more)
	s.more = make(chan struct{})
}

func clone(j job.Job) job.Job {
	j.Outputs = maps.Clone(j.Outputs)
	if j.Exception != nil {
		e := *j.Exception
		j.Exception = &e
	}
	return j
}

// current returns the job if it has the revision.
func (s *MemoryStore) current(id string, revision uint64) (*memoryJob, error) {
	m := s.jobs[id]
	switch {
	case m == nil:
		return nil, job.ErrNoSuchJob
	case m.job.Revision != revision:
		return nil, job.ErrConflict
	}
	return m, nil
}

// Update implements job.Store.
func (s *MemoryStore) Update(ctx context.Context, j job.Job, outputs map[string]job.Value) (job.Job, error) {
	return s.update(ctx, j, outputs, nil)
}

// update adds a delivery, if there is one, together with the change.
func (s *MemoryStore) update(ctx context.Context, j job.Job, outputs map[string]job.Value, d *job.Delivery) (job.Job, error) {
	if err := ctx.Err(); err != nil {
		return job.Job{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.current(j.ID, j.Revision)
	if err != nil {
		return job.Job{}, err
	}
	if outputs == nil {
		j.Outputs = m.job.Outputs
	} else {
		stored, info, err := s.keep(filepath.Join(s.dir, j.ID, strconv.FormatUint(j.Revision, 10)), outputs)
		if err != nil {
			return job.Job{}, err
		}
		m.outputs, j.Outputs = stored, info
	}
	if d != nil {
		m.record(*d)
	}
	return s.write(m, j), nil
}

func (s *MemoryStore) keep(dir string, outputs map[string]job.Value) (map[string]job.Value, map[string]job.OutputInfo, error) {
	stored, info := map[string]job.Value{}, map[string]job.OutputInfo{}
	for n, name := range slices.Sorted(maps.Keys(outputs)) {
		v := outputs[name]
		if v.File != "" {
			to := filepath.Join(dir, strconv.Itoa(n))
			err := errors.Join(os.MkdirAll(dir, 0o700), os.Rename(v.File, to))
			if err != nil {
				return nil, nil, errors.Join(err, os.RemoveAll(dir))
			}
			v.File = to
		}
		stored[name] = v
		info[name] = job.OutputInfo{MediaType: v.Type(), Size: v.Len()}
	}
	return stored, info, nil
}

// Get implements job.Store.
func (s *MemoryStore) Get(ctx context.Context, id string) (job.Job, error) {
	m, err := s.find(ctx, id)
	if err != nil {
		return job.Job{}, err
	}
	return clone(m.job), nil
}

// find returns a copy, which may be read without the lock.
func (s *MemoryStore) find(ctx context.Context, id string) (memoryJob, error) {
	if err := ctx.Err(); err != nil {
		return memoryJob{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch m := s.jobs[id]; {
	case m != nil:
		return *m, nil
	case s.gone[id]:
		return memoryJob{}, job.ErrGone
	}
	return memoryJob{}, job.ErrNoSuchJob
}

// Order implements job.Store.
func (s *MemoryStore) Order(ctx context.Context, id string) (job.Order, error) {
	m, err := s.find(ctx, id)
	return m.order, err
}

// Output implements job.Store.
func (s *MemoryStore) Output(ctx context.Context, id, name string) (job.Value, error) {
	m, err := s.find(ctx, id)
	if err != nil {
		return job.Value{}, err
	}
	v, ok := m.outputs[name]
	if !ok {
		return job.Value{}, job.ErrNotAvailable
	}
	return v, nil
}

// Reusable implements job.Store.
func (s *MemoryStore) Reusable(ctx context.Context, digest, pluginHash string) (job.Job, error) {
	if err := ctx.Err(); err != nil {
		return job.Job{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var newest *memoryJob
	for id, m := range s.jobs {
		j := m.job
		if j.Status == ogc.Successful && j.Digest == digest && j.Plugin.Hash == pluginHash && (newest == nil || id > newest.job.ID) {
			newest = m
		}
	}
	if newest == nil {
		return job.Job{}, job.ErrNoSuchJob
	}
	return clone(newest.job), nil
}

// List implements job.Store.
func (s *MemoryStore) List(ctx context.Context, f job.Filter, c job.Cursor, limit int) (job.Page, error) {
	if err := ctx.Err(); err != nil {
		return job.Page{}, err
	}
	if limit <= 0 {
		return job.Page{}, fmt.Errorf("list jobs: limit %d is not above zero", limit)
	}
	if _, err := uuid.Parse(c.After); c.After != "" && err != nil {
		return job.Page{}, fmt.Errorf("list jobs: cursor %q is not a job id", c.After)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]job.Job, 0, len(s.jobs))
	for _, m := range s.jobs {
		all = append(all, clone(m.job))
	}
	return list(all, f, c, limit), nil
}

// Delete implements job.Store.
func (s *MemoryStore) Delete(ctx context.Context, id string, revision uint64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.current(id, revision)
	if err != nil {
		return err
	}
	delete(s.jobs, id)
	s.gone[id] = true
	s.revision++
	s.publish(job.Change{Revision: s.revision, Job: m.job, Deleted: true})
	if s.held[id] > 0 {
		s.left[id] = m.job.Size()
		return nil
	}
	return os.RemoveAll(filepath.Join(s.dir, id))
}

// Watch implements job.Store.
func (s *MemoryStore) Watch(ctx context.Context, from uint64) iter.Seq2[job.Change, error] {
	return func(yield func(job.Change, error) bool) {
		for ctx.Err() == nil {
			c, more, err := s.after(from)
			switch {
			case err != nil:
				yield(job.Change{}, err)
				return
			case more == nil:
				from = c.Revision
				if !yield(c, nil) {
					return
				}
				continue
			}
			select {
			case <-more:
			case <-ctx.Done():
			}
		}
	}
}

// Revision implements job.Store.
func (s *MemoryStore) Revision(ctx context.Context) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.revision, ctx.Err()
}

// after returns the first change above a revision, or a channel to wait on.
func (s *MemoryStore) after(revision uint64) (job.Change, <-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if revision < s.before {
		return job.Change{}, nil, job.ErrBehind
	}
	for _, c := range s.changes {
		if c.Revision > revision {
			c.Job = clone(c.Job)
			return c, nil, nil
		}
	}
	return job.Change{}, s.more, nil
}

// list is what job.Store.List means, over all jobs.
func list(all []job.Job, f job.Filter, c job.Cursor, limit int) job.Page {
	var older, newer []job.Job // as seen from the cursor, each newest first
	slices.SortFunc(all, func(a, b job.Job) int { return strings.Compare(b.ID, a.ID) })
	for _, j := range all {
		switch {
		case !match(j, f) || j.ID == c.After:
		case c.After == "" || j.ID < c.After:
			older = append(older, j)
		default:
			newer = append(newer, j)
		}
	}
	self := slices.ContainsFunc(all, func(j job.Job) bool { return j.ID == c.After && match(j, f) })
	if c.Newer {
		if c.After == "" {
			return job.Page{Older: len(older) > 0}
		}
		first := max(len(newer)-limit, 0)
		return job.Page{Jobs: newer[first:], Newer: first > 0, Older: self || len(older) > 0}
	}
	n := min(limit, len(older))
	return job.Page{Jobs: older[:n], Older: n < len(older), Newer: self || len(newer) > 0}
}

func match(j job.Job, f job.Filter) bool {
	if len(f.ProcessIDs) > 0 && !slices.Contains(f.ProcessIDs, j.ProcessID) ||
		len(f.Statuses) > 0 && !slices.Contains(f.Statuses, j.Status) ||
		!f.CreatedFrom.IsZero() && j.Created.Before(f.CreatedFrom) ||
		!f.CreatedTo.IsZero() && j.Created.After(f.CreatedTo) {
		return false
	}
	if f.MinDuration == nil && f.MaxDuration == nil {
		return true
	}
	end := j.Finished
	if end.IsZero() {
		end = f.Now
	}
	took := end.Sub(j.Started)
	return !j.Started.IsZero() && (f.MinDuration == nil || took >= *f.MinDuration) &&
		(f.MaxDuration == nil || took <= *f.MaxDuration)
}
