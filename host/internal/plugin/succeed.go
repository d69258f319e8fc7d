package plugin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"geomill/host/internal/job"
	"geomill/host/internal/plugin/compat"
	"geomill/sdk/ogc"
)

// taskKind says where the next version of a plugin comes from.
type taskKind int

const (
	taskFile   taskKind = iota // from the content of its file
	taskRevise                 // the same content, by what the operator decides now
	taskGoBack                 // the kept version
)

// task is one admission.
type task struct {
	kind      taskKind
	candidate candidate
	old       *version // serves until then, or nil
	ruling    *ruling  // of taskGoBack
	order     *order   // who asked for it, or nil
}

func (t task) forced() bool { return t.order != nil && t.order.force }

// next makes the version that a task is for, beside the one that serves. With
// a version, the notice says why it is not the content of the file that it was
// made of.
func (h *Host) next(ctx context.Context, t task) (v *version, notice string, err error) {
	switch t.kind {
	case taskRevise:
		v, err = h.revise(ctx, t.old)
	case taskGoBack:
		notice = t.ruling.Reason
		v, err = h.kept(ctx, t.candidate, t.ruling.Instead)
	default:
		v, notice, err = h.fromFile(ctx, t)
	}
	if err != nil || t.old == nil || t.kind == taskGoBack {
		return v, notice, err
	}
	if err := h.succeed(ctx, t, v); err != nil {
		h.leave(v, "it was not taken into service")
		return nil, "", err
	}
	return v, notice, nil
}

// fromFile admits the content of a file, unless there is a ruling about it.
func (h *Host) fromFile(ctx context.Context, t task) (*version, string, error) {
	v, err := h.admit(ctx, t.candidate, t.old != nil)
	if err != nil {
		return nil, "", err
	}
	r := h.keep.of(t.candidate.file).Ruling
	if r == nil || r.Hash != v.exe.hash || t.forced() || t.order != nil && !r.Firm || r.Breaks && v.sup.options.AllowBreaking {
		return v, "", nil
	}
	h.leave(v, "it was not taken into service")
	if t.old != nil || r.Instead == "" {
		return nil, "", errors.New(r.Reason)
	}
	v, err = h.kept(ctx, t.candidate, r.Instead)
	return v, r.Reason, err
}

// kept admits the kept version of a plugin.
func (h *Host) kept(ctx context.Context, c candidate, hash string) (*version, error) {
	exe, err := h.keep.open(c.file, c.path, hash, h.uid)
	if err != nil {
		return nil, fmt.Errorf("the version before cannot be served again: %w", err)
	}
	return h.admitOpened(ctx, exe)
}

// revise admits the content that serves once more.
func (h *Host) revise(ctx context.Context, old *version) (*version, error) {
	exe, err := old.exe.clone()
	if err != nil {
		return nil, err
	}
	return h.admitOpened(ctx, exe)
}

func (h *Host) admitOpened(ctx context.Context, exe *executable) (*version, error) {
	v, err := h.admitExecutable(ctx, exe, candidate{}, false)
	if err != nil {
		exe.close()
		return nil, err
	}
	return v, nil
}

// succeed checks that a version can take the place of another, and keeps that
// one.
func (h *Host) succeed(ctx context.Context, t task, v *version) error {
	old := t.old
	if breaks := breaksOf(old, v); t.kind == taskFile && len(breaks) > 0 && !t.forced() {
		reason := fmt.Sprintf("version %s breaks clients of version %s: %s; to accept it: geomill plugin reload %s --force",
			v.description.Info.Version, old.description.Info.Version, compat.Summary(breaks), v.exe.name)
		h.holdOff(old, v, reason)
		return errors.New(reason)
	}
	if err := v.prove(ctx, old.sup.busy()); err != nil {
		return passing{err}
	}
	if old.exe.hash == v.exe.hash {
		return nil
	}
	if err := h.keep.save(old.exe, old.description); err != nil {
		if h.keep.dir != "" {
			h.log.Warn("version before is not kept, so there is no going back to it", "plugin", v.exe.name, "error", err)
		}
		return nil
	}
	v.back = old.exe.hash
	return nil
}

// holdOff makes the version that serves do so after a restart of the host too,
// rather than a new one that was refused.
func (h *Host) holdOff(old, v *version, reason string) {
	err := h.keep.save(old.exe, old.description)
	if err == nil {
		err = h.keep.rule(v.exe.name, &ruling{Hash: v.exe.hash, Instead: old.exe.hash, Reason: reason, Firm: true, Breaks: true})
	}
	if err != nil && h.keep.dir != "" {
		h.log.Warn("a restart would serve the version that is refused", "plugin", v.exe.name, "error", err)
	}
}

// breaksOf lists what a version breaks for clients of another, unless that is
// allowed.
func breaksOf(old, v *version) []compat.Break {
	if old.exe.hash == v.exe.hash || v.sup.options.AllowBreaking ||
		compat.Announced(old.description.Info.Version, v.description.Info.Version) {
		return nil
	}
	return compat.Compare(old.described(), v.described())
}

func (v *version) described() []ogc.Process {
	list := make([]ogc.Process, len(v.offers))
	for i, o := range v.offers {
		list[i] = o.process.Process
	}
	return list
}

// proofTime is how long a new version has to bear with its first session: a
// plugin that takes none says so only after it was opened.
const proofTime = 100 * time.Millisecond

// prove starts an instance and takes it as a job does, to a session, for a
// version that only describes itself is of no use. With stay it is there when
// the first jobs come.
func (v *version) prove(ctx context.Context, stay bool) error {
	lasting := func(o *offer) int {
		return slices.Index([]job.Isolation{job.PerJob, job.Exclusive, job.Shared}, o.process.Policy.Isolation)
	}
	o := slices.MaxFunc(v.offers, func(a, b *offer) int { return cmp.Compare(lasting(a), lasting(b)) })
	in, err := o.borrow(ctx)
	if err != nil {
		return errors.New(cmp.Or(v.sup.lastCrash(), err.Error()))
	}
	defer func() {
		in.served.Add(-1) // for it was no job
		o.giveBack(in)
	}()
	wait := time.NewTimer(proofTime)
	defer wait.Stop()
	select {
	case <-in.session.Done():
		return fmt.Errorf("takes no jobs: %w", in.session.Err())
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-wait.C:
	}
	if !stay {
		in.end(errRetired)
	}
	return nil
}

// busy reports whether instances live or start.
func (s *supervisor) busy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.live) > 0 || s.launches > 0
}

// outdated reports whether the operator decides otherwise about a version than
// when it was admitted. Settings that cannot be made any more count too, so that
// it is said.
func (h *Host) outdated(v *version) bool {
	o, err := h.cfg.settle(v.exe.name, v.description.Info.SettingsSchema, h.cfg.optionsOf(v.exe.name))
	if err != nil {
		return true
	}
	list, _ := processesOf(v.description, v.exe.hash, h.cfg.decider(o))
	o.Limits = o.Limits.withFile(list)
	return !o.Equal(v.sup.options) || !slices.EqualFunc(list, v.offers, func(p *job.Process, o *offer) bool {
		return p.ID == o.process.ID && reflect.DeepEqual(p.Policy, o.process.Policy)
	})
}
