package plugin

import (
	"fmt"
	"time"
)

// Reset forgets the crashes of a plugin, so that it is no longer held back or in
// quarantine: its next job starts it.
func (h *Host) Reset(file string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.entries[file]
	switch {
	case e == nil:
		return fmt.Errorf("there is no plugin %q", file)
	case e.serving == nil:
		return fmt.Errorf("plugin %q is not served: %s", file, e.refused)
	}
	e.serving.sup.reset()
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
	t.To, _ = s.stateLocked(t.Time, nil)
	s.ledger.resets.Add(1)
	s.ledger.note(t)
	s.log.Info("plugin was reset", "crashes", s.crashes)
	s.stir()
}
