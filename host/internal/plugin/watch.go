package plugin

import (
	"log/slog"
	"sync"

	"github.com/fsnotify/fsnotify"
)

// watch tells that something happened in the plugins directory. It is an aid:
// the directory is also looked at regularly, so a nil watch works.
type watch struct {
	log      *slog.Logger
	dir      string
	watcher  *fsnotify.Watcher
	happened chan struct{}
	reader   sync.WaitGroup
	attached bool
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

// attach begins to watch the directory, once it exists.
func (w *watch) attach() {
	if w == nil {
		return
	}
	if len(w.watcher.WatchList()) == 0 {
		w.attached = false
	}
	if !w.attached {
		w.attached = w.watcher.Add(w.dir) == nil
	}
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
