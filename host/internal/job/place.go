package job

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/google/uuid"

	"geomill/host/internal/removal"
)

// PlaceIn returns the attempt with its job's directory in root, an existing
// directory on the same file system, for work that sees nothing else. What the
// attempt is to find there is moved: files among its inputs, and a checkpoint.
// TakeHome has to follow once the work has ended, whatever came of it. An
// attempt without a JobDir stays where it is.
func (a Attempt) PlaceIn(root string) (Attempt, error) {
	p := a.PlacedIn(root)
	files := hasFile(a.Inputs)
	if p.JobDir == a.JobDir || !files && a.Checkpoint == "" {
		return p, nil
	}
	err := os.Rename(a.JobDir, p.JobDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // something is in its place
		err = errors.Join(removal.Tree(p.JobDir), os.Rename(a.JobDir, p.JobDir))
	}
	if err != nil && (files || !errors.Is(err, fs.ErrNotExist)) {
		return a, fmt.Errorf("place directory of job: %w", err)
	}
	return p, nil
}

// PlacedIn returns the attempt as PlaceIn does, where its directory is in root
// already.
func (a Attempt) PlacedIn(root string) Attempt {
	if root == "" || a.JobDir == "" {
		return a
	}
	p := a
	parent := len(filepath.Dir(a.JobDir))
	p.Dir = root + a.Dir[parent:]
	p.JobDir = p.Dir[:len(root)+len(a.JobDir)-parent]
	if a.Checkpoint != "" {
		p.Checkpoint = root + a.Checkpoint[parent:]
	}
	if hasFile(a.Inputs) {
		p.Inputs = maps.Clone(a.Inputs)
		for id, v := range p.Inputs {
			if strings.HasPrefix(v.File, a.JobDir+"/") {
				v.File = p.JobDir + v.File[len(a.JobDir):]
				p.Inputs[id] = v
			}
		}
	}
	return p
}

// TakeHome moves the job's directory of an attempt back from where PlaceIn has
// put it, as p, if anything in it is needed any more: inputs and checkpoint, for
// another attempt, and the files of outputs, whose names it corrects. What is
// not needed stays for the owner of that place to remove.
func (a Attempt) TakeHome(p Attempt, outputs map[string]Value) error {
	files := hasFile(outputs)
	if p.JobDir == a.JobDir || !files && !hasFile(a.Inputs) && a.Checkpoint == "" {
		return nil
	}
	if err := bringHome(p.JobDir, a.JobDir); err != nil && (files || !errors.Is(err, fs.ErrNotExist)) {
		return fmt.Errorf("take directory of job home: %w", err)
	}
	for id, v := range outputs {
		if v.File == "" {
			continue
		}
		rel, ok := strings.CutPrefix(v.File, p.JobDir)
		if !ok {
			return fmt.Errorf("output %s is not in the directory of its job", id)
		}
		v.File = a.JobDir + rel
		if err := reachable(a.JobDir, v.File); err != nil {
			return fmt.Errorf("output %s: %w", id, err)
		}
		outputs[id] = v
	}
	return nil
}

// bringHome moves the directory of a job to where it belongs. Whoever worked in
// it could put a link in its place, which must lead nobody elsewhere.
func bringHome(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	info, err := os.Lstat(to)
	if err == nil && !info.IsDir() {
		err = errors.Join(fmt.Errorf("%s is not a directory", filepath.Base(to)), os.Remove(to))
	}
	return err
}

// reachable reports an error unless a file below dir is a regular one with one
// name, reached through directories only. The plugin's end of the wire was asked
// that before; it cannot exchange any of it here.
func reachable(dir, file string) error {
	for path := filepath.Dir(file); len(path) > len(dir); path = filepath.Dir(path) {
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		if !info.IsDir() {
			return errors.New("its file is not reached through directories")
		}
	}
	info, err := os.Lstat(file)
	if err != nil {
		return err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !info.Mode().IsRegular() || ok && st.Nlink != 1 {
		return errors.New("its file is not a regular one with one name")
	}
	return nil
}

// BringHome takes home what attempts of a host that is gone had in WorkDir, and
// removes the rest of it, except for the places that keep has (nil: none). Call it
// before Recover, and before an executor runs.
func (s *Service) BringHome(keep func(place string) bool) error {
	if s.WorkDir == "" {
		return nil
	}
	places, err := os.ReadDir(s.WorkDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("find what attempts have left: %w", err)
	}
	for _, place := range places {
		path := filepath.Join(s.WorkDir, place.Name())
		if keep != nil && keep(path) {
			continue
		}
		if place.IsDir() {
			s.bringAllHome(path)
		}
		if err := removal.Tree(path); err != nil {
			s.Logger.Warn("directory of a plugin instance stays behind", "error", err)
		}
	}
	return nil
}

func (s *Service) bringAllHome(place string) {
	jobs, err := os.ReadDir(place)
	for _, e := range jobs {
		if _, notJob := uuid.Parse(e.Name()); notJob != nil || !e.IsDir() {
			continue
		}
		if e := bringHome(filepath.Join(place, e.Name()), s.jobDir(e.Name())); e != nil {
			err = errors.Join(err, e)
		}
	}
	if err != nil {
		s.Logger.Error("files of jobs are lost", "error", err)
	}
}
