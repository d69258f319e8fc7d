package wire

import (
	"errors"
	"sync"

	"geomill/proto/processv1"
)

// Sender is what the Events of a job can do besides on the plugin's end.
type Sender interface {
	// Send hands over an output before the job has ended; a file is the host's
	// from then on. The host keeps it if the job succeeds. It may be called by
	// many goroutines.
	Send(output Named) error
}

// sent is what a job has handed over before its end.
type sent struct {
	mu     sync.Mutex
	dir    jobDir
	count  int
	inline int // bytes that crossed inside the session
	over   bool
}

// Send implements Sender.
func (j *serverJob) Send(output Named) error {
	s := &j.sent
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.over:
		return errors.New("the job has ended")
	case s.count == maxValues:
		return errors.New("there are too many outputs")
	}
	limit := min(j.session.server.inlineMax(), maxInlineTotal-s.inline)
	w, err := valueToWire(&s.dir, outDir, output.ID, output.Value, limit)
	if err != nil {
		return err
	}
	s.count++
	s.inline += inlineSize(w)
	w.Id = output.ID
	j.post(&processv1.PluginMessage{Kind: &processv1.PluginMessage_Output{Output: w}})
	return nil
}

// close ends the sending.
func (s *sent) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	s.dir.close()
}
