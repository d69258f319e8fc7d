package store

import "sync"

// holds knows the jobs whose output files are being read, and those among them
// that were removed meanwhile: their files go with the last reader. If the host
// dies before, the marks of these files have the next Open remove them.
type holds struct {
	mu   sync.Mutex
	held map[id]int
	left map[id]int64 // removed jobs and their sizes, in bytes
	sum  int64        // of left
}

// Hold implements job.Archive.
func (s *Store) Hold(jobID string) (release func()) {
	i, ok := parseID(jobID)
	if !ok {
		return func() {}
	}
	s.holds.hold(i)
	return sync.OnceFunc(func() {
		if s.holds.drop(i) {
			s.discard(i, "")
			s.holds.settle(i)
		}
	})
}

func (h *holds) hold(i id) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held == nil {
		h.held, h.left = map[id]int{}, map[id]int64{}
	}
	h.held[i]++
}

// drop ends a hold. It reports whether the files are now to be removed, and
// counted until settle.
func (h *holds) drop(i id) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held[i]--; h.held[i] > 0 {
		return false
	}
	delete(h.held, i)
	_, removed := h.left[i]
	return removed
}

func (h *holds) settle(i id) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sum -= h.left[i]
	delete(h.left, i)
}

// postpone leaves the files of a removed job to those who hold them. It returns
// false when nobody does.
func (h *holds) postpone(i id, size int64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held[i] == 0 {
		return false
	}
	h.left[i] = size
	h.sum += size
	return true
}

// keeps reports whether the files of a job are held, or were and are going.
func (h *holds) keeps(i id) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, left := h.left[i]
	return left || h.held[i] > 0
}

func (h *holds) bytes() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sum
}
