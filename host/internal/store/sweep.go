package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	badger "github.com/dgraph-io/badger/v4"
)

// Parts of the store's directory; the package comment draws it.
const (
	databaseDir = "db"
	resultsDir  = "results"
	pendingDir  = "pending"
	logsDir     = "logs"
)

func (s *Store) path(parts ...string) string {
	return filepath.Join(s.config.Dir, filepath.Join(parts...))
}

// markPath names what is about to be linked or removed: one directory of a job's
// outputs or, without sub, all of them. Marks make sweeping cost what was
// under way at a crash, not what is stored.
func (s *Store) markPath(i id, sub string) string {
	if sub == "" {
		return s.path(pendingDir, i.String())
	}
	return s.path(pendingDir, i.String()+"+"+sub)
}

func (s *Store) mark(i id, sub string) error {
	return os.WriteFile(s.markPath(i, sub), nil, 0o600)
}

func (s *Store) unmark(i id, sub string) {
	if err := os.Remove(s.markPath(i, sub)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log.Warn("mark of outputs stays until the next start", "job", i.String(), "error", err)
	}
}

// discard removes outputs that no record links to. What it cannot remove keeps
// its mark, so that the next Open tries again; what a snapshot may name is
// removed after it.
func (s *Store) discard(i id, sub string) {
	s.hold.RLock()
	defer s.hold.RUnlock()
	if s.postpone(i, sub) {
		return
	}
	if s.removeOutputs(i, sub) {
		s.unmark(i, sub)
	}
}

func (s *Store) removeOutputs(i id, sub string) bool {
	dir := s.path(resultsDir, i.String())
	if err := os.RemoveAll(filepath.Join(dir, sub)); err != nil {
		s.log.Warn("outputs cannot be removed", "job", i.String(), "error", err)
		return false
	}
	_ = os.Remove(dir) // when nothing else is in it
	return true
}

// sweep settles what a crash left between moving files and linking them, or
// between unlinking and removing them.
func (s *Store) sweep() error {
	marks, err := os.ReadDir(s.path(pendingDir))
	if err != nil {
		return err
	}
	for _, m := range marks {
		text, sub, _ := strings.Cut(m.Name(), "+")
		i, ok := parseID(text)
		if !ok || !plainName(sub) {
			s.log.Warn("unknown file is left alone", "path", s.path(pendingDir, m.Name()))
			continue
		}
		linked, err := s.linkedDirs(i)
		if err != nil {
			return fmt.Errorf("settle outputs of job %s: %w", i, err)
		}
		if linked[sub] || sub == "" && len(linked) > 0 {
			s.unmark(i, sub)
			continue
		}
		s.discard(i, sub)
	}
	return s.removeHeld()
}

// plainName reports whether a name leads to no other directory.
func plainName(name string) bool {
	return !strings.ContainsRune(name, filepath.Separator) && name != "." && name != ".."
}

// linkedDirs returns the directories under results/<id> that hold outputs.
func (s *Store) linkedDirs(i id) (map[string]bool, error) {
	linked := map[string]bool{}
	err := s.db.View(func(txn *badger.Txn) error {
		it := newIterator(txn, outputsKey(i), false)
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			v, err := readOutput(txn, i, outputName(it.Item().Key()))
			if err != nil {
				return err
			}
			if v.File != "" {
				linked[filepath.Base(filepath.Dir(v.File))] = true
			}
		}
		return nil
	})
	return linked, err
}
