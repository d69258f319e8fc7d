package plugin

import (
	"fmt"
	"time"
)

// Reset forgets the crashes of a plugin, so that it is no longer held back or in
// quarantine: its next job starts it. What is refused is tried again at once.
func (h *Host) Reset(file string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.entries[file]
	if e == nil {
		return fmt.Errorf("there is no plugin %q", file)
	}
	if e.serving != nil {
		e.serving.sup.reset()
	}
	if e.refused != "" {
		h.reconsiderLocked(file)
	}
	return nil
}

// reset forgets all crashes.
func (s *supervisor) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := Transition{Time: time.Now(), From: StateReady, To: StateReady, Reason: "reset by the operator"}
	t.From, _ = s.stateLocked(t.Time, nil)
	s.gate.reset()
	s.held.Store(nil)
	close(s.lifted)
	s.lifted = make(chan struct{})
	t.To, _ = s.stateLocked(t.Time, nil)
	s.ledger.resets.Add(1)
	s.ledger.note(t)
	s.log.Info("plugin was reset", "crashes", s.crashes)
	s.stir()
}
