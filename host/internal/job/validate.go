package job

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Plan is how a request would be executed.
type Plan struct {
	Mode Mode
	Wait time.Duration // in the mode Wait: how long at most
}

// Validate checks a request as Submit does, and fails as that does with what is
// wrong with it. Nothing is executed, recorded or kept. Inputs by reference are
// judged by what can be told without fetching them; whether there is room for
// another job is not looked at.
func (s *Service) Validate(ctx context.Context, r Request) (Plan, error) {
	p, err := s.Catalog.Process(r.ProcessID)
	if err != nil {
		return Plan{}, err
	}
	uid, err := uuid.NewV7()
	if err != nil {
		return Plan{}, fmt.Errorf("make an id: %w", err)
	}
	id := uid.String() // of the directory for large inputs
	s.live.hold(id)
	defer s.live.drop(id)
	defer s.removeDir(id)
	in := s.intake(p, id)
	if _, err := in.order(ctx, r); err != nil {
		return Plan{}, err
	}
	if err := in.invalid(); err != nil {
		return Plan{}, err
	}
	mode, wait := Negotiate(p.JobControlOptions, r.Prefer, s.MaxWait)
	return Plan{Mode: mode, Wait: wait}, nil
}
