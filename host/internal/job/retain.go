package job

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"
)

const (
	retainPage = 512         // jobs that are removed at a time
	retainRest = time.Second // longest pause after that
	retainDuty = 4           // how much longer than that pause removing them takes

	retainSpacing = 100 * time.Millisecond // shortest pause between two rounds
)

// retaining is what retention knows between two rounds.
type retaining struct {
	ages ages
	now  chan struct{} // asks for a round
	full atomic.Bool   // the quota is used up, and nothing is left to remove
	dirs atomic.Int64  // bytes in the directories of jobs, as of the last round
}

// overQuota reports that new jobs have to wait for space: there is no more of the
// quota, and no finished job to be removed.
func (s *Service) overQuota() error {
	if s.retaining.full.Load() {
		s.checkQuota() // what ended meanwhile may have left room
		return fmt.Errorf("%w: the quota of %d bytes is used up", ErrNoSpace, s.DiskQuota)
	}
	return nil
}

// countInputs adds the files of an accepted order to what is taken of the quota,
// until the next round measures them.
func (s *Service) countInputs(o Order) {
	if s.DiskQuota <= 0 {
		return
	}
	for _, v := range o.Inputs {
		if v.File != "" {
			s.retaining.dirs.Add(v.Size)
		}
	}
	s.checkQuota()
}

// checkQuota asks for a round of retention when more is kept than the quota
// allows. It is called when a job is accepted, and when one ends.
func (s *Service) checkQuota() {
	if s.Archive == nil || s.DiskQuota <= 0 {
		return
	}
	if s.retaining.full.Load() || s.Archive.Usage().Bytes()+s.retaining.dirs.Load() > s.DiskQuota {
		select {
		case s.retaining.now <- struct{}{}:
		default:
		}
	}
}

// retain removes finished jobs that are beyond the limits: first those that have
// expired, then those that ended first, until counts, bytes and quota hold.
func (s *Service) retain(ctx context.Context) error {
	if s.Archive == nil {
		return nil
	}
	u := s.Archive.Usage()
	s.retaining.ages.note(s.Now(), s.Elapsed(), u.Revision)
	if s.Retention != nil {
		for _, g := range sortedGroups(u) {
			if err := s.removeExpired(ctx, g, s.Retention(g.ProcessID).age(g.Status)); err != nil {
				return err
			}
		}
		if err := s.trimProcesses(ctx); err != nil {
			return err
		}
	}
	u = s.Archive.Usage()
	all := sortedGroups(u)
	if err := s.trim(ctx, all, s.Retain.over(sum(u, all))); err != nil {
		return err
	}
	return s.keepQuota(ctx)
}

func sortedGroups(u Usage) []Group {
	return slices.SortedFunc(maps.Keys(u.Finished), func(a, b Group) int {
		return cmp.Or(cmp.Compare(a.ProcessID, b.ProcessID), cmp.Compare(a.Status, b.Status))
	})
}

func sum(u Usage, groups []Group) (k Kept) {
	for _, g := range groups {
		k = k.Add(u.Finished[g])
	}
	return k
}

// trimProcesses has the limits of counts and bytes hold for each process.
func (s *Service) trimProcesses(ctx context.Context) error {
	for p, groups := range byProcess(sortedGroups(s.Archive.Usage())) {
		r := s.Retention(p)
		for _, g := range groups {
			if err := s.trim(ctx, []Group{g}, r.Statuses[g.Status].over(s.Archive.Usage().Finished[g])); err != nil {
				return err
			}
		}
		if err := s.trim(ctx, groups, r.Limit.over(sum(s.Archive.Usage(), groups))); err != nil {
			return err
		}
	}
	return nil
}

func byProcess(groups []Group) map[string][]Group {
	by := map[string][]Group{}
	for _, g := range groups {
		by[g.ProcessID] = append(by[g.ProcessID], g)
	}
	return by
}

