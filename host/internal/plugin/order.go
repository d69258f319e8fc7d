package plugin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"time"
)

var (
	errNoPlugin = errors.New("there is no such plugin in the plugins directory")
	errStopping = errors.New("the host is shutting down")
)

// orderVerb is what an operator wants done with a plugin.
type orderVerb int

const (
	orderReload orderVerb = iota
	orderRevise
	orderRollback
	orderRemove
	orderDelete // remove, and the file too
)

// order is what an operator wants done. The follower carries it out.
type order struct {
	verb  orderVerb
	file  string
	force bool
	done  chan error // gets one
}

// answer tells how the order ended. A nil order was given by nobody.
func (o *order) answer(err error) {
	if o != nil {
		o.done <- err
	}
}

// Reload admits the content of a plugin's file again, although it may be
// unchanged, and returns once that serves, or why the one before goes on. It
// takes back a rollback or a removal of the operator. With force it accepts what
// breaks clients of the version before, and what crashed too often after it had
// taken over. The file is named by its name in the plugins directory.
func (h *Host) Reload(ctx context.Context, file string, force bool) error {
	return h.order(ctx, order{verb: orderReload, file: file, force: force})
}

// Rollback makes the version serve that did before, and keeps it serving, over
// restarts of the host too, until the file changes or is reloaded. It returns
// once that version serves.
func (h *Host) Rollback(ctx context.Context, file string) error {
	return h.order(ctx, order{verb: orderRollback, file: file})
}

// Remove stops offering a plugin, over restarts of the host too, until its file
// changes or is reloaded; with deleteFile the file, or the link, is deleted and
// all about the plugin forgotten. Its running jobs may finish; it returns before
// that.
func (h *Host) Remove(ctx context.Context, file string, deleteFile bool) error {
	verb := orderRemove
	if deleteFile {
		verb = orderDelete
	}
	return h.order(ctx, order{verb: verb, file: file})
}

// Reconfigure puts into force what Config.Options and Config.Policy answer now:
// plugins about which they say something else than when these were admitted are
// started anew beside the old, and replace that once they serve. The error names
// each that could not, and goes on as it was.
func (h *Host) Reconfigure(ctx context.Context) error {
	concerned := map[string]*version{} // nil: it is refused
	h.mu.Lock()
	for file, e := range h.entries {
		if e.serving != nil || e.refused != "" {
			concerned[file] = e.serving
		}
	}
	h.mu.Unlock()
	maps.DeleteFunc(concerned, func(_ string, v *version) bool { return v != nil && !h.outdated(v) })
	files := slices.Sorted(maps.Keys(concerned))
	errs := make([]error, len(files))
	var all sync.WaitGroup
	for i, file := range files {
		all.Go(func() { errs[i] = h.order(ctx, order{verb: orderRevise, file: file}) })
	}
	all.Wait()
	return oneLine(errs)
}

// oneLine joins errors as a line of a log.
func oneLine(errs []error) error {
	var all error
	for _, err := range errs {
		switch {
		case all == nil:
			all = err
		case err != nil:
			all = fmt.Errorf("%w; %w", all, err)
		}
	}
	return all
}

// order has an order carried out and waits for its end.
func (h *Host) order(ctx context.Context, o order) error {
	o.done = make(chan error, 1)
	err := errStopping
	select {
	case h.orders <- &o:
		select {
		case err = <-o.done:
		case <-ctx.Done():
			err = context.Cause(ctx)
		case <-h.closing.Done():
		}
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-h.closing.Done():
	}
	if err != nil {
		return fmt.Errorf("plugin %s: %w", o.file, err)
	}
	return nil
}

// carryOut begins what an order asks for, or answers it.
func (f *follower) carryOut(o *order) {
	f.h.mu.Lock()
	defer f.h.mu.Unlock()
	f.carryOutLocked(o)
}

func (f *follower) carryOutLocked(o *order) {
	e := f.h.entries[o.file]
	switch {
	case o.verb == orderReload:
		f.reload(o)
	case e == nil:
		o.answer(errNoPlugin)
	case e.admitting:
		e.orders = append(e.orders, o)
	case o.verb == orderRevise:
		f.reviseLocked(e, o)
	case o.verb == orderRollback:
		f.rollback(e, o)
	default:
		o.answer(f.remove(e, o.verb == orderDelete))
	}
}

// reload admits a file as it is now.
func (f *follower) reload(o *order) {
	if e := f.h.entries[o.file]; e != nil && e.admitting {
		e.orders = append(e.orders, o)
		return
	}
	found, skips, err := discover(f.h.cfg.Dir, f.h.uid)
	if err != nil {
		o.answer(err)
		return
	}
	for _, s := range skips {
		if s.file == o.file {
			o.answer(s.unfit)
			return
		}
	}
	for _, c := range found {
		if c.file == o.file {
			f.begin(f.entry(c, time.Now()), task{candidate: c, order: o})
			return
		}
	}
	o.answer(errNoPlugin)
}

// reviseLocked admits what serves once more, or else what was refused.
func (f *follower) reviseLocked(e *entry, o *order) {
	switch {
	case e.serving != nil:
		f.begin(e, task{kind: taskRevise, candidate: e.latest, order: o})
	case e.tried != sighting{}:
		// Not by the order of an operator who takes back a ruling.
		f.begin(e, task{candidate: e.latest})
		o.answer(nil)
	default:
		o.answer(nil) // not to be started, as long as the file is as it is
	}
}

func (f *follower) rollback(e *entry, o *order) {
	kept := f.h.keep.of(e.file).Previous
	if kept == nil || e.serving == nil || kept.Hash == e.serving.exe.hash {
		o.answer(errors.New("no version before the one that serves is kept"))
		return
	}
	r := &ruling{Hash: e.serving.exe.hash, Instead: kept.Hash, Reason: fmt.Sprintf(
		"version %s was rolled back to %s by the operator; to serve it again: geomill plugin reload %s",
		e.serving.description.Info.Version, kept.Version, e.file)}
	f.begin(e, task{kind: taskGoBack, candidate: e.latest, ruling: r, order: o})
}

func (f *follower) remove(e *entry, deleteFile bool) error {
	if deleteFile {
		for _, c := range append(slices.Clone(e.latest.tools), e.latest) { // a tool alone would pass for a plugin
			if err := os.Remove(c.path); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("delete its file: %w", err)
			}
		}
		f.drop(e)
		return nil
	}
	if e.serving == nil {
		return nil
	}
	hash := e.serving.exe.hash
	if r := f.h.keep.of(e.file).Ruling; r != nil && r.Instead == hash {
		hash = r.Hash // the file has that
	}
	r := &ruling{Hash: hash, Reason: "removed by the operator; to serve it again: geomill plugin reload " + e.file}
	err := f.h.keep.rule(e.file, r)
	f.withdraw(e)
	f.refuse(e, errors.New(r.Reason))
	return err
}
