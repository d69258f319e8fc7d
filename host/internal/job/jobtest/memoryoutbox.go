package jobtest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"geomill/host/internal/job"
)

var _ job.Outbox = (*MemoryStore)(nil)

// Finish implements job.Outbox.
func (s *MemoryStore) Finish(ctx context.Context, j job.Job, outputs map[string]job.Value, d job.Delivery) (job.Job, error) {
	return s.update(ctx, j, outputs, &d)
}

// Record implements job.Outbox.
func (s *MemoryStore) Record(ctx context.Context, d job.Delivery) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.jobs[d.JobID]
	if m == nil {
		return job.ErrNoSuchJob
	}
	m.record(d)
	return nil
}

// record makes a new map, as readers of the old one have no lock.
func (m *memoryJob) record(d job.Delivery) {
	all := maps.Clone(m.deliveries)
	if all == nil {
		all = map[job.Event]job.Delivery{}
	}
	all[d.Event] = d
	m.deliveries = all
}

// Pending implements job.Outbox.
func (s *MemoryStore) Pending(ctx context.Context, after string, hosts, each int) ([]job.Delivery, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []job.Delivery
	for _, m := range s.jobs {
		for _, d := range m.deliveries {
			if d.State == job.Pending && d.Host() > after {
				all = append(all, d)
			}
		}
	}
	slices.SortFunc(all, func(a, b job.Delivery) int {
		if c := strings.Compare(a.Host(), b.Host()); c != 0 {
			return c
		}
		return a.Due.Compare(b.Due)
	})
	var page []job.Delivery
	host, of, n := "", 0, 0
	for _, d := range all {
		if d.Host() != host || n == 0 {
			host, of, n = d.Host(), 0, n+1
		}
		if n > hosts {
			break
		}
		if of++; of <= each {
			page = append(page, d)
		}
	}
	return page, nil
}

// Deliveries implements job.Outbox.
func (s *MemoryStore) Deliveries(ctx context.Context, id string) ([]job.Delivery, error) {
	m, err := s.find(ctx, id)
	if errors.Is(err, job.ErrNoSuchJob) || errors.Is(err, job.ErrGone) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []job.Delivery
	for _, e := range job.AllEvents() {
		if d, ok := m.deliveries[e]; ok {
			all = append(all, d)
		}
	}
	return all, nil
}
