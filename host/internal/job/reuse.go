package job

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"geomill/sdk/ogc"
)

// CacheControl is what a client says about reuse (RFC 9111, section 5.2.1). The
// zero value takes what there is.
type CacheControl struct {
	NoCache bool // take no stored results; the new ones may be reused
	NoStore bool // take none, and let nobody reuse the new ones
	// MaxAge is the greatest age of results that are taken; nil: any.
	MaxAge *time.Duration
}

// earlier is a successful job whose results answer a request.
type earlier struct {
	job     Job
	outputs map[string]Value // files among them are links in a directory of the new job's
}

// reuse answers a request to a deterministic process with the results of an equal
// one, if there are any. Else it returns nil, having noted in the order what the
// results will be results of. Requests that run at the same time do not wait for
// one another.
func (s *Service) reuse(ctx context.Context, p *Process, id string, o *Order, r Request) (*Execution, error) {
	if r.Cache.NoStore || p.Plugin.Hash == "" || o.Outputs != nil && len(o.Outputs) == 0 {
		return nil, nil
	}
	var err error
	if o.Digest, err = o.digest(p); err != nil || r.Cache.NoCache {
		return nil, err
	}
	e, err := s.earlier(ctx, p, id, o.Digest, r.Cache.MaxAge)
	if err != nil {
		s.Logger.Warn("results cannot be reused", "process", p.ID, "error", err)
	}
	if e == nil {
		return nil, nil
	}
	mode, _ := Negotiate(p.JobControlOptions, r.Prefer, s.MaxWait)
	if mode == Sync && !s.keepsRecord(*o) {
		return s.showAgain(p, id, *o, e), nil
	}
	return s.recordAgain(ctx, p, id, *o, e, mode)
}

// earlier finds the newest job that a request is equal to, and takes hold of its
// outputs: whatever becomes of that job, these are there. It returns nil when
// there is none.
func (s *Service) earlier(ctx context.Context, p *Process, id, digest string, maxAge *time.Duration) (*earlier, error) {
	j, err := s.Store.Reusable(ctx, digest, p.Plugin.Hash)
	if errors.Is(err, ErrNoSuchJob) || err == nil && maxAge != nil && s.Now().Sub(j.Finished) > *maxAge {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for results: %w", err)
	}
	e := &earlier{job: j, outputs: make(map[string]Value, len(j.Outputs))}
	for name := range j.Outputs {
		v, err := s.Store.Output(ctx, j.ID, name)
		if err == nil && v.File != "" {
			v.File, err = s.share(id, len(e.outputs), v.File)
		}
		if err != nil {
			s.removeDir(filepath.Join(id, sharedDir))
			if errors.Is(err, os.ErrNotExist) || errors.Is(err, ErrNoSuchJob) || errors.Is(err, ErrGone) {
				err = nil // it was removed just now
			}
			return nil, err
		}
		e.outputs[name] = v
	}
	return e, nil
}

// sharedDir is where a job's directory has links to outputs of another.
const sharedDir = "shared"

// share makes another link to a file, in the directory of a job.
func (s *Service) share(id string, n int, file string) (string, error) {
	dir := filepath.Join(s.jobDir(id), sharedDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("share output: %w", err)
	}
	name := filepath.Join(dir, strconv.Itoa(n))
	if err := os.Link(file, name); err != nil {
		return "", fmt.Errorf("share output: %w", err)
	}
	return name, nil
}

// showAgain answers a request that leaves no record. Nothing in the answer leads
// to the other job, which is another client's.
func (s *Service) showAgain(p *Process, id string, o Order, e *earlier) *Execution {
	now := s.Now()
	j := Job{
		ID: id, ProcessID: p.ID, Plugin: p.Plugin, Sync: true, Status: ogc.Successful, Progress: 100,
		Created: now, Started: now, Finished: now, Updated: now,
	}
	x := &Execution{Job: j, ResultsOf: e.job.Finished, Results: &Results{Job: j, Order: o, Process: p, Outputs: e.outputs}}
	if hasFile(o.Inputs) || hasFile(e.outputs) {
		s.live.hold(id)
		x.Results.release = func() { s.removeDir(id); s.live.drop(id) }
	}
	return x
}

// recordAgain makes a job of its own that ends at once with the outputs, whose
// files it shares. Should the host die meanwhile, the next settles it like any other.
func (s *Service) recordAgain(ctx context.Context, p *Process, id string, o Order, e *earlier, mode Mode) (*Execution, error) {
	defer s.removeDir(id)
	if err := s.overQuota(); err != nil {
		return nil, err
	}
	now := s.Now()
	j, err := s.Store.Create(ctx, Job{
		ID: id, ProcessID: p.ID, Plugin: e.job.Plugin, Sync: mode == Sync, Status: ogc.Accepted, Created: now, Updated: now,
		Callback: s.calledBack(o), InputSize: o.inlineSize(),
	}, o)
	if err != nil {
		return nil, fmt.Errorf("record job: %w", err)
	}
	ctx = context.WithoutCancel(ctx)
	if j, err = s.change(ctx, j, ogc.Running, nil); err == nil {
		j.Attempt-- // nothing is run
		j.ReusedFrom, j.Message = e.job.ID, "the results of job "+e.job.ID+" were reused"
		j, err = s.change(ctx, j, ogc.Successful, e.outputs)
	}
	if err != nil && !j.Status.Final() { // else it was dismissed meanwhile
		j.ReusedFrom = ""
		j = s.finish(ctx, j, nil, err)
	}
	if !j.Status.Final() {
		return nil, fmt.Errorf("record the end of job %s: %w", id, err)
	}
	s.checkQuota()
	if mode != Async {
		x, err := s.recorded(ctx, id)
		if x != nil {
			x.ResultsOf = e.job.Finished
		}
		return x, err
	}
	return &Execution{Job: j, Recorded: true, ResultsOf: e.job.Finished}, nil
}

// reusedLater returns the digest of a job that has just succeeded. It is empty
// when the plugin was replaced meanwhile: nobody knows then which of the two made
// the results.
func (s *Service) reusedLater(j Job) string {
	if j.Digest == "" {
		return ""
	}
	p, err := s.Catalog.Process(j.ProcessID)
	if err != nil || p.Plugin.Hash != j.Plugin.Hash {
		return ""
	}
	return j.Digest
}
