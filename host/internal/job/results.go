package job

import (
	"context"
	"fmt"

	"geomill/sdk/ogc"
)

// Results returns the outputs of a successful job. It fails with ErrNotReady
// before the job has ended, with ErrNotAvailable when it has none to offer or
// was dismissed, and with a *FailedError when it failed (spec 5.3).
//
// Output files stay until the results are closed, even when the job is removed.
func (s *Service) Results(ctx context.Context, id string) (_ *Results, err error) {
	release := func() {}
	if s.Archive != nil {
		release = s.Archive.Hold(id)
	}
	defer func() {
		if err != nil {
			release()
		}
	}()
	j, err := s.Store.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	switch j.Status {
	case ogc.Successful:
	case ogc.Failed:
		return nil, &FailedError{Exception: *j.Exception}
	case ogc.Dismissed:
		return nil, ErrNotAvailable
	default:
		return nil, ErrNotReady
	}
	o, err := s.Store.Order(ctx, id)
	if err != nil {
		return nil, err
	}
	if o.Outputs != nil && len(o.Outputs) == 0 {
		return nil, ErrNotAvailable
	}
	r := &Results{Job: j, Order: o, Outputs: make(map[string]Value, len(j.Outputs)), release: release}
	if err := s.Catalog.Await(ctx, j.ProcessID); err != nil {
		return nil, err
	}
	if p, err := s.Catalog.Process(j.ProcessID); err == nil {
		r.Process = p
	}
	for name := range j.Outputs {
		if r.Outputs[name], err = s.Store.Output(ctx, id, name); err != nil {
			return nil, fmt.Errorf("read output %s: %w", name, err)
		}
	}
	return r, nil
}
