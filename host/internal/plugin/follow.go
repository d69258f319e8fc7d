package plugin

import (
	"context"
	"sync"
	"time"
)

// eventPause gathers the events of one copy or move into one look.
const eventPause = 20 * time.Millisecond

// admission is the result of admitting a candidate.
type admission struct {
	candidate candidate
	version   *version // nil when err is set
	err       error
}

// follower is the goroutine that keeps the entries in step with the directory.
type follower struct {
	h       *Host
	results chan admission
	turns   chan struct{}            // bounds admissions at the same time
	asked   map[string]chan struct{} // closed when a request waits for the file's admission
	running sync.WaitGroup
	pending int
	first   bool   // no look has happened yet
	trouble string // with the directory, as last logged
}

// follow looks at the directory now, after events, and regularly, until ctx
// ends. Admissions happen beside it.
func (h *Host) follow(ctx context.Context, w *watch) {
	f := &follower{h: h, results: make(chan admission), turns: make(chan struct{}, h.cfg.Admissions),
		asked: map[string]chan struct{}{}, first: true}
	admitting, cancel := context.WithCancel(ctx)
	defer f.abandon()
	defer cancel()
	ready := sync.OnceFunc(func() { close(h.ready) })
	late := time.AfterFunc(h.cfg.ReadyTimeout, ready)
	defer late.Stop()
	look := time.NewTimer(0)
	defer look.Stop()
	soon := false // a directory that is never quiet must not put the look off
	var asked <-chan string
	for {
		hasten := false
		select {
		case <-ctx.Done():
			return
		case <-look.C:
			w.attach()
			look.Reset(f.look(admitting))
			soon = false
			asked = h.asked // from now on it is known who can be meant
		case id := <-asked:
			f.prefer(id)
		case <-w.events():
			hasten = true
		case a := <-f.results:
			f.pending--
			f.apply(a)
			hasten = true // the file may have changed meanwhile
		}
		if hasten && !soon {
			look.Reset(eventPause)
			soon = true
		}
		if f.pending == 0 && !f.first {
			ready()
			h.saveCache()
		}
	}
}

// abandon waits for the admissions under way, whose context has ended.
func (f *follower) abandon() {
	go func() {
		f.running.Wait()
		close(f.results)
	}()
	for a := range f.results {
		if a.version != nil {
			a.version.exe.close()
		}
	}
}

// look compares the directory with the entries, starts admissions, and returns
// when to look again.
func (f *follower) look(ctx context.Context) time.Duration {
	h := f.h
	found, skips, err := discover(h.cfg.Dir, h.uid)
	if err != nil {
		f.complain(err.Error())
		f.first = false
		return h.cfg.RescanEvery
	}
	f.complain("")
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	next := h.cfg.RescanEvery
	present := make(map[string]bool, len(found)+len(skips))
	for _, s := range skips {
		present[s.file] = true
		next = min(next, f.skip(s, now))
	}
	for _, c := range found {
		present[c.file] = true
		next = min(next, f.consider(ctx, c, now))
	}
	for file, e := range h.entries {
		if !present[file] {
			next = min(next, f.miss(e, now))
		}
	}
	f.first = false
	return next
}

// complain logs trouble with the directory when it is news.
func (f *follower) complain(trouble string) {
	if trouble != f.trouble && trouble != "" {
		f.h.log.Warn("plugins directory cannot be used", "error", trouble)
	}
	f.trouble = trouble
}

func (f *follower) entry(c candidate, now time.Time) *entry {
	e := f.h.entries[c.file]
	if e == nil {
		e = &entry{file: c.file, since: now}
		f.h.entries[c.file] = e
	}
	e.path, e.target, e.missing = c.path, c.target, time.Time{}
	if e.seen != c.id {
		e.seen, e.seenSince = c.id, now
	}
	return e
}

// unsettled returns how long a file that may still be copied into place is
// left alone. What is there when the host starts is taken as it is.
func (f *follower) unsettled(e *entry, now time.Time) time.Duration {
	if f.first {
		return 0
	}
	return f.h.cfg.Settle - now.Sub(e.seenSince)
}

// skip notes a file that cannot be started. What it held before goes on. It
// returns when to look at it again.
func (f *follower) skip(s skip, now time.Time) time.Duration {
	e := f.entry(s.candidate, now)
	if left := f.unsettled(e, now); left > 0 {
		return left
	}
	if e.refused != s.reason {
		f.refuse(e, s.reason)
	}
	e.tried = identity{}
	return f.h.cfg.RescanEvery
}

// consider admits a candidate that is new and has settled. It returns when to
// look at it again.
func (f *follower) consider(ctx context.Context, c candidate, now time.Time) time.Duration {
	e := f.entry(c, now)
	if e.tried == c.id || e.admitting {
		return f.h.cfg.RescanEvery
	}
	if left := f.unsettled(e, now); left > 0 {
		return left
	}
	e.admitting, e.tried = true, c.id
	f.pending++
	replaces, asked := e.serving != nil, make(chan struct{})
	f.asked[c.file] = asked
	f.running.Go(func() {
		a := admission{candidate: c}
		end, err := f.turn(ctx, c, asked)
		if a.err = err; err == nil {
			a.version, a.err = f.h.admit(ctx, c, replaces)
			end()
		}
		f.results <- a
	})
	return f.h.cfg.RescanEvery
}

// miss drops an entry whose file is gone and does not come back at once.
func (f *follower) miss(e *entry, now time.Time) time.Duration {
	if e.missing.IsZero() {
		e.missing = now
	}
	if left := f.h.cfg.Settle - now.Sub(e.missing); left > 0 {
		return left
	}
	if e.admitting {
		return f.h.cfg.Settle
	}
	delete(f.h.entries, e.file)
	f.h.launcher.ledgers.drop(e.file)
	if e.serving != nil {
		f.h.log.Info("plugin removed", "plugin", e.file)
		f.publish()
		f.h.leave(e.serving, "its plugin was removed")
	}
	return f.h.cfg.RescanEvery
}

// apply takes in the result of an admission.
func (f *follower) apply(a admission) {
	h := f.h
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.entries[a.candidate.file]
	e.admitting = false
	delete(f.asked, e.file)
	if a.err != nil {
		f.refuse(e, a.err.Error())
		return
	}
	old := e.serving
	e.serving, e.refused, e.since = a.version, "", time.Now()
	f.publish()
	if h.serves {
		a.version.keepWarm()
	}
	h.log.Info("plugin admitted", "plugin", e.file, "name", a.version.description.Info.Name,
		"version", a.version.description.Info.Version, "hash", a.version.exe.hash, "processes", len(a.version.offers))
	for _, r := range a.version.refused {
		h.log.Warn("process of plugin refused", "plugin", e.file, "process", r.ID, "error", r.Reason)
	}
	for id, owner := range a.version.clashes {
		h.log.Warn("process of plugin refused", "plugin", e.file, "process", id, "error", "already offered by "+owner)
	}
	h.leave(old, "its plugin was replaced")
}

func (f *follower) refuse(e *entry, reason string) {
	e.refused = reason
	if e.serving == nil {
		e.since = time.Now()
	}
	f.h.log.Warn("plugin refused", "plugin", e.file, "reason", e.problem())
}

// publish offers what the entries serve.
func (f *follower) publish() {
	serving := map[string]*version{}
	for file, e := range f.h.entries {
		if e.serving != nil {
			serving[file] = e.serving
		}
	}
	close(f.h.routes.Swap(route(serving)).replaced)
}
