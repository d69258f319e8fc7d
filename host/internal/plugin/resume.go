package plugin

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"geomill/host/internal/job"
	"geomill/host/internal/plugin/settings"
	"geomill/sdk/wire"
)

// A detached instance is reached within attachWithin, or it is tried again as
// often as attachTries.
const (
	attachWithin = 2 * time.Second
	attachTries  = 3
)

var (
	errUnanswered = errors.New("the plugin does not answer any more")
	errEndedAlone = errors.New("the plugin ended unexpectedly while no server was connected to it")
)

// Resumable implements job.Resumer.
func (h *Host) Resumable(jobID string, attempt int) *job.Resumption {
	r := h.found[jobID]
	if r == nil || r.Attempt != attempt {
		return nil
	}
	p, err := job.NewProcess(r.Description, r.Policy, r.Plugin)
	if err != nil {
		h.log.Error("a detached instance is of no use", "job", jobID, "error", err)
		return nil
	}
	delete(h.found, jobID)
	h.mu.Lock()
	h.detached[jobID] = r
	h.mu.Unlock()
	return &job.Resumption{Process: p, Began: r.Began}
}

// Resume implements job.Resumer.
func (h *Host) Resume(ctx context.Context, a job.Attempt, ev job.Events) (map[string]job.Value, error) {
	h.mu.Lock()
	r := h.detached[a.JobID]
	h.mu.Unlock()
	d := h.newDetachedRun(r, h.cfg.Log.With(slog.String("plugin", r.Plugin.Name), slog.String("job", a.JobID)))
	d.keepSecret(h.secretsOf(r))
	placed := a.PlacedIn(r.Root)
	if _, err := os.Stat(placed.JobDir); err != nil {
		if _, err := os.Stat(a.JobDir); err == nil { // it came home before the last host died
			placed = a
		}
	}
	values, ended, err := wire.Replay(ctx, r.Root, startOf(ctx, placed, r.place()), discreet(ev, d.own), &d.seen)
	if ended { // in time, whatever the time is now
		return h.concludeDetached(ctx, d, a, placed, values, err)
	}
	cause := d.attach(ctx, a)
	if cause != nil {
		return h.settleDetached(ctx, d, a, placed, ev, cause)
	}
	d.log.Info("attached to a plugin instance of an earlier host", "pid", d.PID)
	return h.see(ctx, d, a, placed, func(ev job.Events) (wire.Values, error) {
		return d.session.Attach(ctx, startOf(ctx, placed, r.place()), a.Grace, ev, &d.seen)
	}, ev)
}

// secretsOf makes the settings of a plugin as they are now, or nil: those that an
// earlier host gave to an instance are not kept.
func (h *Host) secretsOf(r *instanceRecord) *settings.Settings {
	known, ok := h.cache.describe(r.Plugin.Hash)
	if !ok {
		return nil
	}
	o, err := h.cfg.settle(r.File, known.Info.SettingsSchema, h.cfg.optionsOf(r.File))
	if err != nil {
		h.log.Warn("what an instance of an earlier host says may have secrets in it", "plugin", r.File, "error", err)
	}
	return o.settled
}

// attach reaches the instance of an earlier host, or says what became of it.
func (d *detachedRun) attach(ctx context.Context, a job.Attempt) error {
	for try := 0; d.alive(); try++ {
		asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), attachWithin)
		err := d.connect(asking)
		cancel()
		if err == nil {
			d.follow(-1, -1, a)
			return nil
		}
		d.log.Warn("plugin instance of an earlier host does not answer", "pid", d.PID, "error", err)
		if try == attachTries {
			d.wedged.Store(true)
			return errUnanswered
		}
	}
	return errEndedAlone
}

// Forget implements job.Resumer.
func (h *Host) Forget(jobID string) {
	h.mu.Lock()
	r := h.detached[jobID]
	delete(h.detached, jobID)
	h.mu.Unlock()
	if r == nil {
		return
	}
	if err := r.forget(); err != nil {
		h.log.Warn("files of a detached instance stay behind", "job", jobID, "error", err)
	}
}

// Abandon implements job.Resumer.
func (h *Host) Abandon() {
	for id, r := range h.found {
		h.log.Info("detached plugin instance is ended: its job is over", "job", id, "pid", r.PID)
		h.endProcesses(r.Dir)
		if err := r.forget(); err != nil {
			h.log.Warn("files of a detached instance stay behind", "job", id, "error", err)
		}
	}
	h.found = nil
}
