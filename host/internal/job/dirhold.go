package job

import "sync"

// dirHold makes the removal of jobs' directories wait. Removals hold it shared,
// so that none is under way once a hold has begun.
type dirHold struct {
	sync.RWMutex
	holders int
}

// HoldDirs keeps the directories of all jobs, with their inputs, until release
// is called; for a backup. What was to go meanwhile is found by the sweeper.
func (s *Service) HoldDirs() (release func()) {
	s.dirs.Lock()
	s.dirs.holders++
	s.dirs.Unlock()
	return sync.OnceFunc(func() {
		s.dirs.Lock()
		s.dirs.holders--
		s.dirs.Unlock()
	})
}
