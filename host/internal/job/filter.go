package job

import "slices"

// Matches reports whether the filter selects a job.
func (f *Filter) Matches(j *Job) bool {
	switch {
	case len(f.ProcessIDs) > 0 && !slices.Contains(f.ProcessIDs, j.ProcessID),
		len(f.Statuses) > 0 && !slices.Contains(f.Statuses, j.Status),
		!f.CreatedFrom.IsZero() && j.Created.Before(f.CreatedFrom),
		!f.CreatedTo.IsZero() && j.Created.After(f.CreatedTo):
		return false
	case f.MinDuration == nil && f.MaxDuration == nil:
		return true
	case j.Started.IsZero():
		return false
	}
	end := j.Finished
	if end.IsZero() {
		end = f.Now
	}
	took := end.Sub(j.Started)
	return (f.MinDuration == nil || took >= *f.MinDuration) && (f.MaxDuration == nil || took <= *f.MaxDuration)
}

// everything reports whether the filter selects all jobs.
func (f *Filter) everything() bool {
	return len(f.ProcessIDs) == 0 && len(f.Statuses) == 0 && f.CreatedFrom.IsZero() && f.CreatedTo.IsZero() &&
		f.MinDuration == nil && f.MaxDuration == nil
}
