package job

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"geomill/sdk/ogc"
)

// audience knows who listens. Its lock is the registry's.
type audience struct {
	topics    map[string]*topic // by job id; "" for that of all jobs
	listeners int
	closed    bool
	watching  *watching // while there are listeners
	seen      uint64    // revision of the newest change that was told
	runs      map[string]int
}

// watching is the goroutine that follows the store.
type watching struct {
	cancel context.CancelFunc
	ended  chan struct{}
}

// join finds the topic of a job, or makes it, and sees to it that the store is
// watched.
func (s *Service) join(ctx context.Context, id string) (*topic, error) {
	newest, err := s.Store.Revision(ctx)
	if err != nil {
		return nil, err
	}
	r := s.live
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, ErrShuttingDown
	}
	if r.watching == nil {
		ctx, cancel := context.WithCancel(context.Background())
		r.watching = &watching{cancel, make(chan struct{})}
		r.seen, r.runs = newest, map[string]int{}
		go s.watch(ctx, newest, r.watching.ended)
	}
	t := r.topics[id]
	if t == nil {
		var at Place
		if id == "" {
			at.Revision = r.seen
		}
		t = newTopic(id, at)
		if r.topics == nil {
			r.topics = map[string]*topic{}
		}
		r.topics[id] = t
		if u := r.running[id]; u != nil {
			u.topic.Store(t)
		}
	}
	t.listeners++
	r.listeners++
	return t, nil
}

// leave ends a join. The topic of a running job stays, for listeners that come
// again.
func (s *Service) leave(t *topic) {
	r := s.live
	r.mu.Lock()
	t.listeners--
	r.listeners--
	if r.running[t.jobID] == nil {
		r.retire(t)
	}
	var w *watching
	if r.listeners == 0 {
		w, r.watching = r.watching, nil
	}
	r.mu.Unlock()
	if w != nil {
		w.cancel()
		<-w.ended
	}
}

// retire forgets a topic that nobody listens to. The lock is held.
func (r *registry) retire(t *topic) {
	if t != nil && t.listeners == 0 && r.topics[t.jobID] == t {
		delete(r.topics, t.jobID)
	}
}

// end forgets the topic of a job that has ended; those who listen keep it.
func (r *registry) end(t *topic) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.topics[t.jobID] == t {
		delete(r.topics, t.jobID)
	}
}

// watchAgain is how long the host waits when its store cannot be watched.
const watchAgain = time.Second

// watch tells listeners of the changes in the store, until ctx ends.
func (s *Service) watch(ctx context.Context, from uint64, ended chan<- struct{}) {
	defer close(ended)
	for {
		var failed error
		for c, err := range s.Store.Watch(ctx, from) {
			if failed = err; err != nil {
				break
			}
			from = c.Revision
			c.Job.Expires = s.expires(c.Job)
			s.live.tell(c)
		}
		for ctx.Err() == nil {
			if !errors.Is(failed, ErrBehind) {
				s.Logger.Warn("changes of jobs cannot be watched", "error", failed)
				select {
				case <-time.After(watchAgain):
				case <-ctx.Done():
				}
			}
			if from, failed = s.lookAgain(ctx); failed == nil {
				break
			}
		}
		if ctx.Err() != nil {
			return
		}
	}
}

// tell passes a change on to those who listen to the job and to all jobs.
func (r *registry) tell(c Change) {
	r.mu.Lock()
	all, one := r.topics[""], r.topics[c.Job.ID]
	r.seen = max(r.seen, c.Revision)
	news := r.isNews(c)
	r.mu.Unlock()
	if all != nil && news {
		all.change(noticeOf(c), c.Revision)
	}
	if one == nil {
		return
	}
	if c.Deleted {
		one.remove(c.Job, c.Revision)
		r.end(one)
	} else if one.offer(c.Job) {
		r.end(one)
	}
}

// isNews reports whether a change is more than the progress of a running job.
// The lock is held.
func (r *registry) isNews(c Change) bool {
	id := c.Job.ID
	if c.Deleted || c.Job.Status != ogc.Running {
		delete(r.runs, id)
		return true
	}
	known, attempt := r.runs[id], c.Job.Attempt
	r.runs[id] = attempt
	return known != attempt
}

// lookAgain tells listeners how things are after changes were missed, and returns
// the revision up to which it did.
func (s *Service) lookAgain(ctx context.Context) (uint64, error) {
	newest, err := s.Store.Revision(ctx)
	if err != nil {
		return 0, err
	}
	s.live.mu.Lock()
	s.live.seen, s.live.runs = newest, map[string]int{}
	topics := slices.Collect(maps.Values(s.live.topics))
	s.live.mu.Unlock()
	for _, t := range topics {
		if t.jobID == "" {
			t.change(&Notice{Kind: ResetNotice}, newest)
			continue
		}
		j, err := s.Store.Get(ctx, t.jobID)
		j.Expires = s.expires(j)
		switch {
		case errors.Is(err, ErrNoSuchJob), errors.Is(err, ErrGone):
			t.remove(t.now(), newest)
			s.live.end(t)
		case err != nil:
			return 0, err
		case t.offer(j):
			s.live.end(t)
		}
	}
	return newest, nil
}
