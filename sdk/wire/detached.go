package wire

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"

	"geomill/proto/processv1"
)

const (
	// CapabilityAttach is what an instance says that can go on without its host.
	CapabilityAttach = "attach"
	// progressEvery is the least time between two entries of progress in a journal.
	progressEvery = 100 * time.Millisecond
	// overtime is how long after its deadline a job that no host cancelled
	// cancels itself.
	overtime = 5 * time.Second
)

// detached is the one job of an instance that outlives its host. What the job
// reports is in the journal before it is sent.
type detached struct {
	server *Server

	mu      sync.Mutex
	journal *journal
	job     *serverJob               // nil until it starts
	late    *processv1.PluginMessage // progress that is to be written
	last    time.Time                // when progress was written
	ended   bool
}

// Detach makes the jobs of this instance, of which there will be one, go on when
// the session ends, with a journal in dir. It is called before the server serves.
func (s *Server) Detach(dir string) error {
	j, err := createJournal(filepath.Join(dir, JournalFile))
	if err != nil {
		return err
	}
	s.detached = &detached{server: s, journal: j}
	return nil
}

// Forsaken reports whether a detached instance has no host, and nothing to do.
func (s *Server) Forsaken() bool {
	d := s.detached
	if d == nil {
		return false
	}
	s.mu.Lock()
	session := s.session
	s.mu.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	return session == nil && (d.job == nil || d.ended)
}

// begin takes a job on, or says why not.
func (d *detached) begin(j *serverJob, w *processv1.Start) *Problem {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.job != nil {
		return &Problem{Kind: Busy, Title: "the plugin is busy", Detail: "the instance has had its job", Retryable: true}
	}
	d.job, j.detached = j, d
	j.ctx, j.stop = context.WithCancelCause(context.Background())
	if w.GetDeadline() != nil {
		late := time.AfterFunc(time.Until(deadline(w))+overtime, func() {
			j.stop(&CancelledError{Reason: "its time is over"})
		})
		context.AfterFunc(j.ctx, func() { late.Stop() })
	}
	return nil
}

// post writes a message of the job to the journal and then sends it. Of progress
// that comes fast only the latest is kept.
func (d *detached) post(m *processv1.PluginMessage) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended {
		return
	}
	if m.GetProgress() != nil {
		pause := progressEvery - time.Since(d.last)
		if d.late == nil && pause > 0 {
			time.AfterFunc(pause, d.flush)
		}
		if d.late = m; pause > 0 {
			return
		}
	}
	d.writeLate()
	if m.GetProgress() == nil {
		d.write(m)
	}
}

func (d *detached) flush() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writeLate()
}

func (d *detached) writeLate() {
	if m := d.late; m != nil && !d.ended {
		d.late, d.last = nil, time.Now()
		d.write(m)
	}
}

// write gives a message its place. A full disk must not end the job: what cannot
// be written is sent all the same.
func (d *detached) write(m *processv1.PluginMessage) {
	d.job.box.number(m)
	_ = d.journal.append(m)
	switch {
	case isEnd(m):
		d.ended = true
		_ = d.journal.file.Sync()
		d.server.release(1)
	case d.journal.size > journalBytes:
		_ = d.journal.compact()
	}
	d.job.box.add(m)
	if !d.job.session.out.push(d.job) {
		d.job.box.take(nil) // nobody is there: it is in the journal
	}
}

// attach makes a session that of the job, and sends what came after a message.
func (d *detached) attach(s *serving, id string, after uint64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	j := d.job
	if j == nil || j.id != id {
		return false
	}
	d.writeLate()
	j.session, j.listed = s, false
	j.box.take(nil)
	_ = readJournal(d.journal.path, func(m *processv1.PluginMessage) bool { // what is torn was sent by nobody
		if m.GetSeq() > after || m.GetOutput() != nil {
			j.box.add(m)
		}
		return true
	})
	if !d.ended {
		s.mu.Lock()
		s.jobs[id] = j
		s.mu.Unlock()
	}
	s.out.push(j)
	return true
}

// stop cancels the job, be there a session or not.
func (d *detached) stop(cause error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.job != nil {
		d.job.stop(cause)
	}
}

// leave takes the job out of the session that it has now.
func (d *detached) leave(j *serverJob) {
	d.mu.Lock()
	s := j.session
	d.mu.Unlock()
	s.leave(j)
}

// syncOutputs forces the files of outputs to disk, before it is written that they
// are there.
func syncOutputs(dir *jobDir, values []*processv1.Value) error {
	for _, v := range values {
		if v.GetFile() == nil {
			continue
		}
		f, err := os.Open(dir.abs(v.GetFile().GetPath()))
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return err
		}
	}
	return nil
}
