package job

import (
	"time"

	"geomill/sdk/ogc"
)

// Limit bounds what is kept of finished jobs. Members that are zero set no
// limit.
type Limit struct {
	Age   time.Duration // since the end of the job
	Jobs  int
	Bytes int64 // see Job.Size
}

// Retention is what is kept of the finished jobs of one process.
type Retention struct {
	// Limit holds for its jobs together, whatever their status.
	Limit
	// Statuses holds for those with one status; its Age stands above Limit's.
	Statuses map[ogc.Status]Limit
}

// age returns how long a job of a status is kept; zero for ever.
func (r Retention) age(s ogc.Status) time.Duration {
	if l := r.Statuses[s]; l.Age > 0 {
		return l.Age
	}
	return r.Age
}

// cut decides which jobs of a set go. It is asked about them oldest first.
type cut struct {
	over Kept // to go, whatever their age
	// expired reports whether the age of a job is beyond its limit; nil when
	// there is none.
	expired func(Job) bool
	// before is a time of creation from which on no job can have expired.
	before time.Time
}

// newCut is the cut of a set of which so much is kept under a limit.
func newCut(l Limit, have Kept) (c cut) {
	if l.Jobs > 0 {
		c.over.Jobs = have.Jobs - l.Jobs
	}
	if l.Bytes > 0 {
		c.over.Bytes = have.Bytes - l.Bytes
	}
	return c
}

// exceeded reports whether something has to go before it has expired.
func (c *cut) exceeded() bool { return c.over.Jobs > 0 || c.over.Bytes > 0 }

// take reports whether the next job goes, and whether jobs after it may.
func (c *cut) take(j Job) (goes, more bool) {
	if c.exceeded() {
		c.over = c.over.Add(Kept{-1, -j.Size()})
		return true, true
	}
	if c.expired == nil {
		return false, false
	}
	return c.expired(j), j.Created.Before(c.before)
}
