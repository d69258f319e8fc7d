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
	// Statuses holds for those with one status. Where there is one, its Age
	// stands in place of that of Limit, also when it is zero.
	Statuses map[ogc.Status]Limit
}

// age returns how long a job of a status is kept; zero for ever.
func (r Retention) age(s ogc.Status) time.Duration {
	if l, ok := r.Statuses[s]; ok {
		return l.Age
	}
	return r.Age
}

// over returns by how much a set of jobs is beyond a limit, but for their age.
func (l Limit) over(have Kept) (over Kept) {
	if l.Jobs > 0 {
		over.Jobs = max(have.Jobs-l.Jobs, 0)
	}
	if l.Bytes > 0 {
		over.Bytes = max(have.Bytes-l.Bytes, 0)
	}
	return over
}

// surplus returns how many of jobs, which ended in this order, have to go so
// that nothing is over any more.
func surplus(jobs []Job, over Kept) int {
	for n, j := range jobs {
		if over.Jobs <= 0 && over.Bytes <= 0 {
			return n
		}
		over = over.Add(Kept{-1, -j.Size()})
	}
	return len(jobs)
}

// expired returns those of jobs, which ended in this order, that are beyond an
// age, and whether jobs that ended later may be as well. A job that ends in the
// future was written under a wrong clock and says nothing of those after it.
func expired(jobs []Job, limit time.Duration, now time.Time, age func(Job) time.Duration) (gone []Job, more bool) {
	for _, j := range jobs {
		switch {
		case age(j) >= limit:
			gone = append(gone, j)
		case !j.Finished.After(now):
			return gone, false
		}
	}
	return gone, true
}

// expires returns when a job is due to be removed for its age; zero for never.
func (s *Service) expires(j Job) time.Time {
	if s.Archive == nil || s.Retention == nil || !j.Status.Final() {
		return time.Time{}
	}
	if age := s.Retention(j.ProcessID).age(j.Status); age > 0 {
		return j.Finished.Add(age)
	}
	return time.Time{}
}
