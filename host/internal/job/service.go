package job

import (
	"context"
	"errors"
)

// Service holds every rule about jobs.
type Service struct{}

var errTODO = errors.New("service is being built")

// Processes returns all processes, sorted by id.
func (s *Service) Processes() []*Process { return nil }

// Process returns one process.
func (s *Service) Process(id string) (*Process, error) { return nil, errTODO }

// Submit checks a request, creates a job and, unless it goes to the queue, runs it.
func (s *Service) Submit(ctx context.Context, r Request) (*Execution, error) { return nil, errTODO }

// Job returns a recorded job.
func (s *Service) Job(ctx context.Context, id string) (Job, error) { return Job{}, errTODO }

// Jobs lists recorded jobs, newest first.
func (s *Service) Jobs(ctx context.Context, f Filter, c Cursor, limit int) (Page, error) {
	return Page{}, errTODO
}

// Results returns the outputs of a job. It fails with ErrNotReady before the
// job has ended, with ErrNotAvailable when there are none (also after
// dismissal), and with *FailedError when the job failed.
func (s *Service) Results(ctx context.Context, id string) (*Results, error) { return nil, errTODO }

// Dismiss ends an active job, or removes a finished one. It returns the job with
// status dismissed.
func (s *Service) Dismiss(ctx context.Context, id string) (Job, error) { return Job{}, errTODO }
