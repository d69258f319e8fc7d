package plugin

import (
	"context"
	"errors"
	"fmt"
	"time"
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
}

// admit opens, hashes and describes a candidate; the plugin is started only if
// its hash is not known yet. The last content of a plugin that is replaced
// goes on serving unless all of the new one is right.
func (h *Host) admit(ctx context.Context, c candidate, replaces bool) (*version, error) {
	exe, err := openExecutable(c, h.uid, func(id identity) string { return h.cache.hash(c.path, id) })
	if err != nil {
		return nil, err
	}
	v, err := h.admitExecutable(ctx, exe, replaces)
	if err != nil {
		exe.close()
		return nil, err
	}
	return v, nil
}

func (h *Host) admitExecutable(ctx context.Context, exe *executable, replaces bool) (*version, error) {
	o := h.cfg.optionsOf(exe.name)
	d, known := h.cache.describe(exe.hash)
	var err error
	if known {
		o, err = h.cfg.settle(exe.name, d.Info.SettingsSchema, o)
	} else {
		d, o, err = h.interrogate(ctx, exe, o)
	}
	if err != nil {
		return nil, err
	}
	list, refused := processesOf(d, exe.hash, h.cfg.decider(o))
	if len(refused) > 0 && (replaces || len(list) == 0) {
		return nil, errors.New(refused[0].Reason)
	}
	if len(list) == 0 {
		return nil, errors.New("offers no process")
	}
	h.cache.put(exe.path, exe.id, exe.hash, d)
	v := &version{exe: exe, description: d, refused: refused, sup: newSupervisor(h.launcher, exe, o), admitted: time.Now()}
	for _, p := range list {
		v.offers = append(v.offers, newOffer(p, v.sup))
	}
	return v, nil
}

// interrogate starts a plugin once to ask what it is and offers, and whether it
// takes its settings. It is asked for its processes before it knows them: they
// are the same for all settings, and without secrets. It returns the options with
// the settings.
func (h *Host) interrogate(ctx context.Context, exe *executable, o Options) (description, Options, error) {
	conn, err := h.launcher.dial(ctx, exe, o)
	if err != nil {
		return description{}, o, err
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
		return description{}, o, err
	}
	conn.stop(nil, h.cfg.TermAfter, h.cfg.KillAfter)
	return description{Info: conn.info, Processes: list}, conn.options, nil
}
