package devloop

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// quiet is how long nothing must change before a build: editors and version control
// write many files at once.
const quiet = 200 * time.Millisecond

// Loop builds a project whenever its source changes.
type Loop struct {
	project *Project
	watch   *fsnotify.Watcher
}

// Watch begins to watch the source. Run gives back what it takes.
func (p *Project) Watch() (*Loop, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch source: %w", err)
	}
	l := &Loop{project: p, watch: w}
	if err := l.add(p.Dir); err != nil {
		return nil, errors.Join(fmt.Errorf("watch source: %w", err), w.Close())
	}
	return l, nil
}

// add watches a directory and those within it.
func (l *Loop) add(dir string) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // gone meanwhile
			return nil
		case err != nil:
			return err
		case !e.IsDir():
			return nil
		case path != l.project.Dir && !l.isSource(path):
			return fs.SkipDir
		}
		return l.watch.Add(path)
	})
}

// Run calls build after each change, until ctx ends.
func (l *Loop) Run(ctx context.Context, build func()) error {
	timer := time.NewTimer(quiet)
	timer.Stop()
	defer timer.Stop()
	for {
		select {
		case e := <-l.watch.Events:
			if e.Op == fsnotify.Chmod || !l.isSource(e.Name) {
				continue
			}
			if e.Op.Has(fsnotify.Create) {
				_ = l.add(e.Name) // if it is a directory that may be read
			}
			timer.Reset(quiet)
		case <-l.watch.Errors: // something was missed
			timer.Reset(quiet)
		case <-timer.C:
			build()
		case <-ctx.Done():
			return l.watch.Close()
		}
	}
}

// notSource are names of directories that tools make.
var notSource = map[string]bool{"build": true, "dist": true, "node_modules": true, "__pycache__": true, "testdata": true}

// isSource reports whether the plugin may be made of a file or directory.
func (l *Loop) isSource(path string) bool {
	rel, err := filepath.Rel(l.project.Dir, path)
	if err != nil {
		return false
	}
	for part := range strings.SplitSeq(rel, string(filepath.Separator)) {
		if hidden(part) || notSource[part] {
			return false
		}
	}
	return true
}

// hidden reports whether a name is of what editors and tools keep for themselves.
func hidden(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasSuffix(name, "~") || strings.HasSuffix(name, ".egg-info") || strings.HasSuffix(name, ".pyc")
}
