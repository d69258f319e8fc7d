package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	badger "github.com/dgraph-io/badger/v4"

	"geomill/host/internal/job"
)

// span is a range of ids, both ends included.
type span struct{ oldest, newest id }

func (sp span) empty() bool { return sp.oldest.compare(sp.newest) > 0 }

func (sp span) contains(i id) bool {
	return i.compare(sp.oldest) >= 0 && i.compare(sp.newest) <= 0
}

var (
	everyID = span{oldest: oldest, newest: newest}
	noID    = span{oldest: newest, newest: oldest}
)

// olderThan and newerThan exclude i itself.
func (sp span) olderThan(i id) span {
	p, ok := i.previous()
	if !ok {
		return noID
	}
	if p.compare(sp.newest) < 0 {
		sp.newest = p
	}
	return sp
}

func (sp span) newerThan(i id) span {
	n, ok := i.next()
	if !ok {
		return noID
	}
	if n.compare(sp.oldest) > 0 {
		sp.oldest = n
	}
	return sp
}

// List implements job.Store. Pages by status, by process and by both cost what
// they return; other conditions are checked on the records that remain. The
// start of the list has nothing newer; the oldest jobs are those newer than the
// id of zeros.
func (s *Store) List(ctx context.Context, f job.Filter, c job.Cursor, limit int) (job.Page, error) {
	if err := ctx.Err(); err != nil {
		return job.Page{}, err
	}
	if limit <= 0 {
		return job.Page{}, fmt.Errorf("list jobs: limit %d is not above zero", limit)
	}
	var at id
	if c.After != "" {
		var ok bool
		if at, ok = parseID(c.After); !ok {
			return job.Page{}, fmt.Errorf("list jobs: cursor %q is not a job id", c.After)
		}
	}
	if c == (job.Cursor{}) && everything(&f) {
		if p, ok := s.firstPage(limit); ok {
			return p, nil
		}
	}
	p, err := s.newQuery(ctx, f, limit+1).at(c, at)
	if err != nil {
		return job.Page{}, fmt.Errorf("list jobs: %w", err)
	}
	return p, nil
}

func (q *query) at(c job.Cursor, at id) (p job.Page, err error) {
	switch {
	case c.After != "" && c.Newer:
		return q.newerPage(at)
	case c.After != "":
		return q.olderPage(at)
	case c.Newer:
		p.Older, err = q.any(everyID, false)
	default:
		p.Jobs, p.Older, err = q.page(everyID, false)
	}
	return p, err
}

func everything(f *job.Filter) bool {
	return len(f.ProcessIDs) == 0 && len(f.Statuses) == 0 && !residual(f)
}

func (s *Store) firstPage(limit int) (job.Page, bool) {
	s.memory.RLock()
	defer s.memory.RUnlock()
	return s.recent.page(limit)
}

func (q *query) olderPage(at id) (p job.Page, err error) {
	if p.Jobs, p.Older, err = q.page(everyID.olderThan(at), false); err != nil {
		return job.Page{}, err
	}
	if p.Newer, err = q.matchesNow(at); err == nil && !p.Newer {
		p.Newer, err = q.any(everyID.newerThan(at), true)
	}
	return p, err
}

func (q *query) newerPage(at id) (p job.Page, err error) {
	if p.Jobs, p.Newer, err = q.page(everyID.newerThan(at), true); err != nil {
		return job.Page{}, err
	}
	slices.Reverse(p.Jobs)
	if p.Older, err = q.matchesNow(at); err == nil && !p.Older {
		p.Older, err = q.any(everyID.olderThan(at), false)
	}
	return p, err
}

// page returns the first jobs of a span, one fewer than the query's size, and
// whether there are more.
func (q *query) page(sp span, newer bool) ([]job.Job, bool, error) {
	jobs, err := q.collect(sp, newer, q.size)
	if len(jobs) < q.size {
		return jobs, false, err
	}
	return jobs[:q.size-1], true, err
}

func (q *query) any(sp span, newer bool) (bool, error) {
	jobs, err := q.collect(sp, newer, 1)
	return len(jobs) > 0, err
}

// matchesNow spares the search for a neighbour in the direction the reader comes
// from: as a rule that is the cursor's own job.
func (q *query) matchesNow(at id) (bool, error) {
	var j job.Job
	err := q.store.view(func(txn *badger.Txn) (err error) {
		j, err = readJob(txn, at)
		return err
	})
	if errors.Is(err, badger.ErrKeyNotFound) {
		return false, nil
	}
	return err == nil && q.matches(&j), err
}

// matches reports whether a record, however it was found, satisfies the filter.
func (q *query) matches(j *job.Job) bool { return q.filter.Matches(j) }

// residual says that no index decides the filter alone.
func residual(f *job.Filter) bool {
	return !f.CreatedFrom.IsZero() || !f.CreatedTo.IsZero() || f.MinDuration != nil || f.MaxDuration != nil
}
