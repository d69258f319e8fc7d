package plugin

import (
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"github.com/fsnotify/fsnotify"
)

// maxWatched is how many directories are watched: the plugins directory, and
// those of plugins and versions in it. Others are only looked at regularly.
const maxWatched = 1024

// watch tells that something happened in the plugins directory, or in those
// of plugins with versions side by side. It is an aid: the directory is also
// looked at regularly, so a nil watch works.
type watch struct {
	log      *slog.Logger
	dir      string
	watcher  *fsnotify.Watcher
	happened chan struct{}
	reader   sync.WaitGroup
	full     bool // more directories than are watched, as last logged
}

func newWatch(log *slog.Logger, dir string) *watch {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		log.Warn("plugins directory is not watched, only looked at regularly", "error", err)
		return nil
	}
	w := &watch{log: log, dir: dir, watcher: watcher, happened: make(chan struct{}, 1)}
	w.reader.Go(w.read)
	return w
}

// attach begins to watch the directories that are there by now. What happens
// in them from then on is told, so the look must come after it.
func (w *watch) attach() {
	if w == nil || w.watcher.Add(w.dir) != nil {
		return
	}
	left := maxWatched - 1
	for _, plugin := range w.below(w.dir, &left) {
		w.below(plugin, &left)
	}
	if full := left < 0; full != w.full {
		w.full = full
		if full {
			w.log.Warn("some directories of plugins are not watched, only looked at regularly", "watched", maxWatched)
		}
	}
}

// below watches the directories in one that is watched, as long as some are
// left, and returns them.
func (w *watch) below(dir string, left *int) (dirs []string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if !e.IsDir() || ignored(e.Name()) {
			continue
		}
		if *left--; *left < 0 {
			return dirs
		}
		if path := filepath.Join(dir, e.Name()); w.watcher.Add(path) == nil {
			dirs = append(dirs, path)
		}
	}
	return dirs
}

func (w *watch) events() <-chan struct{} {
	if w == nil {
		return nil
	}
	return w.happened
}

func (w *watch) read() {
	for {
		select {
		case _, ok := <-w.watcher.Events:
			if !ok {
				return
			}
		case err, ok := <-w.watcher.Errors:
			if !ok {
				return
			}
			w.log.Warn("watch plugins directory", "error", err)
		}
		select {
		case w.happened <- struct{}{}:
		default:
		}
	}
}

func (w *watch) close() {
	if w != nil {
		w.watcher.Close()
		w.reader.Wait()
	}
}
