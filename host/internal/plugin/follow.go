package plugin

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// eventPause gathers the events of one copy or move into one look.
const eventPause = 20 * time.Millisecond

// admission is the result of admitting a candidate.
type admission struct {
	task
	version *version // nil when err is set
	notice  string   // why it is not made of the content of the file, or empty
	err     error
}

// follower is the goroutine that keeps the entries in step with the directory.
type follower struct {
	h       *Host
	results chan admission
	turns   chan struct{}            // bounds admissions at the same time
	asked   map[string]chan struct{} // closed when a request waits for the file's admission
	running sync.WaitGroup
	pending int
	ctx     context.Context // of admissions
	first   bool            // no look has happened yet
}

// follow looks at the directory now, after events, and regularly, until ctx
// ends. Admissions happen beside it.
func (h *Host) follow(ctx context.Context, w *watch) {
	admitting, cancel := context.WithCancel(ctx)
	f := &follower{h: h, results: make(chan admission), turns: make(chan struct{}, h.cfg.Admissions),
		asked: map[string]chan struct{}{}, ctx: admitting, first: true}
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
			look.Reset(f.look())
			soon = false
			asked = h.asked // from now on it is known who can be meant
		case id := <-asked:
			f.prefer(id)
		case <-w.events():
			hasten = true
		case <-h.stirred:
			hasten = true
		case a := <-f.results:
			f.pending--
			f.apply(a)
			hasten = true // the file may have changed meanwhile
		case o := <-h.orders:
			f.carryOut(o)
		case <-h.failing:
			f.judge()
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
		f.h.leave(a.version, "the host is shutting down")
	}
}

// returnPause is between looks at a directory that cannot be read: nothing tells
// when it is back.
const returnPause = time.Second

// look compares the directory with the entries, starts admissions, and returns
// when to look again.
func (f *follower) look() time.Duration {
	h := f.h
	f.rejudge()
	found, skips, err := discover(h.cfg.Dir, h.uid)
	if err != nil {
		f.complain(err.Error())
		f.first = false
		return min(h.cfg.RescanEvery, returnPause)
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
		next = min(next, f.consider(c, now))
	}
	for file, e := range h.entries {
		if !present[file] {
			next = min(next, f.miss(e, now))
		}
	}
	f.first = false
	return next
}

// complain logs trouble with the directory, or its end, when it is news.
func (f *follower) complain(trouble string) {
	switch {
	case trouble == f.h.trouble:
	case trouble == "":
		f.h.log.Info("plugins directory can be used again")
	default:
		f.h.log.Warn("plugins directory cannot be used", "error", trouble)
	}
	f.h.mu.Lock()
	defer f.h.mu.Unlock()
	f.h.trouble = trouble
}

