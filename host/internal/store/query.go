package store

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	badger "github.com/dgraph-io/badger/v4"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

const (
	// maxSources bounds the iterators merged for one list; filters with more
	// alternatives use a coarser index.
	maxSources = 16
	// spareActive is how many active jobs beyond those wanted are looked at in
	// one go, since some may not match by the time they are read.
	spareActive = 64
	// checkEvery is the number of candidates between two looks at the context.
	checkEvery = 64
)

// query is one call of List.
type query struct {
	ctx    context.Context
	store  *Store
	filter job.Filter
	size   int // jobs wanted, including the one that proves there are more

	prefixes [][]byte // of the keys to merge
	records  bool     // prefixes[0] is that of the records themselves
	active   bool     // active jobs are merged from memory
}

// newQuery picks the keys that lead to the fewest candidates.
func (s *Store) newQuery(ctx context.Context, f job.Filter, size int) *query {
	q := &query{ctx: ctx, store: s, filter: f, size: size}
	processes := distinct(f.ProcessIDs)
	statuses := distinct(f.Statuses)
	var finals []ogc.Status
	for _, status := range statuses {
		switch {
		case status.Final():
			finals = append(finals, status)
		case status.Valid():
			q.active = true
		}
	}
	switch {
	case len(statuses) > 0 && len(processes) > 0 && len(processes)*len(finals) <= maxSources:
		for _, process := range processes {
			for _, status := range finals {
				q.prefixes = append(q.prefixes, bothIndex(process, status))
			}
		}
	case len(statuses) > 0:
		for _, status := range finals {
			q.prefixes = append(q.prefixes, statusIndex(status))
		}
	case len(processes) > 0 && len(processes) <= maxSources:
		for _, process := range processes {
			q.prefixes = append(q.prefixes, processIndex(process))
		}
	default:
		q.prefixes = [][]byte{{jobPrefix}}
		q.records = true
	}
	return q
}

func distinct[T ~string](values []T) []T { return slices.Compact(slices.Sorted(slices.Values(values))) }

// collect returns the first n matching jobs of a span in the order of the
// direction.
func (q *query) collect(sp span, newer bool, n int) (jobs []job.Job, err error) {
	sp = q.clip(sp)
	for !sp.empty() && len(jobs) < n {
		var active []id
		if q.active {
			// Before the snapshot that round reads: a job that ends in between
			// is found twice, not missed.
			active = q.store.activeWithin(sp, newer, n+spareActive, &q.filter)
		}
		r := &round{query: q, newer: newer, want: n, jobs: jobs, active: active}
		if err := q.store.view(func(txn *badger.Txn) error { return r.run(txn, sp) }); err != nil {
			return nil, err
		}
		jobs = r.jobs
		if len(active) < n+spareActive {
			break
		}
		if newer {
			sp = sp.newerThan(active[len(active)-1])
		} else {
			sp = sp.olderThan(active[len(active)-1])
		}
	}
	return jobs, nil
}

// clip narrows a span to the ids that can have been created in the wanted time.
func (q *query) clip(sp span) span {
	skew := time.Duration(q.store.skew.Load())
	if skew == math.MaxInt64 {
		return sp
	}
	if t := q.filter.CreatedFrom; !t.IsZero() {
		if first := firstID(t.Add(-skew)); first.compare(sp.oldest) > 0 {
			sp.oldest = first
		}
	}
	if t := q.filter.CreatedTo; !t.IsZero() {
		if last := lastID(t.Add(skew)); last.compare(sp.newest) < 0 {
			sp.newest = last
		}
	}
	return sp
}

func (s *Store) activeWithin(sp span, newer bool, n int, f *job.Filter) []id {
	s.memory.RLock()
	defer s.memory.RUnlock()
	return s.active.within(sp, newer, n, func(a *activeJob) bool {
		return slices.Contains(f.Statuses, a.status) &&
			(len(f.ProcessIDs) == 0 || slices.Contains(f.ProcessIDs, a.process))
	})
}

// round merges the sources of a query over one snapshot.
type round struct {
	*query
	newer  bool
	want   int
	jobs   []job.Job
	active []id
}

func (r *round) run(txn *badger.Txn, sp span) error {
	sources := make([]*source, 0, len(r.prefixes)+1)
	if len(r.active) > 0 {
		sources = append(sources, &source{ids: r.active})
		if len(r.active) == r.want+spareActive {
			// There may be more active jobs: merging goes as far as these do.
			if r.newer {
				sp.newest = r.active[len(r.active)-1]
			} else {
				sp.oldest = r.active[len(r.active)-1]
			}
		}
	}
	for _, prefix := range r.prefixes {
		s := newSource(txn, prefix, sp, r.newer)
		defer s.it.Close()
		sources = append(sources, s)
	}
	for n := 0; len(r.jobs) < r.want; n++ {
		if n%checkEvery == 0 && r.ctx.Err() != nil {
			return r.ctx.Err()
		}
		s := first(sources, r.newer)
		if s == nil {
			return nil
		}
		if err := r.take(txn, s); err != nil {
			return err
		}
		advance(sources, s.head())
	}
	return nil
}

// take reads the job at the head of a source and keeps it if it matches.
func (r *round) take(txn *badger.Txn, s *source) (err error) {
	var j job.Job
	if r.records {
		j, err = itemJob(s.head(), s.it.Item())
	} else {
		j, err = readJob(txn, s.head())
	}
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil
	}
	if err == nil && r.matches(&j) {
		r.jobs = append(r.jobs, j)
	}
	return err
}

// source yields ids in the order of a list: from an index, or from memory.
type source struct {
	it  *badger.Iterator
	sp  span
	ids []id
}

func newSource(txn *badger.Txn, prefix []byte, sp span, newer bool) *source {
	s := &source{it: newIterator(txn, prefix, newer), sp: sp}
	start := sp.newest
	if newer {
		start = sp.oldest
	}
	s.it.Seek(idKey(prefix, start))
	return s
}

func (s *source) valid() bool {
	if s.it == nil {
		return len(s.ids) > 0
	}
	return s.it.Valid() && s.sp.contains(s.head())
}

func (s *source) head() id {
	if s.it == nil {
		return s.ids[0]
	}
	return keyID(s.it.Item().Key())
}

func (s *source) next() {
	if s.it == nil {
		s.ids = s.ids[1:]
		return
	}
	s.it.Next()
}

// first returns the source whose head comes first, or nil when all have ended.
func first(sources []*source, newer bool) (best *source) {
	for _, s := range sources {
		if !s.valid() {
			continue
		}
		if best == nil || newer == (s.head().compare(best.head()) < 0) {
			best = s
		}
	}
	return best
}

// advance moves all sources past an id: a job can be in two of them.
func advance(sources []*source, past id) {
	for _, s := range sources {
		if s.valid() && s.head() == past {
			s.next()
		}
	}
}
