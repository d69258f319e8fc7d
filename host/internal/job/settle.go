package job

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"geomill/host/internal/removal"
	"geomill/sdk/ogc"
)

// roomPatience is how long a full disk may keep the outputs of a job from being
// stored before they are given up.
const roomPatience = 5 * time.Minute

// settle writes how an attempt ended, and returns the job as it then is. What
// the store does not take, as on a full disk, is tried until it does: a result is
// not lost for that, unless it is the outputs themselves that cannot be kept, or
// have no room for the time of roomPatience. When the host stops first, the job
// stays running on disk, and the next host settles it.
func (s *Service) settle(ctx context.Context, j Job, to ogc.Status, outputs map[string]Value) Job {
	start := time.Now()
	for {
		n, err := s.change(ctx, j, to, outputs)
		if err == nil {
			return n
		}
		s.Logger.Error("end of a job is not recorded", "job", j.ID, "status", to, "error", err)
		if lost(err) {
			return n
		}
		if outputs != nil && (!IsNoSpace(err) || time.Since(start) > roomPatience) {
			to, outputs = ogc.Failed, nil
			j.Exception = j.exception(fmt.Errorf("store outputs: %w", err))
			j.Message = j.Exception.Detail
			s.removeOutputs(j) // they may be what fills the disk
		}
		select {
		case <-s.quit:
			return n
		default:
		}
	}
}

// lost reports whether an error says that someone else has changed the job.
func lost(err error) bool {
	return errors.Is(err, ErrConflict) || errors.Is(err, ErrNoSuchJob) || errors.Is(err, ErrGone)
}

// removeOutputs removes what an attempt has written. Its inputs stay, for the case
// that it has to run again.
func (s *Service) removeOutputs(j Job) {
	dir := s.attemptDir(j.ID, j.Attempt)
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if e.Name() != inputsDir {
			err = errors.Join(err, removal.Tree(filepath.Join(dir, e.Name())))
		}
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		s.Logger.Warn("outputs of an attempt stay behind", "job", j.ID, "error", err)
	}
}

// The parts of a job's directory besides those of its attempts, which are named
// by their numbers.
const (
	inputsDir     = "in"
	checkpointDir = "checkpoint"
)

func (s *Service) checkpointDir(id string) string { return filepath.Join(s.jobDir(id), checkpointDir) }

// cleanUp removes the directory of a job that has ended, or makes it ready for
// another attempt.
func (s *Service) cleanUp(j Job) {
	switch {
	case j.Status == ogc.Accepted:
		s.takeBack(j.ID)
	case j.Status.Final():
		s.removeDir(j.ID)
		s.checkQuota()
	}
}

// takeBack undoes lendInputs and removes what the attempts left, except for the
// checkpoint.
func (s *Service) takeBack(id string) {
	entries, err := os.ReadDir(s.jobDir(id))
	if err != nil { // most often there is none
		if !errors.Is(err, os.ErrNotExist) {
			s.Logger.Error("inputs of a job are out of reach", "job", id, "error", err)
		}
		return
	}
	home := false // the inputs are where they belong
	for _, e := range entries {
		home = home || e.Name() == inputsDir
	}
	for _, e := range entries {
		if e.Name() == inputsDir || e.Name() == checkpointDir {
			continue
		}
		attempt := filepath.Join(s.jobDir(id), e.Name())
		if !home && e.IsDir() { // a link leads elsewhere
			switch err := os.Rename(filepath.Join(attempt, inputsDir), s.inputDir(id)); {
			case err == nil:
				home = true
			case !errors.Is(err, os.ErrNotExist):
				s.Logger.Error("inputs of a job are out of reach", "job", id, "error", err)
				continue
			}
		}
		if err := removal.Tree(attempt); err != nil {
			s.Logger.Warn("attempt directory stays behind", "job", id, "error", err)
		}
	}
}