func (f *follower) entry(c candidate, now time.Time) *entry {
	e := f.h.entries[c.file]
	if e == nil {
		e = &entry{file: c.file, since: now}
		f.h.entries[c.file] = e
	}
	e.latest, e.missing = c, time.Time{}
	e.path, e.target, e.available = c.path, c.target, c.available
	if e.seen != c.sighting() {
		e.seen, e.seenSince = c.sighting(), now
	}
	if e.signed != c.signed && !e.admitting {
		e.signed = c.signed
		if e.distrust != nil { // it may be trusted now
			e.tried = sighting{}
		}
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
	if e.refused != s.unfit.Error() {
		f.refuse(e, s.unfit)
	}
	e.tried, e.retry = sighting{}, retry{}
	return f.h.cfg.RescanEvery
}

// consider admits a candidate that is new and has settled. It returns when to
// look at it again.
func (f *follower) consider(c candidate, now time.Time) time.Duration {
	e := f.entry(c, now)
	if e.admitting {
		return f.h.cfg.RescanEvery
	}
	if e.tried != c.sighting() {
		e.retry = retry{}
	} else if left, again := e.retry.wait(now); !again {
		return f.h.cfg.RescanEvery
	} else if left > 0 {
		return left
	}
	if left := f.unsettled(e, now); left > 0 {
		return left
	}
	f.begin(e, task{candidate: c})
	return f.h.cfg.RescanEvery
}

// begin carries out a task for an entry beside everything else; apply follows.
func (f *follower) begin(e *entry, t task) {
	t.old = e.serving
	e.admitting = true
	if t.kind == taskFile {
		e.tried = t.candidate.sighting()
	}
	f.pending++
	asked := make(chan struct{})
	f.asked[e.file] = asked
	if t.order != nil || t.kind != taskFile {
		f.prefer(e.file)
	}
	f.running.Go(func() {
		a := admission{task: t}
		end, err := f.turn(f.ctx, t.candidate, asked)
		if a.err = err; err == nil {
			a.version, a.notice, a.err = f.h.next(f.ctx, t)
			end()
		}
		f.results <- a
	})
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
	f.drop(e)
	return f.h.cfg.RescanEvery
}

// apply takes in the result of an admission.
func (f *follower) apply(a admission) {
	f.h.mu.Lock()
	defer f.h.mu.Unlock()
	e := f.h.entries[a.candidate.file]
	e.admitting = false
	delete(f.asked, e.file)
	if a.err != nil {
		f.fail(e, a)
	} else {
		f.replace(e, a)
	}
	a.order.answer(a.err)
	waiting := e.orders
	e.orders = nil
	for _, o := range waiting {
		f.carryOutLocked(o)
	}
	f.judgeLocked(e)
}

// fail notes why what serves goes on, or nothing is served.
func (f *follower) fail(e *entry, a admission) {
	switch a.kind {
	case taskRevise:
		e.notice = "its changed configuration is refused, the one before goes on: " + a.err.Error()
		f.h.log.Warn("plugin refuses its changed configuration", "plugin", e.file, "error", a.err)
	case taskGoBack:
		e.notice = a.err.Error()
		f.h.log.Error("plugin is not rolled back", "plugin", e.file, "error", a.err)
	default:
		if _, ok := errors.AsType[passing](a.err); ok {
			e.retry = e.retry.after(time.Now(), f.h.cfg.RetryFirst, f.h.cfg.RetryMax)
		}
		f.refuse(e, a.err)
	}
}

// replace makes a version the one that serves.
func (f *follower) replace(e *entry, a admission) {
	h, v := f.h, a.version
	old := e.serving
	e.serving, e.notice, e.since = v, "", time.Now()
	if a.kind == taskRevise && e.refused != "" {
		e.tried, e.retry = sighting{}, retry{} // it may not be, as it is configured now
	}
	if a.kind != taskRevise {
		e.refused, e.accept, e.distrust, e.retry = a.notice, "", nil, retry{}
		if err := f.settle(e, a); err != nil {
			h.log.Warn("what was decided about a plugin is forgotten by the next start", "plugin", e.file, "error", err)
		}
	}
	switch {
	case v.back != "":
		v.trial.Store(&trial{back: v.back, until: e.since.Add(h.cfg.TrialTime)})
	case old != nil && old.exe.hash == v.exe.hash:
		v.trial.Store(old.trial.Load())
	}
	f.publish()
	if h.serves {
		v.keepWarm()
	}
	h.log.Info("plugin admitted", "plugin", e.file, "name", v.description.Info.Name,
		"version", v.description.Info.Version, "hash", v.exe.hash, "processes", len(v.offers))
	for _, r := range v.refused {
		h.log.Warn("process of plugin refused", "plugin", e.file, "process", r.ID, "error", r.Reason)
	}
	for id, owner := range v.clashes {
		h.log.Warn("process of plugin refused", "plugin", e.file, "process", id, "error", alreadyOffered(owner))
	}
	h.leave(old, "its plugin was replaced")
}

// settle remembers what the admission has decided about the content of the file.
func (f *follower) settle(e *entry, a admission) error {
	switch {
	case a.kind == taskGoBack:
		return f.h.keep.rule(e.file, a.ruling)
	case a.notice == "":
		return f.h.keep.rule(e.file, nil)
	}
	return nil // the ruling stands
}

// drop forgets an entry and all about its plugin. Its jobs may finish.
func (f *follower) drop(e *entry) {
	delete(f.h.entries, e.file)
	f.h.launcher.ledgers.drop(e.file)
	if err := f.h.keep.forget(e.file); err != nil {
		f.h.log.Warn("version before of a removed plugin stays behind", "plugin", e.file, "error", err)
	}
	f.withdraw(e)
}

// withdraw stops offering what an entry serves.
func (f *follower) withdraw(e *entry) {
	v := e.serving
	if v == nil {
		return
	}
	e.serving = nil
	f.h.log.Info("plugin removed", "plugin", e.file)
	f.publish()
	f.h.leave(v, "its plugin was removed")
}

func (f *follower) refuse(e *entry, err error) {
	level := slog.LevelWarn
	if e.refused == err.Error() {
		level = slog.LevelDebug // tried again, for the same
	}
	e.refused = err.Error()
	e.accept, e.distrust = acceptance(err)
	if e.serving == nil {
		e.since = time.Now()
	}
	f.h.log.Log(context.Background(), level, "plugin refused", "plugin", e.file, "reason", e.problem())
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
