package jobtest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

func ids(p job.Page) (ids []string) {
	for _, j := range p.Jobs {
		ids = append(ids, j.ID)
	}
	return ids
}

func listed(t testing.TB, s job.Store, f job.Filter, c job.Cursor, limit int) job.Page {
	t.Helper()
	p, err := s.List(within(t), f, c, limit)
	if err != nil {
		t.Fatalf("List: %v", err)
	}
	return p
}

func list0(t testing.TB, s job.Store, f job.Filter) job.Page {
	t.Helper()
	return listed(t, s, f, job.Cursor{}, 1000)
}

// createMany returns the ids of n new jobs, newest first.
func createMany(t testing.TB, s job.Store, n int, process string) []string {
	t.Helper()
	ids := make([]string, n)
	for k := range n {
		ids[n-1-k] = create(t, s, NewJob(process)).ID
	}
	return ids
}

func listOrder(t *testing.T, s job.Store) {
	same(t, "list of an empty store", list0(t, s, job.Filter{}), job.Page{})
	all := createMany(t, s, 7, "p")
	p := listed(t, s, job.Filter{}, job.Cursor{}, 3)
	same(t, "first page", ids(p), all[:3])
	same(t, "first of the page", p.Jobs[0], get(t, s, all[0]))
	if !p.Older || p.Newer {
		t.Errorf("the first page says older %v, newer %v", p.Older, p.Newer)
	}
	p = listed(t, s, job.Filter{}, job.Cursor{}, 7)
	same(t, "all jobs", ids(p), all)
	if p.Older || p.Newer {
		t.Errorf("the only page says older %v, newer %v", p.Older, p.Newer)
	}
}

func listPaging(t *testing.T, s job.Store) {
	all := createMany(t, s, 10, "p")
	pages := [][]string{all[:4], all[4:8], all[8:]}
	var c job.Cursor
	for n, want := range pages {
		p := listed(t, s, job.Filter{}, c, 4)
		same(t, fmt.Sprintf("page %d", n), ids(p), want)
		if p.Newer != (n > 0) || p.Older != (n < 2) {
			t.Errorf("page %d says older %v, newer %v", n, p.Older, p.Newer)
		}
		c.After = want[len(want)-1]
	}
	for n := 1; n >= 0; n-- {
		p := listed(t, s, job.Filter{}, job.Cursor{After: pages[n+1][0], Newer: true}, 4)
		same(t, fmt.Sprintf("page %d backwards", n), ids(p), pages[n])
		if p.Newer != (n > 0) || !p.Older {
			t.Errorf("page %d backwards says older %v, newer %v", n, p.Older, p.Newer)
		}
	}
}

func listForeignCursor(t *testing.T, s job.Store) {
	all := createMany(t, s, 2, "p")
	never := NewJob("p")
	all = append(createMany(t, s, 2, "p"), all...)
	gone := get(t, s, all[1])
	if err := s.Delete(within(t), gone.ID, gone.Revision); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	for _, c := range []struct {
		after       string
		newer, rest []string
	}{
		{never.ID, all[:1], all[2:]},
		{gone.ID, all[:1], all[2:]},
	} {
		p := listed(t, s, job.Filter{}, job.Cursor{After: c.after}, 5)
		same(t, "older page", p, job.Page{Jobs: p.Jobs, Newer: true})
		same(t, "older jobs", ids(p), c.rest)
		p = listed(t, s, job.Filter{}, job.Cursor{After: c.after, Newer: true}, 5)
		same(t, "newer page", p, job.Page{Jobs: p.Jobs, Older: true})
		same(t, "newer jobs", ids(p), c.newer)
	}
}

func listEnds(t *testing.T, s job.Store) {
	all := createMany(t, s, 3, "p")
	same(t, "newer than the start", listed(t, s, job.Filter{}, job.Cursor{Newer: true}, 2), job.Page{Older: true})
	p := listed(t, s, job.Filter{}, job.Cursor{After: uuid.Nil.String(), Newer: true}, 2)
	same(t, "oldest jobs", ids(p), all[1:])
	same(t, "oldest page", p, job.Page{Jobs: p.Jobs, Newer: true})
	p = listed(t, s, job.Filter{}, job.Cursor{After: all[2]}, 2)
	same(t, "older than the oldest", p, job.Page{Newer: true})
	p = listed(t, s, job.Filter{}, job.Cursor{After: all[0], Newer: true}, 2)
	same(t, "newer than the newest", p, job.Page{Older: true})
	p = listed(t, s, job.Filter{}, job.Cursor{After: uuid.Max.String()}, 5)
	same(t, "older than the last of all ids", ids(p), all)
}