// keepQuota removes what ended first until the disk quota holds, or tells that
// it cannot.
func (s *Service) keepQuota(ctx context.Context) error {
	if s.DiskQuota <= 0 {
		return nil
	}
	over := func() int64 { // as it is now: jobs end, and their directories go, meanwhile
		n := dirSize(s.Dir)
		if s.WorkDir != "" {
			n += dirSize(s.WorkDir)
		}
		s.retaining.dirs.Store(n)
		return s.Archive.Usage().Bytes() + s.retaining.dirs.Load() - s.DiskQuota
	}
	above := over()
	for more := true; above > 0 && more; above = over() {
		u := s.Archive.Usage()
		groups := sortedGroups(u)
		if err := s.trim(ctx, groups, Kept{Bytes: above}); err != nil {
			return err
		}
		more = sum(s.Archive.Usage(), groups).Jobs < sum(u, groups).Jobs
	}
	full := above > 0
	if was := s.retaining.full.Swap(full); full && !was {
		s.Logger.Warn("the disk quota is used up by jobs that cannot be removed: new ones are refused", "bytes", s.DiskQuota)
	}
	return nil
}

// removeExpired removes the jobs of a group that are beyond an age.
func (s *Service) removeExpired(ctx context.Context, g Group, limit time.Duration) error {
	if limit <= 0 {
		return nil
	}
	age := func(j Job) time.Duration { return s.retaining.ages.of(j, s.Now(), s.Elapsed()) }
	for after, more := uint64(0), true; more; {
		jobs, err := s.Archive.Ended(ctx, []Group{g}, after, retainPage)
		if err != nil {
			return err
		}
		var gone []Job
		gone, more = expired(jobs, limit, s.Now(), age)
		if err := s.removeAll(ctx, gone); err != nil {
			return err
		}
		if len(jobs) == 0 {
			return nil
		}
		after = jobs[len(jobs)-1].Revision
	}
	return nil
}

// trim removes the jobs of some groups that ended first, until nothing is over.
func (s *Service) trim(ctx context.Context, groups []Group, over Kept) error {
	for after := uint64(0); over.Jobs > 0 || over.Bytes > 0; {
		jobs, err := s.Archive.Ended(ctx, groups, after, retainPage)
		if err != nil || len(jobs) == 0 {
			return err
		}
		after = jobs[len(jobs)-1].Revision
		gone := jobs[:surplus(jobs, over)]
		if err := s.removeAll(ctx, gone); err != nil {
			return err
		}
		for _, j := range gone {
			over = over.Add(Kept{-1, -j.Size()})
		}
	}
	return nil
}

// removeAll removes finished jobs with all that is kept of them, and then rests:
// whoever is served meanwhile needs the disk as well.
func (s *Service) removeAll(ctx context.Context, jobs []Job) error {
	if len(jobs) == 0 {
		return nil
	}
	start := time.Now()
	for _, j := range jobs {
		if err := s.removeLog(ctx, j.ID); err != nil {
			return err
		}
	}
	removed, err := s.Archive.Remove(ctx, jobs)
	for _, id := range removed {
		s.removeTraces(id)
	}
	if err != nil {
		return err
	}
	s.Logger.Debug("finished jobs were removed", "jobs", len(removed), "took", time.Since(start))
	return pause(ctx, min(time.Since(start)/retainDuty, retainRest))
}

// pause returns after d, or with the error of ctx.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// retainer has the limits hold until ctx ends: every SweepEvery, and when a job
// ends beyond the quota.
func (s *Service) retainer(ctx context.Context) {
	if s.Archive == nil {
		return
	}
	if n, err := s.Archive.Tidy(ctx); n > 0 || err != nil && ctx.Err() == nil {
		s.Logger.Warn("files of outputs that no job has were removed", "jobs", n, "error", err)
	}
	t := time.NewTicker(s.SweepEvery)
	defer t.Stop()
	for {
		if err := s.retain(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, context.Canceled) {
			s.Logger.Error("finished jobs are not removed", "error", err)
		}
		if pause(ctx, retainSpacing) != nil {
			return
		}
		select {
		case <-t.C:
		case <-s.retaining.now:
		case <-ctx.Done():
			return
		}
	}
}
