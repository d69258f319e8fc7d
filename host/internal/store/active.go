package store

import (
	"slices"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// activeSet knows the accepted and running jobs in the order of their ids. Its
// size is that of the queue and of what runs, not that of the store.
type activeSet struct {
	jobs []activeJob // oldest first
}

type activeJob struct {
	id      id
	status  ogc.Status
	process string
}

func (a *activeSet) find(i id) (int, bool) {
	return slices.BinarySearchFunc(a.jobs, i, func(e activeJob, i id) int { return e.id.compare(i) })
}

func (a *activeSet) put(i id, j *job.Job) {
	at, known := a.find(i)
	if !known {
		a.jobs = slices.Insert(a.jobs, at, activeJob{})
	}
	a.jobs[at] = activeJob{id: i, status: j.Status, process: j.ProcessID}
}

// remove moves the shorter side: old jobs end first, as a rule.
func (a *activeSet) remove(i id) {
	at, known := a.find(i)
	if !known {
		return
	}
	if at >= len(a.jobs)/2 {
		a.jobs = slices.Delete(a.jobs, at, at+1)
		return
	}
	copy(a.jobs[1:at+1], a.jobs[:at])
	a.jobs[0] = activeJob{}
	a.jobs = a.jobs[1:]
}

// within returns the first n ids of a span for which match holds, in the order of
// the direction.
func (a *activeSet) within(sp span, newer bool, n int, match func(*activeJob) bool) []id {
	from, _ := a.find(sp.oldest)
	to, last := a.find(sp.newest)
	if last {
		to++
	}
	var found []id
	for k := from; k < to && len(found) < n; k++ {
		at := k
		if !newer {
			at = from + to - 1 - k
		}
		if match(&a.jobs[at]) {
			found = append(found, a.jobs[at].id)
		}
	}
	return found
}
