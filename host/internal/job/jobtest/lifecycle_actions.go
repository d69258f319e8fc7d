package jobtest

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// request draws an execute request.
func (l *life) request(rt *rapid.T) job.Request {
	return job.Request{ProcessID: rapid.SampledFrom([]string{"once", "again"}).Draw(rt, "process")}
}

func (l *life) submit(rt *rapid.T) {
	r := l.request(rt)
	r.Prefer.Async = true
	x, err := l.host.Submit(l.t.Context(), r)
	synctest.Wait()
	if err == nil {
		l.note(x.Job.ID, func(r *tracked) { r.known = true })
	} else if l.host.alive() == nil {
		rt.Fatalf("Submit: %v", err)
	}
}

// submitSync leaves a client waiting for the end of a recorded job.
func (l *life) submitSync(rt *rapid.T) {
	r := l.request(rt)
	r.Outputs = map[string]ogc.OutputSelection{"out": {TransmissionMode: "reference"}}
	ctx, leave := context.WithCancel(context.Background())
	host := l.host
	l.clients = append(l.clients, client{host, leave})
	l.calls.Go(func() {
		if x, err := host.Submit(ctx, r); err == nil {
			x.Results.Close()
		}
	})
	synctest.Wait()
}

// leave ends the connection of a client that waits, if it still does.
func (l *life) leave(rt *rapid.T) {
	if len(l.clients) == 0 {
		rt.Skip()
	}
	n := rapid.IntRange(0, len(l.clients)-1).Draw(rt, "client")
	l.clients[n].leave()
	l.clients = slices.Delete(l.clients, n, n+1)
	synctest.Wait()
}

// ongoing lists the attempts without an end, by job and number.
func (l *life) ongoing() []*trial {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(l.attempts), func(a *trial) bool { return a.over.Load() })
}

// current reports whether an attempt is the one that its job waits for.
func (l *life) current(a *trial) bool {
	j := l.see(a.JobID).job
	return a.m == l.host && j.Status == ogc.Running && j.Attempt == a.Number
}

// draw picks an ongoing attempt that its job waits for, or one that it does not.
func (l *life) draw(rt *rapid.T, current bool) *trial {
	all := slices.DeleteFunc(l.ongoing(), func(a *trial) bool { return l.current(a) != current })
	if len(all) == 0 {
		rt.Skip()
	}
	return rapid.SampledFrom(all).Draw(rt, "attempt")
}

func (l *life) succeed(rt *rapid.T) {
	a := l.draw(rt, true)
	a.end(verdict{outputs: made(a)})
	if j := l.see(a.JobID).job; l.host.alive() == nil && j.Status != ogc.Successful {
		rt.Fatalf("job %+v is not successful, though its attempt was", j)
	}
}

func made(a *trial) map[string]job.Value {
	text, _ := json.Marshal(a.JobID)
	return map[string]job.Value{"out": {JSON: text}}
}

func (a *trial) end(v verdict) {
	a.over.Store(true)
	a.verdict <- v
	synctest.Wait()
}

func (l *life) fail(rt *rapid.T) {
	a := l.draw(rt, true)
	kind := rapid.SampledFrom([]job.FailureKind{job.ProcessFailed, job.PluginDied, "busy"}).Draw(rt, "kind")
	before := l.see(a.JobID).job
	var err error = &job.Failure{Kind: kind, Detail: "it did not work"}
	want := []ogc.Status{ogc.Failed}
	switch {
	case kind == "busy":
		err = &job.UnavailableError{ProcessID: before.ProcessID, Reason: "busy"}
		l.note(a.JobID, func(r *tracked) { r.ran-- })
		if !before.Sync {
			want = []ogc.Status{ogc.Accepted}
		}
	case before.ProcessID == "again" && !before.Sync:
		want = append(want, ogc.Accepted)
	}
	if l.see(a.JobID).doubled {
		want = append(want, ogc.Running) // at once, by its other ticket
	}
	a.end(verdict{err: err})
	if j := l.see(a.JobID).job; l.host.alive() == nil && !slices.Contains(want, j.Status) {
		rt.Fatalf("job %+v after %v", j, err)
	}
}

// late ends an attempt that its job does not wait for any more.
func (l *life) late(rt *rapid.T) {
	a := l.draw(rt, false)
	before := l.see(a.JobID).job
	v := verdict{err: &job.Failure{Kind: job.ProcessFailed, Detail: "late"}}
	if rapid.Bool().Draw(rt, "success") {
		v = verdict{outputs: made(a)}
	}
	a.end(v)
	if after := l.see(a.JobID).job; before.Status.Final() && after.Revision != before.Revision {
		rt.Fatalf("a late end changed %+v into %+v", before, after)
	}
}

