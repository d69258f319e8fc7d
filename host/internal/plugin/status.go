package plugin

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"
)

// State is what a plugin, or one instance of it, does now.
type State string

// The states. Only instances drain and stop; only plugins are idle, admitting,
// quarantined or refused.
const (
	StateIdle        State = "idle"        // admitted, starts with the next job
	StateAdmitting   State = "admitting"   // waited for, or asked for its processes
	StateStarting    State = "starting"    // on the way to ready
	StateReady       State = "ready"       // takes jobs
	StateDraining    State = "draining"    // finishes its jobs, takes none
	StateStopping    State = "stopping"    // told to end
	StateCrashed     State = "crashed"     // ended by itself; starts again after a pause
	StateQuarantined State = "quarantined" // crashed too often; starts again much later
	StateRefused     State = "refused"     // not a plugin that can be served
)

// Status tells an operator about one file in the plugins directory.
type Status struct {
	File   string // name in the plugins directory
	Path   string // absolute
	Target string // what a symbolic link leads to, else empty

	Name    string // as the plugin calls itself; empty if it never said
	Version string
	Hash    string // SHA-256, hexadecimal
	State   State
	Since   time.Time
	// Reason says why the newest content of the file is not served, or what
	// happened last, or what is wrong with a part of it.
	Reason string

	// SettingsSchema is the JSON Schema of the settings that it takes, and
	// Settings those that it has, defaults filled in; for a secret stands where it
	// comes from. Both are nil when it takes none.
	SettingsSchema, Settings json.RawMessage

	Processes []ProcessStatus // sorted by id
	Instances []InstanceStatus
	Crashes   int // since the version was admitted
}

// ProcessStatus is one process that a plugin declares.
type ProcessStatus struct {
	ID      string
	Version string
	Reason  string // why it is not offered; empty when it is
}

// InstanceStatus is one running instance.
type InstanceStatus struct {
	PID   int
	State State
	Since time.Time // of the state
	Jobs  int
}

// Plugins reports on every file in the plugins directory that is or may have
// been meant as a plugin, sorted by name.
func (h *Host) Plugins() []Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := make([]Status, 0, len(h.entries))
	for _, e := range h.entries {
		list = append(list, e.status())
	}
	slices.SortFunc(list, func(a, b Status) int { return cmp.Compare(a.File, b.File) })
	return list
}

func (e *entry) status() Status {
	s := Status{File: e.file, Path: e.path, Target: e.target, Since: e.since, Reason: e.problem(), State: StateRefused}
	switch v := e.serving; {
	case v != nil:
		v.describe(&s)
	case e.admitting || e.refused == "":
		s.State = StateAdmitting
	}
	return s
}

func (v *version) describe(s *Status) {
	s.Name, s.Version, s.Hash = v.description.Info.Name, v.description.Info.Version, v.exe.hash
	s.SettingsSchema, s.Settings = v.description.Info.SettingsSchema, v.sup.options.settled.Shown()
	for _, o := range v.offers {
		p := ProcessStatus{ID: o.process.ID, Version: o.process.Version}
		if owner := v.clashes[o.process.ID]; owner != "" {
			p.Reason = "already offered by " + owner
		}
		s.Processes = append(s.Processes, p)
	}
	s.Processes = append(s.Processes, v.refused...)
	slices.SortStableFunc(s.Processes, func(a, b ProcessStatus) int { return cmp.Compare(a.ID, b.ID) })
	v.sup.describe(s)
	for _, p := range s.Processes {
		if s.Reason == "" && p.Reason != "" {
			s.Reason = "process " + p.ID + " is not offered: " + p.Reason
		}
	}
}

func (s *supervisor) describe(st *Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Crashes = s.crashes
	for in := range s.live {
		at := in.state.Load()
		st.Instances = append(st.Instances, InstanceStatus{PID: in.conn.child.pid(), State: at.state, Since: at.since, Jobs: in.jobs()})
	}
	slices.SortFunc(st.Instances, func(a, b InstanceStatus) int { return cmp.Compare(a.PID, b.PID) })
	st.State, st.Since = s.stateLocked(time.Now(), st.Instances)
	if st.Reason == "" && (st.State == StateCrashed || st.State == StateQuarantined) {
		st.Reason = s.gate.reason
	}
}

// stateLocked sums up the instances: the best of them counts.
func (s *supervisor) stateLocked(now time.Time, live []InstanceStatus) (State, time.Time) {
	for _, in := range live {
		if in.State == StateReady {
			return StateReady, in.Since
		}
	}
	switch {
	case s.launches > 0:
		return StateStarting, s.changed
	case s.gate.quarantined:
		return StateQuarantined, s.changed
	case s.gate.wait(now) > 0:
		return StateCrashed, s.changed
	case len(live) > 0:
		return live[0].State, live[0].Since
	}
	return StateIdle, s.changed
}
