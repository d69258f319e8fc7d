package job

import (
	"fmt"
	"time"

	"geomill/sdk/ogc"
)

// arrows is the life of a job: who may follow whom. Final states have no way
// out; running goes back to accepted when another attempt is due.
var arrows = map[ogc.Status][]ogc.Status{
	ogc.Accepted: {ogc.Running, ogc.Failed, ogc.Dismissed},
	ogc.Running:  {ogc.Successful, ogc.Failed, ogc.Dismissed, ogc.Accepted},
}

// move returns j with its status changed at time now and what follows from the
// change. It fails when there is no such arrow. The times of a record never go
// back, though the clock may.
func (j Job) move(to ogc.Status, now time.Time) (Job, error) {
	allowed := false
	for _, s := range arrows[j.Status] {
		allowed = allowed || s == to
	}
	if !allowed {
		return j, fmt.Errorf("job %s: %w: it is %s and cannot become %s", j.ID, ErrConflict, j.Status, to)
	}
	if now.Before(j.Updated) {
		now = j.Updated
	}
	j.Status, j.Updated = to, now
	switch {
	case to == ogc.Running:
		j.Attempt++
		j.Message, j.Progress = "", 0
		if j.Started.IsZero() {
			j.Started = now
		}
	case to == ogc.Accepted:
		j.Progress = 0 // the next attempt begins anew
	case to == ogc.Successful:
		j.Progress, j.Finished = 100, now
	case to.Final():
		j.Finished = now
	}
	return j, nil
}