func (l *life) progress(rt *rapid.T) {
	a := l.draw(rt, true)
	before, err := l.host.Job(l.t.Context(), a.JobID)
	percent := rapid.Float64Range(-10, 200).Draw(rt, "percent")
	a.events.Progress(percent, "on its way")
	after, e := l.host.Job(l.t.Context(), a.JobID)
	if err = errors.Join(err, e); err == nil && (after.Progress < before.Progress || after.Progress > 99) {
		rt.Fatalf("progress %d after %d and a report of %g", after.Progress, before.Progress, percent)
	}
	if err != nil && l.host.alive() == nil {
		rt.Fatal(err)
	}
}

// pick draws a job of any status.
func (l *life) pick(rt *rapid.T) tracked {
	ids := l.jobs()
	if len(ids) == 0 {
		rt.Skip()
	}
	return l.see(rapid.SampledFrom(ids).Draw(rt, "job"))
}

func (l *life) dismiss(rt *rapid.T) {
	r := l.pick(rt)
	before := r.job
	stubborn := rapid.Bool().Draw(rt, "stubborn")
	for _, a := range l.ongoing() {
		if a.JobID == before.ID && !before.Status.Final() {
			a.stubborn.Store(stubborn)
		}
	}
	was := r.deleted
	_, err := l.host.Dismiss(l.t.Context(), before.ID)
	synctest.Wait()
	r = l.see(before.ID)
	switch {
	case l.host.alive() != nil:
	case was:
		if !errors.Is(err, job.ErrGone) && !errors.Is(err, job.ErrNoSuchJob) {
			rt.Fatalf("Dismiss of a removed job: %v", err)
		}
	case err != nil:
		rt.Fatalf("Dismiss of %+v: %v", before, err)
	case before.Status.Final() != r.deleted || !before.Status.Final() && r.job.Status != ogc.Dismissed:
		rt.Fatalf("dismissed, %+v became %+v (removed: %v)", before, r.job, r.deleted)
	case !stubborn && !before.Status.Final() && slices.ContainsFunc(l.ongoing(), func(a *trial) bool { return a.JobID == before.ID && a.m == l.host }):
		rt.Fatalf("the work of %+v goes on, though it was dismissed", before)
	}
}

// duplicate has the host claim a job once more, whatever its status.
func (l *life) duplicate(rt *rapid.T) {
	r := l.pick(rt)
	if r.job.Sync {
		rt.Skip()
	}
	select {
	case l.host.extra <- secondClaim{l.queue, job.Ticket{JobID: r.job.ID, ProcessID: r.job.ProcessID}}:
		l.note(r.job.ID, func(r *tracked) { r.doubled = true })
	default: // it has no free slot
		rt.Skip()
	}
	synctest.Wait()
}

// kill ends the host at once; the queue may outlive it.
func (l *life) kill(rt *rapid.T) {
	l.shut(l.host, true)
	if rapid.Bool().Draw(rt, "new queue") {
		l.queue = NewMemoryQueue(1000, time.Minute)
	}
	l.open(rt)
}

// lightFuse lets the host die of one of its next writes.
func (l *life) lightFuse(rt *rapid.T) {
	n, lost := rapid.IntRange(1, 4).Draw(rt, "writes"), rapid.Bool().Draw(rt, "lost")
	l.host.becomes(func() { l.host.fuse, l.host.lost = n, lost })
}

// stop ends the host in order.
func (l *life) stop(rt *rapid.T) {
	l.shut(l.host, false)
	l.queue = NewMemoryQueue(1000, time.Minute)
	l.open(rt)
}

// cutOff lets another host take over from one that goes on working.
func (l *life) cutOff(rt *rapid.T) {
	for _, a := range l.ongoing() {
		if a.m == l.host {
			a.stubborn.Store(true)
		}
	}
	l.host.becomes(func() { l.host.cutOff, l.host.fuse = true, 0 })
	l.past = append(l.past, l.host)
	l.queue = NewMemoryQueue(1000, time.Minute)
	l.open(rt)
}

func (l *life) wait(rt *rapid.T) {
	time.Sleep(rapid.SampledFrom([]time.Duration{time.Second, 10 * time.Second, 2 * time.Minute, 2 * time.Hour}).Draw(rt, "time"))
	synctest.Wait()
}
