package job

import (
	"context"
	"fmt"
	"slices"
	"time"

	"geomill/sdk/ogc"
)

// LatestStart is how far ahead a client may ask for a job to start.
const LatestStart = 30 * 24 * time.Hour

// ticket is the job's in the queue.
func (j Job) ticket() Ticket {
	return Ticket{JobID: j.ID, ProcessID: j.ProcessID, Caller: j.Caller, Priority: j.Priority, NotBefore: j.NotBefore}
}

// wishes notes in a new job how and by when it is to start.
func (s *Service) wishes(j Job, p *Process, r Request) Job {
	j.Caller, j.Priority = r.Caller, p.Policy.Priority
	if r.Prefer.Priority.Valid() {
		j.Priority = r.Prefer.Priority
	}
	due := j.Created
	if !r.Prefer.NotBefore.IsZero() && r.Prefer.NotBefore.Sub(j.Created) <= LatestStart {
		j.NotBefore = r.Prefer.NotBefore
		if j.NotBefore.After(due) {
			due = j.NotBefore
		}
	}
	wait := s.QueueTimeout
	if p.Policy.QueueTimeout != nil {
		wait = *p.Policy.QueueTimeout
	}
	if wait > 0 {
		j.StartBy = due.Add(wait)
	}
	return j
}

// room is how many queued jobs of a process may run at once; 0 is any number. Of
// a process that runs more than one, sync executions have a quarter for
// themselves, at least one.
func (s *Service) room(processID string) int {
	p, _ := s.Catalog.Process(processID)
	if p == nil {
		return 0
	}
	n := p.Policy.MaxConcurrency
	if n > 1 && slices.Contains(p.JobControlOptions, ogc.SyncExecute) {
		n -= max(1, n/4)
	}
	return n
}

// placed adds to the message of a job that waits where it waits. The record stays
// as it is.
func (s *Service) placed(ctx context.Context, j Job) Job {
	if j.Status != ogc.Accepted || j.Sync {
		return j
	}
	p, err := s.Queue.Standing(ctx, j.ID)
	switch {
	case err != nil:
		s.Logger.Debug("place in the queue", "job", j.ID, "error", err)
	case !p.Due.IsZero() && j.Message == "":
		j.Message = waitsUntil(p.Due)
	case p.Of > 0:
		where := fmt.Sprintf("waits in the queue: about %d of %d", p.Position, p.Of)
		if j.Message != "" {
			where = j.Message + "; " + where
		}
		j.Message = where
	}
	return j
}

func waitsUntil(t time.Time) string { return "waits until " + t.UTC().Format(time.RFC3339) }
