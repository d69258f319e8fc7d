package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"

	"geomill/host/internal/archive"
	"geomill/host/internal/job"
	"geomill/host/internal/store"
)

// lookTries is how often an input file is looked for: at the start of an attempt
// it is moved to there, and at its end back.
const lookTries = 5

// inputRoots are the directories that have the inputs of jobs: those of jobs that
// wait, and those of jobs that run.
type inputRoots struct{ jobs, work *os.Root }

func openInputRoots(data string) (r inputRoots, err error) {
	for _, d := range []struct {
		name string
		root **os.Root
	}{{jobsDir, &r.jobs}, {workDir, &r.work}} {
		*d.root, err = os.OpenRoot(filepath.Join(data, d.name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			r.close()
			return inputRoots{}, err
		}
	}
	return r, nil
}

func (r inputRoots) close() {
	for _, root := range []*os.Root{r.jobs, r.work} {
		if root != nil {
			_ = root.Close() // read only
		}
	}
}

// addInputs adds the input files of the jobs that have still to run. While an
// attempt has them its plugin may do with them what it likes: that harms no more
// than the job, and leads to no file outside the directories of jobs.
func addInputs(ctx context.Context, a *archive.Writer, data string, snapshot *store.Snapshot, log *slog.Logger) error {
	roots, err := openInputRoots(data)
	if err != nil {
		return err
	}
	defer roots.close()
	return snapshot.Orders(ctx, func(id string, o job.Order) error {
		for name, v := range o.Inputs {
			if v.File == "" {
				continue
			}
			file := filepath.Base(v.File)
			f, size, err := roots.openInput(id, file)
			if err != nil {
				log.Warn("input is not in the backup", "job", id, "input", name, "error", err)
				continue
			}
			// What is written meanwhile is left out, what is cut off is zero.
			err = a.Add(jobsDir+"/"+id+"/in/"+file, size, io.MultiReader(f, zeros{}))
			if err = errors.Join(err, f.Close()); err != nil {
				return err
			}
		}
		return nil
	})
}

// openInput opens an input file of a job wherever it is now.
func (r inputRoots) openInput(id, file string) (f *os.File, size int64, err error) {
	err = fs.ErrNotExist
	for range lookTries {
		for _, look := range []struct {
			root *os.Root
			dirs string
		}{{r.jobs, id + "/in"}, {r.jobs, id + "/*/in"}, {r.work, "*/" + id + "/*/in"}} {
			if look.root == nil {
				continue
			}
			dirs, _ := fs.Glob(look.root.FS(), look.dirs)
			for _, dir := range dirs {
				f, size, err = openRegular(look.root, filepath.Join(dir, file))
				if !errors.Is(err, fs.ErrNotExist) {
					return f, size, err
				}
			}
		}
	}
	return nil, 0, err
}

func openRegular(root *os.Root, name string) (*os.File, int64, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", name)
	}
	if err != nil {
		_ = f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// zeros is an endless reader.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}
