package plugin

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"geomill/host/internal/job"
	"geomill/host/internal/plugin/settings"
	"geomill/sdk/wire"
)

// beginning is when an attempt began: by the clock, and by the lines that its
// instance had written.
type beginning struct {
	at    time.Time
	lines int
}

// Execute runs one attempt in an instance of the process's plugin. It is
// job.Executor.
func (h *Host) Execute(ctx context.Context, a job.Attempt, ev job.Events) (map[string]job.Value, error) {
	if ctx.Err() != nil { // dismissed as it began: no instance is started for it
		return nil, context.Cause(ctx)
	}
	if h.detaches(a) {
		return h.executeDetached(ctx, a, ev)
	}
	o, in, err := h.borrow(ctx, a.Process.ID)
	if err != nil {
		return nil, err
	}
	if o.process != a.Process { // replaced since the job was given to it
		if err := ev.Moved(o.process); err != nil {
			o.giveBack(in)
			return nil, err
		}
		a.Process = o.process
	}
	begun := beginning{time.Now(), in.conn.child.console.written()}
	release := in.attribute(a)
	out, err := h.runIn(ctx, o, in, a, begun, ev)
	release()
	o.giveBack(in)
	if err != nil {
		return nil, err
	}
	if err := h.takeOver(ctx, a, out); err != nil {
		return nil, err
	}
	return out, nil
}

// runIn runs an attempt in a borrowed instance, with its files in the directory
// of that.
func (h *Host) runIn(ctx context.Context, o *offer, in *instance, a job.Attempt, begun beginning, ev job.Events) (map[string]job.Value, error) {
	placed, err := in.work.placeIn(a)
	if err != nil {
		return nil, err
	}
	var out map[string]job.Value
	working, allowed := h.allow(ctx, in, placed)
	own := in.conn.options.settled
	values, err := in.session.Run(working, startOf(working, placed, in.work), a.Grace, discreet(ev, own))
	if err != nil {
		err = h.failure(working, o, in, placed, begun, conceal(err, own))
	}
	if err = allowed.settle(err); err == nil {
		out = h.outputs(in.log, own, a, values)
		err = within(a.Process.Policy.Limits, out)
	}
	err = in.takeHome(a, placed, out, err)
	allowed.close()
	if err != nil {
		return nil, h.unlocated(err, placed)
	}
	return out, nil
}

// borrow returns an instance for one job of a process, and the offer to give it
// back to. A version that is replaced while the job waits hands it to the next.
func (h *Host) borrow(ctx context.Context, id string) (*offer, *instance, error) {
	for {
		o := h.routes.Load().byID[id]
		if o == nil {
			return nil, nil, &job.Failure{Kind: job.Vanished, Detail: "the process " + id + " is no longer offered"}
		}
		in, err := o.borrow(ctx)
		if err == nil {
			return o, in, nil
		}
		u, ok := errors.AsType[*job.UnavailableError](err)
		if !ok {
			return nil, nil, err
		}
		if h.routes.Load().byID[id] == o {
			return nil, nil, &job.UnavailableError{ProcessID: id, Reason: u.Reason, RetryAfter: u.RetryAfter, Passing: u.Passing}
		}
	}
}

// startOf is what an instance is told of an attempt in its directory.
func startOf(ctx context.Context, a job.Attempt, in *workDir) wire.Start {
	s := wire.Start{
		JobID: a.JobID, ProcessID: a.Process.ID, Attempt: a.Number, Outputs: a.Outputs, Dir: a.Dir,
		CheckpointDir: a.Checkpoint,
		Inputs:        make(wire.Values, 0, len(a.Inputs)),
		Root:          in.path, Owner: in.uid,
	}
	for id, v := range a.Inputs {
		s.Inputs = append(s.Inputs, wire.Named{ID: id, Value: wire.Value(v)})
	}
	s.Deadline, _ = ctx.Deadline()
	return s
}

// outputs takes over what a plugin returned. What its description does not
// promise is left out.
func (h *Host) outputs(log *slog.Logger, own *settings.Settings, a job.Attempt, values wire.Values) map[string]job.Value {
	out := make(map[string]job.Value, len(values))
	for _, n := range values {
		id, v := n.ID, n.Value
		if _, ok := a.Process.Outputs[id]; !ok {
			log.Warn("plugin returned an output that its process does not have", "process", a.Process.ID, "job", a.JobID,
				"output", strings.ToValidUTF8(own.Hide(id[:min(len(id), 200)]), "\uFFFD"))
			continue
		}
		value := a.Process.AsDeclared(id, job.Value(v), a.Outputs[id])
		if value.MediaType == "" {
			value.MediaType = mediaTypeOf(value, a.Outputs[id])
		}
		out[id] = value
	}
	return out
}

// mediaTypeOf fills in what a plugin left out: JSON for JSON, else what the
// client wanted, else just bytes.
func mediaTypeOf(v job.Value, wanted string) string {
	switch {
	case v.JSON != nil || v.File != "":
		return "application/json"
	case wanted != "":
		return wanted
	}
	return "application/octet-stream"
}

// failure turns an error of the wire into the host's terms, and sees to an
// instance that can no longer be trusted.
func (h *Host) failure(ctx context.Context, o *offer, in *instance, a job.Attempt, begun beginning, err error) error {
	if in.evicted(ctx, err) {
		return h.lostFailure(in, a, begun.lines, err)
	}
	if _, ok := errors.AsType[*wire.UnresponsiveError](err); ok || ctx.Err() != nil {
		h.afterCancel(o, in, a, begun.at, err)
	}
	if _, ok := errors.AsType[*wire.LostError](err); ok && ctx.Err() == nil {
		return h.lostFailure(in, a, begun.lines, err)
	}
	return verdict(ctx, a.Process.ID, in.conn.options.Limits, err)
}

// verdict turns an error of the wire into the host's terms, where the instance
// is not lost.
func verdict(ctx context.Context, processID string, l Limits, err error) error {
	if f, ok := errors.AsType[*job.Failure](err); ok {
		return f
	}
	if c, ok := errors.AsType[*wire.ContractError](err); ok {
		return &job.Failure{Kind: job.ContractBroken, Detail: c.Error(), Cause: err}
	}
	if p, ok := errors.AsType[*wire.Problem](err); ok {
		return problemFailure(processID, p, l)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return &job.Failure{Kind: job.ContractBroken, Detail: "the job could not be handed to the plugin", Cause: err}
}

func problemFailure(processID string, p *wire.Problem, l Limits) error {
	f := &job.Failure{Kind: job.ProcessFailed, Detail: p.Error(), Retryable: p.Retryable}
	switch p.Kind {
	case wire.InvalidInput:
		f.Kind, f.Faults, f.Code = job.InputRefused, p.Faults, p.Code
		if p.Status >= 400 && p.Status < 500 { // whose fault it is, is told already
			f.Status = p.Status
		}
	case wire.Busy:
		return &job.UnavailableError{ProcessID: processID, Reason: "its plugin is busy", RetryAfter: time.Second}
	case wire.NoSuchProcess:
		f.Kind, f.Detail, f.Cause = job.ContractBroken, "the plugin does not know the process that it offers", p
	case wire.Panicked:
		f.Detail, f.Cause = "the process crashed inside its plugin", p
	default:
		if l.blame(f, p.Error()); f.Kind == job.ProcessFailed {
			f.Status, f.Code = p.Status, p.Code
		}
	}
	return f
}
