package jobtest

import (
	"errors"
	"fmt"
	"slices"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// lifeArrows is the life of a job as its documentation draws it.
var lifeArrows = map[ogc.Status][]ogc.Status{
	ogc.Accepted: {ogc.Running, ogc.Failed, ogc.Dismissed},
	ogc.Running:  {ogc.Successful, ogc.Failed, ogc.Dismissed, ogc.Accepted},
}

// faults are noted where they are seen, and told by check.
func (l *life) fault(format string, args ...any) {
	l.wrong = append(l.wrong, fmt.Sprintf(format, args...))
}

// see returns what is known of a job by now.
func (l *life) see(id string) tracked {
	l.mu.Lock()
	defer l.mu.Unlock()
	return *l.records[id]
}

// note changes what is known of a job.
func (l *life) note(id string, change func(*tracked)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(l.records[id])
}

// jobs returns the ids of all jobs, in the order of their creation.
func (l *life) jobs() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.ids)
}

func (l *life) created(j job.Job) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if j.Status != ogc.Accepted || j.Attempt != 0 {
		l.fault("job %+v is new", j)
	}
	l.ids = append(l.ids, j.ID)
	l.records[j.ID] = &tracked{job: j}
}

// updated holds a change against the arrows.
func (l *life) updated(j job.Job) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.records[j.ID]
	before := r.job
	r.job = j
	if j.Status == before.Status && !before.Status.Final() {
		return // news of it, such as progress
	}
	if !slices.Contains(lifeArrows[before.Status], j.Status) {
		l.fault("%+v became %+v", before, j)
	}
	begins := 0
	if j.Status == ogc.Running {
		begins = 1
	}
	turnedAway := before.Status == ogc.Running && j.Status == ogc.Accepted && j.Attempt == before.Attempt-1
	if j.Attempt != before.Attempt+begins && !turnedAway {
		l.fault("attempts of %+v are %d after %d", j, j.Attempt, before.Attempt)
	}
	if j.Finished.IsZero() == j.Status.Final() || (len(j.Outputs) > 0) != (j.Status == ogc.Successful) {
		l.fault("%+v has a time of its end, or outputs, that do not go with its status", j)
	}
}

func (l *life) deleted(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records[id].deleted = true
	if !l.records[id].job.Status.Final() {
		l.fault("%+v was removed", l.records[id].job)
	}
}

func (l *life) started(a *trial) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, _ := slices.BinarySearchFunc(l.attempts, a, func(x, y *trial) int {
		return slices.Index(l.ids, x.JobID)*100 + x.Number - slices.Index(l.ids, y.JobID)*100 - y.Number
	})
	l.attempts = slices.Insert(l.attempts, at, a)
	r := l.records[a.JobID]
	if r.ran++; r.ran > 1+l.retries(r) {
		l.fault("job %+v runs for the %d. time", r.job, r.ran)
	}
	if r.job.Attempt != a.Number && a.m == l.host {
		l.fault("attempt %d of job %+v runs", a.Number, r.job)
	}
}

// retries is how often a job may be run again.
func (l *life) retries(r *tracked) int {
	if r.job.ProcessID == "again" && !r.job.Sync {
		return 2
	}
	return 0
}

// check compares the store with what was written, after every event. A host that
// has died is followed by another.
func (l *life) check(rt *rapid.T) {
	synctest.Wait() // what an action has set off comes to rest before the next
	if l.host.alive() != nil {
		l.kill(rt)
	}
	l.mu.Lock()
	wrong := slices.Clone(l.wrong)
	l.mu.Unlock()
	for _, w := range wrong {
		rt.Error(w)
	}
	running := 0
	for _, id := range l.jobs() {
		r := l.see(id)
		j, err := l.store.Get(l.t.Context(), id)
		if r.deleted {
			if !errors.Is(err, job.ErrGone) && !errors.Is(err, job.ErrNoSuchJob) {
				rt.Fatalf("removed job %+v: %v", j, err)
			}
			continue
		}
		if err != nil || j.Revision != r.job.Revision || j.Status != r.job.Status {
			rt.Fatalf("job is %+v (%v), was %+v", j, err, r.job)
		}
		if _, err := l.store.Output(l.t.Context(), id, "out"); (err == nil) != (j.Status == ogc.Successful) {
			rt.Fatalf("output of %+v: %v", j, err)
		}
		if j.Status != ogc.Running {
			continue
		}
		running++
		if !slices.ContainsFunc(l.ongoing(), func(a *trial) bool { return a.JobID == id && l.current(a) }) {
			rt.Fatalf("job %+v is said to run, but does not", j)
		}
	}
	if all := list0(l.t, l.store, job.Filter{Statuses: []ogc.Status{ogc.Running}}).Jobs; len(all) != running {
		rt.Fatalf("%d jobs run, %d are listed", running, len(all))
	}
}

// finishAll lets every attempt succeed and time go by until each job has ended
// and nothing waits.
func (l *life) finishAll(rt *rapid.T) {
	for range 100 {
		l.check(rt)
		for _, a := range l.ongoing() {
			a.end(verdict{outputs: made(a)})
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		waiting, _, err := l.queue.Depth(l.t.Context(), "")
		if err != nil {
			rt.Fatal(err)
		}
		active := slices.ContainsFunc(l.jobs(), func(id string) bool { return !l.see(id).job.Status.Final() })
		if waiting == 0 && !active && len(l.ongoing()) == 0 {
			return
		}
	}
	for _, id := range l.jobs() {
		rt.Logf("%+v", l.see(id).job)
	}
	rt.Fatal("a job does not end, or a ticket waits for ever")
}