func listFilters(t *testing.T, s job.Store) {
	base := NewJob("p").Created
	statuses := []ogc.Status{ogc.Accepted, ogc.Running, ogc.Successful, ogc.Failed, ogc.Dismissed}
	var all []job.Job
	for n := range 30 {
		j := NewJob([]string{"p", "q", "p.q"}[n%3])
		j.Created = base.Add(time.Duration(n) * time.Millisecond)
		j = create(t, s, j)
		if status := statuses[n%5]; status != ogc.Accepted {
			j.Status, j.Started = status, base
			if status.Final() {
				j.Finished = base.Add(time.Duration(n) * time.Second)
			}
			j = update(t, s, j, nil)
		}
		all = append(all, j)
	}
	second := func(n int) *time.Duration { d := time.Duration(n) * time.Second; return &d }
	at := func(n int) time.Time { return base.Add(time.Duration(n) * time.Millisecond) }
	for name, f := range map[string]job.Filter{
		"status":                   {Statuses: []ogc.Status{ogc.Failed}},
		"active":                   {Statuses: []ogc.Status{ogc.Accepted, ogc.Running}},
		"several statuses":         {Statuses: []ogc.Status{ogc.Running, ogc.Failed, ogc.Dismissed, ogc.Failed}},
		"all statuses":             {Statuses: statuses},
		"an unknown status":        {Statuses: []ogc.Status{"odd"}},
		"process":                  {ProcessIDs: []string{"p"}},
		"processes":                {ProcessIDs: []string{"q", "p", "none"}},
		"unknown process":          {ProcessIDs: []string{"none", "p\x00"}},
		"process and status":       {ProcessIDs: []string{"p", "q"}, Statuses: []ogc.Status{ogc.Accepted, ogc.Successful}},
		"from":                     {CreatedFrom: at(10)},
		"to":                       {CreatedTo: at(10)},
		"one moment":               {CreatedFrom: at(10), CreatedTo: at(10)},
		"no time":                  {CreatedFrom: at(11), CreatedTo: at(10)},
		"longer":                   {MinDuration: second(8), Now: base.Add(time.Minute)},
		"shorter":                  {MaxDuration: second(8), Now: base.Add(time.Minute)},
		"as long":                  {MinDuration: second(8), MaxDuration: second(8), Now: base.Add(8 * time.Second)},
		"all at once":              {ProcessIDs: []string{"p", "q"}, Statuses: statuses[1:3], CreatedFrom: at(2), MinDuration: second(1), Now: base.Add(time.Hour)},
		"more alternatives":        {ProcessIDs: append(manyNames(40), "q"), Statuses: statuses[1:]},
		"more processes than most": {ProcessIDs: append(manyNames(40), "p.q")},
	} {
		for _, c := range []job.Cursor{{}, {After: all[13].ID}, {After: all[17].ID, Newer: true}} {
			got := listed(t, s, f, c, 3)
			same(t, fmt.Sprintf("page of %s at %+v", name, c), got, list(clones(all), f, c, 3))
		}
	}
}

func clones(all []job.Job) []job.Job { return append([]job.Job(nil), all...) }

func manyNames(n int) (names []string) {
	for k := range n {
		names = append(names, fmt.Sprint("none", k))
	}
	return names
}

func listStatusChange(t *testing.T, s job.Store) {
	j := create(t, s, NewJob("p"))
	for _, status := range []ogc.Status{ogc.Accepted, ogc.Running, ogc.Accepted, ogc.Running, ogc.Failed, ogc.Dismissed, ogc.Running} {
		j = update(t, s, as(j, status), nil)
		for _, other := range []ogc.Status{ogc.Accepted, ogc.Running, ogc.Successful, ogc.Failed, ogc.Dismissed} {
			for _, processes := range [][]string{nil, {"p"}} {
				var want []job.Job
				if other == status {
					want = []job.Job{j}
				}
				p := list0(t, s, job.Filter{Statuses: []ogc.Status{other}, ProcessIDs: processes})
				same(t, fmt.Sprintf("%s jobs while it is %s", other, status), p, job.Page{Jobs: want})
			}
		}
	}
}

func listForeignCreated(t *testing.T, s job.Store) {
	var all []job.Job
	for _, shift := range []time.Duration{0, 5 * time.Second, -time.Hour, 3000 * time.Hour, 0} {
		j := NewJob("p")
		j.Created = j.Created.Add(shift)
		all = append(all, create(t, s, j))
	}
	for _, j := range all {
		f := job.Filter{CreatedFrom: j.Created.Add(-time.Millisecond), CreatedTo: j.Created.Add(time.Millisecond)}
		same(t, "jobs created then", list0(t, s, f), list(clones(all), f, job.Cursor{}, 1000))
	}
}

func listBadArguments(t *testing.T, s job.Store) {
	if _, err := s.List(within(t), job.Filter{}, job.Cursor{After: "nonsense"}, 10); err == nil {
		t.Error("List accepted a cursor that is no id")
	}
	if _, err := s.List(within(t), job.Filter{}, job.Cursor{}, 0); err == nil {
		t.Error("List accepted the limit 0")
	}
}

func listConcurrent(t *testing.T, s job.Store) {
	stay := create(t, s, NewJob("stay"))
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 25 {
				j := create(t, s, NewJob("p"))
				j = update(t, s, as(j, ogc.Running), nil)
				j = update(t, s, as(j, ogc.Successful), nil)
				same(t, "a finished job by itself", listed(t, s, job.Filter{Statuses: []ogc.Status{ogc.Successful}},
					job.Cursor{After: after(j.ID)}, 1).Jobs, []job.Job{j})
			}
		})
	}
	go func() {
		defer close(done)
		wg.Wait()
	}()
	for busy := true; busy; {
		select {
		case <-done:
			busy = false
		default:
		}
		p := list0(t, s, job.Filter{Statuses: []ogc.Status{ogc.Accepted}, ProcessIDs: []string{"stay"}})
		same(t, "the job that waits", p.Jobs, []job.Job{stay})
		for _, j := range list0(t, s, job.Filter{Statuses: []ogc.Status{ogc.Running}}).Jobs {
			if j.Status != ogc.Running {
				t.Errorf("a list of running jobs holds one that is %s", j.Status)
			}
		}
	}
	if n := len(list0(t, s, job.Filter{}).Jobs); n != 101 {
		t.Errorf("%d jobs are listed, want 101", n)
	}
}

// after returns the id just newer than another, so that a list after it begins
// with that other.
func after(id string) string {
	u := uuid.MustParse(id)
	for n := len(u) - 1; n >= 0; n-- {
		if u[n]++; u[n] != 0 {
			break
		}
	}
	return u.String()
}
