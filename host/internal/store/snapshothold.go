package store

import (
	"errors"
	"io"
	"os"
	"strings"
	"sync"
)

// heldDir is a part of the store's directory like pendingDir, with the names of
// what is removed once no snapshot is open. Unlike marks of outputs that are
// being written these stand for nothing that a record may yet link to.
const heldDir = "held"

// heldBatch is how many of these names are read at once.
const heldBatch = 1000

// fileHold makes removals of outputs wait while a snapshot is open. Removals hold
// it shared, so that a snapshot begins between them: what it names was not being
// removed, and will not be.
type fileHold struct {
	sync.RWMutex
	taken bool // by a snapshot, until what it postponed has been done
	open  bool // removals are postponed
}

// holdFiles reports false when they are held already.
func (s *Store) holdFiles() bool {
	s.hold.Lock()
	defer s.hold.Unlock()
	if s.hold.taken {
		return false
	}
	s.hold.taken, s.hold.open = true, true
	return true
}

// releaseFiles removes what could not be while files were held.
func (s *Store) releaseFiles() {
	s.hold.Lock()
	s.hold.open = false
	s.hold.Unlock()
	if err := s.removeHeld(); err != nil {
		s.log.Warn("outputs of removed jobs stay until the next start", "error", err)
	}
	s.hold.Lock()
	s.hold.taken = false
	s.hold.Unlock()
}

// postpone reports that the removal of outputs has to wait, and remembers it. The
// caller holds s.hold shared.
func (s *Store) postpone(i id, sub string) bool {
	if !s.hold.open {
		return false
	}
	name := i.String() + "+" + sub
	if err := os.WriteFile(s.path(heldDir, name), nil, 0o600); err != nil {
		s.log.Warn("outputs of a removed job stay behind", "job", i.String(), "error", err)
		return true
	}
	s.unmark(i, sub)
	return true
}

// removeHeld removes outputs whose removal was postponed.
func (s *Store) removeHeld() error {
	dir, err := os.Open(s.path(heldDir))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	for {
		names, err := dir.Readdirnames(heldBatch)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		for _, name := range names {
			s.removeHeldOne(name)
		}
	}
}

func (s *Store) removeHeldOne(name string) {
	text, sub, _ := strings.Cut(name, "+")
	i, ok := parseID(text)
	if !ok || !plainName(sub) {
		s.log.Warn("unknown file is left alone", "path", s.path(heldDir, name))
		return
	}
	if s.removeOutputs(i, sub) {
		_ = os.Remove(s.path(heldDir, name)) // tried again at the next start
	}
}
