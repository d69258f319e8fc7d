package host

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"unicode/utf8"

	"geomill/host/internal/admin"
	"geomill/host/internal/plugin"
	"geomill/host/internal/plugin/trust"
)

// What operators are told about plugins, and how they ask.
type (
	Operator = admin.Client
	Plugin   = admin.Plugin
	Instance = admin.Instance
	LogLine  = admin.LogLine
	Check    = admin.Check
	Command  = admin.Command
)

// MostLogLines is how many lines of a plugin's log are kept and can be asked for.
const MostLogLines = admin.MostLines

// lastLines is how many of a plugin's own lines are shown with what is known of it.
const lastLines = 10

// NewOperator returns what sends an operator's commands to the server that runs on
// a data directory.
func NewOperator(data string) *Operator { return admin.NewClient(data) }

// Word writes the name of a file so that a shell takes it as one word, for commands
// that an operator is told.
func Word(name string) string { return trust.Word(name) }

// operator is what a host does for its operator. It is admin.Plugins.
type operator struct{ plugins *plugin.Host }

var _ admin.Plugins = operator{}

// List implements admin.Plugins.
func (o operator) List() []Plugin {
	all := o.plugins.Plugins()
	list := make([]Plugin, 0, len(all))
	for _, s := range all {
		list = append(list, o.pluginOf(s))
	}
	return list
}

// Inspect implements admin.Plugins.
func (o operator) Inspect(file string) (Plugin, error) {
	s, ok := o.plugins.Plugin(file)
	if !ok {
		return Plugin{}, o.unknown(file)
	}
	p := o.pluginOf(s)
	p.UID, p.TrustPolicy, p.Settings = s.UID, string(o.plugins.TrustPolicy(file)), s.Settings
	for _, f := range s.Files {
		p.Files = append(p.Files, admin.File(f))
	}
	for _, one := range o.plugins.Pins(file) {
		p.Pins = append(p.Pins, pinOf(one))
	}
	p.Counters = &admin.Counters{Starts: s.Counters.Starts, Ends: s.Counters.Ends,
		Quarantines: s.Counters.Quarantines, Resets: s.Counters.Resets, Jobs: s.Counters.Jobs}
	for _, t := range s.History {
		p.History = append(p.History, admin.Transition{Time: t.Time, Instance: t.Instance, PID: t.PID, From: string(t.From), To: string(t.To), Reason: o.plugins.Conceal(t.Reason)})
	}
	lines, _ := o.plugins.Logs(file, MostLogLines)
	for _, l := range slices.Backward(lines) {
		if l.Said && l.Level >= slog.LevelInfo && len(p.LastLines) < lastLines {
			p.LastLines = append(p.LastLines, lineOf(l))
		}
	}
	slices.Reverse(p.LastLines)
	return p, nil
}

// Logs implements admin.Plugins.
func (o operator) Logs(ctx context.Context, file string, last int, follow bool) (iter.Seq[LogLine], error) {
	lines, ok := o.plugins.Logs(file, last)
	if !ok {
		return nil, o.unknown(file)
	}
	return func(yield func(LogLine) bool) {
		if follow {
			for l := range o.plugins.FollowLogs(ctx, file, last) {
				if !yield(lineOf(l)) {
					return
				}
			}
			return
		}
		for _, l := range lines {
			if !yield(lineOf(l)) {
				return
			}
		}
	}, nil
}

func (o operator) pluginOf(s plugin.Status) Plugin {
	p := Plugin{File: s.File, Path: s.Path, Target: s.Target, State: string(s.State), Since: s.Since, Reason: o.plugins.Conceal(s.Reason),
		Name: s.Name, Version: s.Version, Hash: s.Hash, Crashes: s.Crashes, Processes: []admin.Process{}, Instances: []Instance{},
		Accept: s.Accept, RetryAt: s.Retry, Available: s.Available}
	if prev := s.Previous; prev != nil {
		p.Previous = &admin.Version{Name: prev.Name, Version: prev.Version, Hash: prev.Hash, Since: prev.Since}
	}
	for _, one := range s.Processes {
		p.Processes = append(p.Processes, admin.Process{ID: one.ID, Version: one.Version, Reason: one.Reason,
			Isolation: string(one.Policy.Isolation), Slots: one.Policy.MaxConcurrency, TimeoutSeconds: one.Policy.Timeout.Seconds()})
	}
	for _, one := range s.Instances {
		p.Instances = append(p.Instances, Instance{PID: one.PID, State: string(one.State), Since: one.Since, Jobs: one.Jobs,
			MemoryBytes: one.Footprint.Memory, CPUSeconds: one.Footprint.CPU.Seconds()})
	}
	return p
}

func lineOf(l plugin.LogLine) LogLine {
	line := LogLine{Time: l.Time, Level: levelName(l.Level), From: admin.FromHost, Stream: l.Stream, Instance: l.Instance, Message: l.Message, Fields: l.Fields}
	if l.Said {
		line.From = admin.FromPlugin
	}
	return line
}

func levelName(l slog.Level) string {
	if l < slog.LevelDebug {
		return "trace"
	}
	name, _, _ := strings.Cut(l.String(), "+")
	return strings.ToLower(name)
}

// unknown says that there is no plugin in a file, and what may have been meant.
func (o operator) unknown(file string) error {
	best, least := "", 1+utf8.RuneCountInString(file)/2
	for _, s := range o.plugins.Plugins() {
		if s.Name == file {
			return fmt.Errorf("there is no plugin %q: the one in the file %s calls itself so, and is meant by the name of its file", file, s.File)
		}
		if d := distance(file, s.File); d < least {
			best, least = s.File, d
		}
	}
	if best != "" {
		return fmt.Errorf("there is no plugin %q: did you mean %s?", file, best)
	}
	return fmt.Errorf("there is no plugin %q: geomill plugin list names those there are", file)
}

// distance returns how many characters must be added, removed or changed to make
// one text of another.
func distance(a, b string) int {
	from, to := []rune(a), []rune(b)
	row := make([]int, len(to)+1)
	for j := range row {
		row[j] = j
	}
	for i, r := range from {
		diagonal := row[0]
		row[0] = i + 1
		for j, s := range to {
			change := diagonal
			if r != s {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(to)]
}
