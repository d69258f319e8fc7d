package jobtest

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// StoreWithArchive is a store that can keep within bounds.
type StoreWithArchive interface {
	job.Store
	job.Archive
}

// Archive checks that what open returns is a job.Archive in the full sense.
func Archive(t *testing.T, open func(t testing.TB) StoreWithArchive) {
	for name, test := range map[string]func(*testing.T, StoreWithArchive){
		"usage follows jobs from their creation to their removal": archiveUsage,
		"finished jobs come in the order in which they ended":     archiveEnded,
		"many jobs are removed at once":                           archiveRemove,
		"jobs that changed or are active stay":                    archiveStale,
		"held files outlive their job until they are released":    archiveHold,
		"files of stored jobs are not tidied away":                archiveTidy,
		"a call with an ended context removes nothing":            archiveContext,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// ended creates a job of a process and ends it, with a file output of a size when
// that is not zero.
func ended(t testing.TB, s job.Store, process string, status ogc.Status, size int) job.Job {
	t.Helper()
	j := NewJob(process)
	j.InputSize = 10
	j = as(create(t, s, j), status)
	if size == 0 {
		return update(t, s, j, nil)
	}
	path := filepath.Join(t.TempDir(), "out")
	if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
	return update(t, s, j, map[string]job.Value{"o": {File: path, Size: int64(size)}})
}

func archiveUsage(t *testing.T, s StoreWithArchive) {
	used(t, s, job.Usage{})
	a := create(t, s, NewJob("p"))
	used(t, s, job.Usage{Active: a.Size()})
	a = update(t, s, as(a, ogc.Running), nil)
	used(t, s, job.Usage{Active: a.Size()})
	a = update(t, s, as(a, ogc.Failed), nil)
	b, c := ended(t, s, "p", ogc.Successful, 1000), ended(t, s, "q", ogc.Successful, 0)
	d := ended(t, s, "p", ogc.Successful, 3)
	used(t, s, job.Usage{Finished: map[job.Group]job.Kept{
		{ProcessID: "p", Status: ogc.Failed}:     {Jobs: 1, Bytes: a.Size()},
		{ProcessID: "p", Status: ogc.Successful}: {Jobs: 2, Bytes: b.Size() + d.Size()},
		{ProcessID: "q", Status: ogc.Successful}: {Jobs: 1, Bytes: c.Size()},
	}})
	if err := s.Delete(within(t), a.ID, a.Revision); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Remove(within(t), []job.Job{b, d}); err != nil {
		t.Fatal(err)
	}
	used(t, s, job.Usage{Finished: map[job.Group]job.Kept{{ProcessID: "q", Status: ogc.Successful}: {Jobs: 1, Bytes: c.Size()}}})
}

// used compares the usage but for its revision.
func used(t *testing.T, s StoreWithArchive, want job.Usage) {
	t.Helper()
	got := s.Usage()
	want.Revision = got.Revision
	same(t, "usage", got, want)
}

func archiveEnded(t *testing.T, s StoreWithArchive) {
	p := []job.Group{{ProcessID: "p", Status: ogc.Successful}, {ProcessID: "p", Status: ogc.Failed}}
	late := create(t, s, NewJob("p"))
	ended(t, s, "q", ogc.Failed, 0)
	ended(t, s, "p", ogc.Dismissed, 0)
	a, b := ended(t, s, "p", ogc.Failed, 0), ended(t, s, "p", ogc.Successful, 0)
	c := ended(t, s, "p", ogc.Failed, 1)
	late = update(t, s, as(late, ogc.Successful), nil)
	if r := s.Usage().Revision; r != late.Revision {
		t.Errorf("revision %d, want %d", r, late.Revision)
	}
	page := func(after uint64, limit int) []job.Job {
		jobs, err := s.Ended(within(t), p, after, limit)
		if err != nil {
			t.Fatal(err)
		}
		return jobs
	}
	same(t, "all", page(0, 100), []job.Job{a, b, c, late})
	same(t, "the first", page(0, 2), []job.Job{a, b})
	same(t, "those after", page(b.Revision, 100), []job.Job{c, late})
	if _, err := s.Remove(within(t), []job.Job{a, c}); err != nil {
		t.Fatal(err)
	}
	same(t, "those left", page(0, 100), []job.Job{b, late})
	b.Message = "changed"
	b = update(t, s, b, nil)
	same(t, "after a change", page(0, 100), []job.Job{late, b})
	same(t, "none", page(b.Revision, 100), []job.Job(nil))
	d := ended(t, s, "p", ogc.Failed, 0)
	same(t, "those to come", page(b.Revision, 100), []job.Job{d})
}

func archiveRemove(t *testing.T, s StoreWithArchive) {
	var jobs []job.Job
	var ids []string
	for n := range 300 {
		j := ended(t, s, "p", ogc.Successful, n%2)
		jobs, ids = append(jobs, j), append(ids, j.ID)
	}
	kept := ended(t, s, "p", ogc.Successful, 1)
	removed, err := s.Remove(within(t), jobs)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "removed jobs", removed, ids)
	for _, id := range ids {
		_, err := s.Get(within(t), id)
		fails(t, "Get", err, job.ErrGone)
	}
	p, err := s.List(within(t), job.Filter{}, job.Cursor{}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "list", p.Jobs, []job.Job{kept})
}

func archiveStale(t *testing.T, s StoreWithArchive) {
	active := create(t, s, NewJob("p"))
	changed, gone := ended(t, s, "p", ogc.Failed, 1), ended(t, s, "p", ogc.Failed, 1)
	now := changed
	now.Message = "changed"
	now = update(t, s, now, nil)
	if _, err := s.Remove(within(t), []job.Job{gone}); err != nil {
		t.Fatal(err)
	}
	removed, err := s.Remove(within(t), []job.Job{active, changed, gone})
	if err != nil || len(removed) > 0 {
		t.Errorf("removed %v, %v", removed, err)
	}
	same(t, "the changed job", get(t, s, now.ID), now)
	same(t, "the active job", get(t, s, active.ID), active)
}

func archiveHold(t *testing.T, s StoreWithArchive) {
	for name, remove := range map[string]func(job.Job) error{
		"Delete": func(j job.Job) error { return s.Delete(within(t), j.ID, j.Revision) },
		"Remove": func(j job.Job) error { _, err := s.Remove(within(t), []job.Job{j}); return err },
	} {
		j := ended(t, s, "p", ogc.Successful, 7)
		first, second := s.Hold(j.ID), s.Hold(j.ID)
		v, err := s.Output(within(t), j.ID, "o")
		if err != nil {
			t.Fatal(err)
		}
		if err := remove(j); err != nil {
			t.Fatal(err)
		}
		_, err = s.Get(within(t), j.ID)
		fails(t, "Get", err, job.ErrGone)
		first()
		if _, err := os.Stat(v.File); err != nil {
			t.Errorf("%s: held file: %v", name, err)
		}
		used(t, s, job.Usage{Held: j.Size()})
		if n, err := s.Tidy(within(t)); n > 0 || err != nil {
			t.Errorf("Tidy = %d, %v", n, err)
		}
		second()
		if _, err := os.Stat(v.File); !os.IsNotExist(err) {
			t.Errorf("%s: released file: %v", name, err)
		}
		used(t, s, job.Usage{})
	}
}

func archiveTidy(t *testing.T, s StoreWithArchive) {
	j := ended(t, s, "p", ogc.Successful, 7)
	if n, err := s.Tidy(within(t)); n > 0 || err != nil {
		t.Errorf("Tidy = %d, %v", n, err)
	}
	v, err := s.Output(within(t), j.ID, "o")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(v.File); err != nil {
		t.Error(err)
	}
}

func archiveContext(t *testing.T, s StoreWithArchive) {
	j := ended(t, s, "p", ogc.Failed, 0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Remove(ctx, []job.Job{j})
	fails(t, "Remove", err, context.Canceled)
	get(t, s, j.ID)
}
