package store

import (
	"slices"

	"geomill/host/internal/job"
)

const (
	recentSize = 256 // jobs kept in memory for the first page, at least
	recentMost = 512 // jobs in memory before the oldest are dropped all at once
	recentLow  = 64  // fewer than that are filled up from the database
)

// recentJobs holds the newest jobs of the store, so that the page most asked for
// needs no iterator, whose cost rises with the number of tables.
type recentJobs struct {
	jobs []recentJob // oldest first
	// floor is the least id the list is complete from: every stored job at
	// least that new is in it.
	floor id
}

type recentJob struct {
	id  id
	job job.Job
}

func (r *recentJobs) find(i id) (int, bool) {
	return slices.BinarySearchFunc(r.jobs, i, func(e recentJob, i id) int { return e.id.compare(i) })
}

func (r *recentJobs) put(i id, j job.Job) {
	if i.compare(r.floor) < 0 {
		return
	}
	at, known := r.find(i)
	if known {
		r.jobs[at].job = j
		return
	}
	r.jobs = slices.Insert(r.jobs, at, recentJob{i, j})
	if len(r.jobs) > recentMost {
		r.jobs = slices.Delete(r.jobs, 0, len(r.jobs)-recentSize)
		r.floor = r.jobs[0].id
	}
}

func (r *recentJobs) remove(i id) {
	if at, known := r.find(i); known {
		r.jobs = slices.Delete(r.jobs, at, at+1)
	}
}

// low says that deletions have eaten much of the list and older jobs exist.
func (r *recentJobs) low() bool { return len(r.jobs) < recentLow && r.floor != oldest }

// page returns the first page of all jobs, and false when it takes more jobs
// than are here.
func (r *recentJobs) page(limit int) (job.Page, bool) {
	complete := r.floor == oldest
	if len(r.jobs) <= limit && !complete {
		return job.Page{}, false
	}
	n := min(limit, len(r.jobs))
	p := job.Page{Jobs: make([]job.Job, n), Older: len(r.jobs) > n}
	for k := range n {
		p.Jobs[k] = clone(r.jobs[len(r.jobs)-1-k].job)
	}
	return p, true
}
