package plugin

import (
	"encoding/json"
	"errors"
	"log/slog"
	"slices"

	"geomill/host/internal/job"
	"geomill/host/internal/plugin/settings"
	"geomill/sdk/wire"
)

// concealed is an error whose text may hold secrets and is shown without them.
type concealed struct {
	error
	secrets *settings.Settings
}

func (c *concealed) Error() string { return c.secrets.Hide(c.error.Error()) }

func (c *concealed) Unwrap() error { return c.error }

// conceal takes the secrets of a plugin out of what it says in an error.
func conceal(err error, own *settings.Settings) error {
	if err == nil || !own.Conceals() {
		return err
	}
	if p, ok := errors.AsType[*wire.Problem](err); ok {
		quiet := *p
		quiet.Title, quiet.Detail, quiet.Code, quiet.Faults = own.Hide(p.Title), own.Hide(p.Detail), own.Hide(p.Code), slices.Clone(p.Faults)
		for i := range quiet.Faults {
			quiet.Faults[i].Message = own.Hide(quiet.Faults[i].Message)
		}
		return &quiet
	}
	if c, ok := errors.AsType[*wire.ContractError](err); ok {
		return &wire.ContractError{Detail: own.Hide(c.Detail)}
	}
	return &concealed{err, own}
}

// discreet takes the secrets of a plugin out of what it reports of a job.
func discreet(ev job.Events, own *settings.Settings) job.Events {
	if !own.Conceals() {
		return ev
	}
	return &discreetEvents{ev, own}
}

type discreetEvents struct {
	job.Events
	secrets *settings.Settings
}

// Progress implements job.Events.
func (d *discreetEvents) Progress(percent float64, message string) {
	d.Events.Progress(percent, d.secrets.Hide(message))
}

// Log implements job.Events.
func (d *discreetEvents) Log(level slog.Level, message string, fields json.RawMessage) {
	d.Events.Log(level, d.secrets.Hide(message), d.secrets.HideJSON(fields))
}

// unlocated takes what is the host's own, such as the names of its directories,
// out of what the client is told of a failure. Programs like to put the paths of
// their files into their errors.
func (h *Host) unlocated(err error, a job.Attempt) error {
	f, ok := err.(*job.Failure)
	if !ok {
		return err
	}
	hide := h.hider(a)
	shown := *f
	shown.Detail, shown.Faults = hide.Replace(f.Detail), slices.Clone(f.Faults)
	for i := range shown.Faults {
		shown.Faults[i].Message = hide.Replace(shown.Faults[i].Message)
	}
	return &shown
}
