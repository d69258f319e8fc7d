package sdk

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"geomill/sdk/wire"
)

// version of this package, as hosts see it.
const version = "go/0.1.0"

// Handler is a plugin apart from how it is reached. Serve makes one; tests
// drive one through the wire (package sdktest).
type Handler struct {
	info      wire.Info
	processes map[string]Process
	settings  Configurable // or nil
}

var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`)

// NewHandler checks a plugin and its processes. Its error lists everything
// that is wrong with them.
func NewHandler(plugin Plugin, processes ...Process) (*Handler, error) {
	var wrong []error
	if !namePattern.MatchString(plugin.Name) {
		wrong = append(wrong, fmt.Errorf("plugin name %q: lower case letters, digits and . _ - only", plugin.Name))
	}
	if plugin.Version == "" {
		wrong = append(wrong, errors.New("plugin has no version"))
	}
	if len(processes) == 0 {
		wrong = append(wrong, errors.New("plugin has no processes"))
	}
	byID := make(map[string]Process, len(processes))
	for _, p := range processes {
		id := p.description.ID
		if p.description.Version == "" {
			p.description.Version = plugin.Version
		}
		if err := p.complete(); err != nil {
			wrong = append(wrong, fmt.Errorf("process %s: %w", id, err))
		}
		if _, twice := byID[id]; twice {
			wrong = append(wrong, fmt.Errorf("process %s: there are two of this id", id))
		}
		byID[id] = p
	}
	var settings json.RawMessage
	if plugin.Settings != nil {
		var err error
		if settings, err = plugin.Settings.describe(); err != nil {
			wrong = append(wrong, fmt.Errorf("settings: %w", err))
		}
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	return &Handler{
		settings: plugin.Settings,
		info: wire.Info{
			Name: plugin.Name, Version: plugin.Version, SDK: version,
			Capabilities: []string{"cancel.graceful", "progress", "log"},
			InstanceID:   rand.Text(), SettingsSchema: settings,
		},
		processes: byID,
	}, nil
}

// Info implements wire.Handler.
func (h *Handler) Info() wire.Info { return h.info }

// Configure implements wire.Handler.
func (h *Handler) Configure(_ context.Context, settings json.RawMessage, _ wire.Limits) []wire.Problem {
	if h.settings != nil {
		if faults := h.configure(settings); len(faults) > 0 {
			return []wire.Problem{invalidSettings(faults)}
		}
		return nil
	}
	var members map[string]json.RawMessage
	if len(settings) == 0 || json.Unmarshal(settings, &members) == nil && len(members) == 0 {
		return nil
	}
	return []wire.Problem{{Title: "unknown settings", Detail: "plugin " + h.info.Name + " takes no settings"}}
}

// Processes implements wire.Handler.
func (h *Handler) Processes() []wire.Process {
	list := make([]wire.Process, 0, len(h.processes))
	for _, id := range slices.Sorted(maps.Keys(h.processes)) {
		p := h.processes[id]
		list = append(list, wire.Process{Description: p.description, Policy: p.policy})
	}
	return list
}

// Run implements wire.Handler.
func (h *Handler) Run(ctx context.Context, s wire.Start, ev wire.Events) (wire.Values, error) {
	p, ok := h.processes[s.ProcessID]
	if !ok {
		return nil, &wire.Problem{Kind: wire.NoSuchProcess, Title: "no such process",
			Detail: fmt.Sprintf("plugin %s has no process %q", h.info.Name, s.ProcessID)}
	}
	job := newJob(ctx, p.encode, s, ev)
	outputs, err := p.run(job, s.Inputs)
	if err != nil {
		return nil, failure(ctx, err)
	}
	if outputs, err = h.handOver(job, p, outputs); err != nil {
		return nil, problem(err)
	}
	return outputs, nil
}

// failure tells the end of a job's context from a failure of the process.
func failure(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return problem(err)
	}
	if errors.Is(err, ctx.Err()) || errors.Is(err, context.Cause(ctx)) {
		return err
	}
	return problem(err)
}

// handOver prepares the outputs of a process for the host: those that are
// wanted, and files where the host can take them.
func (h *Handler) handOver(job *Job, p Process, outputs wire.Values) (wire.Values, error) {
	job.handed.mu.Lock()
	defer job.handed.mu.Unlock()
	wanted := outputs[:0]
	for _, v := range outputs { // in order: the first of two outputs gets the file itself
		switch _, known := p.description.Outputs[v.ID]; {
		case !known:
			return nil, fmt.Errorf("output %q is not in the description of process %s", v.ID, p.description.ID)
		case !job.Wants(v.ID):
			continue
		case job.handed.ids[v.ID]:
			return nil, fmt.Errorf("output %s: %w", v.ID, errEarly)
		}
		if err := job.place(&v); err != nil {
			return nil, err
		}
		wanted = append(wanted, v)
	}
	return append(wanted, job.handed.kept...), nil
}
