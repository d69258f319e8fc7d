package plugin

import (
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"geomill/host/internal/job"
	"geomill/host/internal/removal"
)

// workDir is the directory of one instance: the directories of its jobs are in
// it while they run, and it can work in no other. The zero value is that of an
// instance whose jobs stay where they are.
type workDir struct {
	path string
	uid  int // of the instance; 0: that of the host
	log  *slog.Logger
	// litter holds what belonged to no job when tidy last looked.
	litter map[string]bool
	// measured holds the ids of jobs whose directories are measured, before and
	// after the plugin has them: that can take long.
	measured sync.Map
}

// newWorkDir makes the directory of an instance.
func (l *launcher) newWorkDir(number int64, uid int, log *slog.Logger) (*workDir, error) {
	if l.cfg.WorkDir == "" {
		return &workDir{uid: uid, log: log}, nil
	}
	path := filepath.Join(l.cfg.WorkDir, filepath.Base(l.runDir)+"-"+strconv.FormatInt(number, 10))
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("make directory of instance: %w", err)
	}
	w := &workDir{path: path, uid: uid, log: log}
	if err := give(uid, path); err != nil {
		w.remove()
		return nil, err
	}
	return w, nil
}

// tidy removes what jobs left behind that have ended: what still belonged to
// none the last time. Between the end of a job and the moment its files are
// taken home nobody knows it.
func (w *workDir) tidy(runs func(jobID string) bool) {
	if w.path == "" {
		return
	}
	litter := map[string]bool{}
	w.each(func(e fs.DirEntry) {
		_, measured := w.measured.Load(e.Name())
		switch {
		case measured, runs(e.Name()):
		case w.litter[e.Name()]:
			w.drop(filepath.Join(w.path, e.Name()))
		default:
			litter[e.Name()] = true
		}
	})
	w.litter = litter
}

// clear removes everything, between two jobs of an instance that runs one at a
// time.
func (w *workDir) clear() {
	if w.path != "" {
		w.each(func(e fs.DirEntry) { w.drop(filepath.Join(w.path, e.Name())) })
	}
}

// remove removes the directory with all that is left in it.
func (w *workDir) remove() {
	if w.path != "" {
		w.drop(w.path)
	}
}

func (w *workDir) each(do func(fs.DirEntry)) {
	entries, err := os.ReadDir(w.path)
	if err != nil {
		w.log.Warn("directory of plugin instance cannot be read", "error", err)
	}
	for _, e := range entries {
		do(e)
	}
}

func (w *workDir) drop(path string) {
	if err := removal.Tree(path); err != nil {
		w.log.Warn("files of a plugin instance stay behind", "error", err)
	}
}

// takeHome ends the stay of an attempt in the directory of its instance. err is
// how it went; what it returns decides.
func (in *instance) takeHome(a, placed job.Attempt, outputs map[string]job.Value, err error) error {
	e := a.TakeHome(placed, outputs)
	if a.Process.Policy.Isolation == job.Exclusive {
		in.work.clear()
	}
	switch {
	case e == nil:
		return err
	case err == nil:
		return &job.Failure{Kind: job.ContractBroken, Detail: "the files that the plugin handed over are out of reach", Cause: e}
	}
	in.log.Error("files of a job are out of reach", "job", a.JobID, "error", e)
	return err
}
