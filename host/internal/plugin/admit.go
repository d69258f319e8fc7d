package plugin

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"geomill/host/internal/plugin/trust"
)

// maxProcesses is how many processes one plugin may offer.
const maxProcesses = 1000

// version is one admitted content of a plugin's file.
type version struct {
	exe         *executable
	description description
	offers      []*offer
	refused     []ProcessStatus
	clashes     map[string]string // id to the file that offers it already
	sup         *supervisor
	admitted    time.Time

	back    string                // hash of the kept version to go back to, or empty
	trial   atomic.Pointer[trial] // not nil: it has taken over not long ago
	failing chan<- struct{}       // told when it has lost its trial
}

// admit opens, hashes and describes a candidate; the plugin is started only if
// its hash is not known yet, and never before it is trusted. The last content
// of a plugin that is replaced goes on serving unless all of the new one is
// right.
func (h *Host) admit(ctx context.Context, c candidate, replaces bool) (*version, error) {
	exe, err := openExecutable(c, h.uid, h.cache.hash)
	if err != nil {
		return nil, mayPass(err)
	}
	v, err := h.admitExecutable(ctx, exe, c, replaces)
	if err != nil {
		exe.close()
		return nil, err
	}
	return v, nil
}

func (h *Host) admitExecutable(ctx context.Context, exe *executable, c candidate, replaces bool) (*version, error) {
	o := h.cfg.optionsOf(exe.name)
	if reason := h.launcher.refusal(o); reason != "" {
		return nil, errors.New(reason)
	}
	pin, err := h.judge(exe, o.policy())
	if err != nil {
		return nil, err
	}
	d, known := h.cache.describe(exe.hash)
	if known {
		if o, err = h.cfg.settle(exe.name, d.Info.SettingsSchema, o); err != nil {
			err = passing{err} // a file or a variable may be mended
		}
	} else {
		d, o, err = h.interrogate(ctx, exe, o)
	}
	if err != nil {
		return nil, err
	}
	if err := c.agrees(d.Info); err != nil {
		return nil, err
	}
	list, refused := processesOf(d, exe.hash, h.cfg.decider(o))
	if len(refused) > 0 && (replaces || len(list) == 0) {
		return nil, errors.New(refused[0].Reason)
	}
	if len(list) == 0 {
		return nil, errors.New("offers no process")
	}
	o.Limits = o.Limits.withFile(list)
	h.cache.remember(exe, d)
	if err := h.accept(exe.name, pin, d, o.policy()); err != nil {
		return nil, passing{err}
	}
	exe.info = d.Info
	v := &version{exe: exe, description: d, refused: refused, sup: newSupervisor(h.launcher, exe, o), admitted: time.Now(),
		failing: h.failing}
	v.sup.onCrash = v.crashed
	for _, p := range list {
		v.offers = append(v.offers, newOffer(p, v.sup))
	}
	return v, nil
}

// accept writes down what is admitted. Where that decides nothing, a disk that
// is full keeps no plugin from serving.
func (h *Host) accept(file string, pin trust.Pin, d description, policy trust.Policy) error {
	if h.scan {
		return nil
	}
	pin.Name, pin.Version = d.Info.Name, d.Info.Version
	err := h.lock.Record(file, pin)
	if err != nil && policy == trust.Any {
		h.log.Warn("content of plugin is not written down", "plugin", file, "error", err)
		return nil
	}
	return err
}

// interrogate starts a plugin once to ask what it is and offers, and whether it
// takes its settings. It is asked for its processes before it knows them: they
// are the same for all settings, and without secrets. It returns the options with
// the settings.
func (h *Host) interrogate(ctx context.Context, exe *executable, o Options) (description, Options, error) {
	conn, err := h.launcher.dial(ctx, exe, o)
	if _, ok := errors.AsType[misfit](err); ok {
		return description{}, o, err
	}
	if err != nil {
		return description{}, o, passing{err}
	}
	asking, cancel := context.WithTimeout(ctx, h.cfg.ConnectTimeout)
	defer cancel()
	list, err := conn.client.Processes(asking)
	if err == nil && len(list) > maxProcesses {
		err = fmt.Errorf("offers %d processes, more than %d", len(list), maxProcesses)
	}
	if err == nil {
		err = conn.configure(ctx)
	}
	if err != nil {
		conn.kill()
		return description{}, o, passing{err}
	}
	conn.stop(nil, h.cfg.TermAfter, h.cfg.KillAfter)
	return description{Info: conn.info, Processes: list}, conn.options, nil
}
