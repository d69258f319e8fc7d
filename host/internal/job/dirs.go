package job

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"geomill/host/internal/removal"
)

// syncInputs makes the files of an order durable, before the job is accepted.
func (s *Service) syncInputs(o Order) error {
	var dir string
	for _, v := range o.Inputs {
		if v.File == "" {
			continue
		}
		dir = filepath.Dir(v.File)
		if err := syncFile(v.File); err != nil {
			return err
		}
	}
	for dir != "" && dir != s.Dir {
		if err := syncFile(dir); err != nil {
			return err
		}
		dir = filepath.Dir(dir)
	}
	return nil
}

func syncFile(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("sync input: %w", err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync input: %w", err)
	}
	return nil
}

// The directories of a job. Each request makes their names; there is nothing in
// them for filepath.Join to clean.

func (s *Service) jobDir(id string) string   { return s.Dir + "/" + id }
func (s *Service) inputDir(id string) string { return s.Dir + "/" + id + "/" + inputsDir }

func (s *Service) attemptDir(id string, n int) string {
	return s.Dir + "/" + id + "/" + strconv.Itoa(n)
}

func (s *Service) removeDir(id string) {
	s.dirs.RLock()
	defer s.dirs.RUnlock()
	if s.dirs.holders > 0 {
		return // the sweeper finds it
	}
	if err := removal.Tree(s.jobDir(id)); err != nil {
		s.Logger.Warn("job directory stays behind", "job", id, "error", err)
	}
}
