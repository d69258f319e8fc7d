package plugin

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"geomill/host/internal/job"
	"geomill/host/internal/plugin/trust"
)

// State is what a plugin, or one instance of it, does now.
type State string

// The states; the comment of the package says how long each may last. Only
// instances are detached, drain, stop, wedge and are gone; only plugins are idle, admitting,
// quarantined or refused.
const (
	StateIdle        State = "idle"        // admitted, starts with the next job
	StateAdmitting   State = "admitting"   // waited for, or asked for its processes
	StateStarting    State = "starting"    // executed, before its handshake
	StateConnecting  State = "connecting"  // asked who it is
	StateConfiguring State = "configuring" // given its settings
	StateReady       State = "ready"       // takes jobs
	StateDetached    State = "detached"    // runs one job, which goes on without the host
	StateDraining    State = "draining"    // finishes its jobs, takes none
	StateStopping    State = "stopping"    // told to end
	StateWedged      State = "wedged"      // does not answer; asked for its stacks, then killed
	StateCrashed     State = "crashed"     // ended by itself; starts again after a pause
	StateQuarantined State = "quarantined" // crashed too often; starts again much later
	StateRefused     State = "refused"     // not a plugin that can be served
	StateGone        State = "gone"        // nothing is left of it
)

// Status tells an operator about one file in the plugins directory.
type Status struct {
	File   string // name in the plugins directory
	Path   string // absolute
	Target string // what a symbolic link leads to, else empty

	Name    string // as the plugin calls itself; empty if it never said
	Version string
	Hash    string // SHA-256, hexadecimal
	Files   []File // those whose list has Hash: a manifest and its tools; else empty
	State   State
	Since   time.Time
	// Reason says why the newest content of the file is not served, or what
	// happened last, or what is wrong with a part of it.
	Reason string
	Accept string // the command that accepts what is refused, if there is one
	// Distrust is the refusal, if it is a question of trust.
	Distrust *trust.Refusal
	Retry    time.Time // when what is refused is tried again; zero: not before it changes
	// Available lists the versions side by side in the plugin's directory, the
	// highest first; empty for a bare file.
	Available []string

	// SettingsSchema is the JSON Schema of the settings that it takes, and
	// Settings those that it has, defaults filled in; for a secret stands where it
	// comes from. Both are nil when it takes none.
	SettingsSchema, Settings json.RawMessage

	Processes []ProcessStatus // sorted by id
	Instances []InstanceStatus
	Crashes   int // since the version was admitted

	Counters Counters
	History  []Transition // the last ones, oldest first
	Previous *Previous    // what a rollback would go back to; nil: there is nothing
	UID      int          // the user of its own that it runs as; 0: it has none
}

// File is one of several that are the content of a plugin.
type File struct {
	Name string
	Hash string // SHA-256, hexadecimal
}

// ProcessStatus is one process that a plugin declares.
type ProcessStatus struct {
	ID      string
	Version string
	Reason  string // why it is not offered; empty when it is
	// Policy is what the operator made of what the author wishes; zero for one
	// that is refused.
	Policy job.Policy
}

// Refusal says of a process that is not offered which it is, and why: so that can
// be the reason of its plugin.
func (p ProcessStatus) Refusal() string { return "process " + p.ID + " is not offered: " + p.Reason }

// InstanceStatus is one running instance.
type InstanceStatus struct {
	PID   int
	State State
	Since time.Time // of the state
	Jobs  int
	// Footprint is told by Host.Plugin only.
	Footprint Footprint
}

// Plugins reports on every file in the plugins directory that is or may have
// been meant as a plugin, sorted by name.
func (h *Host) Plugins() []Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := make([]Status, 0, len(h.entries))
	for _, e := range h.entries {
		s := e.status(h.launcher.ledgers.of(e.file))
		s.UID = h.launcher.users.Known(e.file)
		if h.trouble != "" && s.Reason == "" {
			s.Reason = "goes on as it is: " + h.trouble
		}
		if p := h.keep.of(e.file).Previous; p != nil && p.Hash != s.Hash {
			s.Previous = p
		}
		for _, r := range h.detached {
			if r.File == e.file {
				s.Instances = append(s.Instances, InstanceStatus{PID: r.PID, State: StateDetached, Since: r.Began, Jobs: 1})
			}
		}
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b Status) int { return cmp.Compare(a.File, b.File) })
	return list
}

func (e *entry) status(l *ledger) Status {
	s := Status{File: e.file, Path: e.path, Target: e.target, Since: e.since, Reason: e.problem(), State: StateRefused,
		Accept: e.accept, Distrust: e.distrust, Retry: e.retry.at, Available: e.available, Counters: l.counters(), History: l.history()}
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
	s.Files = v.exe.files()
	s.SettingsSchema, s.Settings = v.description.Info.SettingsSchema, v.sup.options.settled.Shown()
	for _, o := range v.offers {
		p := ProcessStatus{ID: o.process.ID, Version: o.process.Version, Policy: o.process.Policy}
		if owner := v.clashes[o.process.ID]; owner != "" {
			p.Reason = alreadyOffered(owner)
		}
		s.Processes = append(s.Processes, p)
	}
	s.Processes = append(s.Processes, v.refused...)
	slices.SortStableFunc(s.Processes, func(a, b ProcessStatus) int { return cmp.Compare(a.ID, b.ID) })
	v.sup.describe(s)
	for _, p := range s.Processes {
		if s.Reason == "" && p.Reason != "" {
			s.Reason = p.Refusal()
		}
	}
}

func (s *supervisor) describe(st *Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Crashes = s.crashes
	st.Counters = s.ledger.counters() // while none of those that live ends
	for in := range s.live {
		st.Counters.Jobs += in.served.Load()
		st.Counters.InFlight += int64(in.jobs())
		at := in.conn.state.Load()
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
