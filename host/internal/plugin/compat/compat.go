// Package compat tells whether a plugin's new version takes something from
// clients that its last version gave them. It compares process descriptions,
// and calls only that a break which surely is one: what it cannot judge, such
// as a changed pattern, passes.
package compat

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"geomill/sdk/ogc"

	"github.com/Masterminds/semver/v3"
)

// Break is one thing that clients of the old version relied on and the new one
// does not give.
type Break struct {
	Process string
	Pointer string // JSON pointer into the description; empty is the process itself
	What    string
}

// String names the place and what breaks there.
func (b Break) String() string {
	if b.Pointer == "" {
		return fmt.Sprintf("process %s %s", b.Process, b.What)
	}
	return fmt.Sprintf("process %s at %s: %s", b.Process, b.Pointer, b.What)
}

// shown is how many breaks Summary tells one by one.
const shown = 5

// Summary says them in one line.
func Summary(breaks []Break) string {
	var parts []string
	for _, b := range breaks[:min(len(breaks), shown)] {
		parts = append(parts, b.String())
	}
	if more := len(breaks) - shown; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, "; ")
}

// Announced reports whether the version numbers tell clients to expect breaks,
// by Semantic Versioning: a higher major number or, below 1.0.0, a higher minor
// one. Numbers that cannot be read announce nothing.
func Announced(before, after string) bool {
	old, err := semver.NewVersion(before)
	if err != nil {
		return false
	}
	next, err := semver.NewVersion(after)
	if err != nil {
		return false
	}
	if next.Major() == 0 && old.Major() == 0 {
		return next.Minor() > old.Minor()
	}
	return next.Major() > old.Major()
}

// Compare lists what breaks for clients of the old processes, in the order of
// processes and places.
func Compare(before, after []ogc.Process) []Break {
	next := make(map[string]ogc.Process, len(after))
	for _, p := range after {
		next[p.ID] = p
	}
	var all []Break
	for _, old := range slices.SortedFunc(slices.Values(before), func(a, b ogc.Process) int { return strings.Compare(a.ID, b.ID) }) {
		c := comparison{process: old.ID}
		if p, ok := next[old.ID]; ok {
			c.compare(old, p)
		} else {
			c.report("", "is no longer offered")
		}
		all = append(all, c.breaks...)
	}
	return all
}

// comparison gathers the breaks of one process.
type comparison struct {
	process string
	breaks  []Break
}

func (c *comparison) report(pointer, format string, args ...any) {
	c.breaks = append(c.breaks, Break{c.process, pointer, fmt.Sprintf(format, args...)})
}

func (c *comparison) compare(old, next ogc.Process) {
	offered := optionsOf(next)
	for _, o := range optionsOf(old) {
		if !slices.Contains(offered, o) {
			c.report("/jobControlOptions", "%s is removed", o)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(old.Inputs)) {
		at := "/inputs/" + escape(id)
		if in, ok := next.Inputs[id]; ok {
			c.input(at, old.Inputs[id], in)
		} else {
			c.report(at, "the input is removed")
		}
	}
	for _, id := range slices.Sorted(maps.Keys(next.Inputs)) {
		if _, ok := old.Inputs[id]; !ok && demands(next.Inputs[id]) > 0 {
			c.report("/inputs/"+escape(id), "a new input is required")
		}
	}
	for _, id := range slices.Sorted(maps.Keys(old.Outputs)) {
		at := "/outputs/" + escape(id)
		if out, ok := next.Outputs[id]; ok {
			c.output(at, old.Outputs[id], out)
		} else {
			c.report(at, "the output is removed")
		}
	}
}

// optionsOf returns the job control options; a process that names no mode has
// both.
func optionsOf(p ogc.Process) []ogc.JobControlOption {
	list := p.JobControlOptions
	if !slices.Contains(list, ogc.SyncExecute) && !slices.Contains(list, ogc.AsyncExecute) {
		list = append([]ogc.JobControlOption{ogc.SyncExecute, ogc.AsyncExecute}, list...)
	}
	return list
}

// demands returns how often an input has to be given at least: a default
// stands in for one that is left out.
func demands(in ogc.Input) int {
	if s, ok := decode(in.Schema).(map[string]any); ok && in.Min() == 1 {
		if _, has := s["default"]; has {
			return 0
		}
	}
	return in.Min()
}

func (c *comparison) input(at string, old, next ogc.Input) {
	if was, is := demands(old), demands(next); is > was {
		c.report(at+"/minOccurs", "raised from %d to %d", was, is)
	}
	if was, is := old.Max(), next.Max(); is != ogc.Unbounded && (was == ogc.Unbounded || is < was) {
		c.report(at+"/maxOccurs", "lowered from %s to %s", was, is)
	}
	for _, way := range []string{"byValue", "byReference"} {
		if passes(old, way) && !passes(next, way) {
			c.report(at+"/valuePassing", "%s is removed", way)
		}
	}
	before, after := decode(old.Schema), decode(next.Schema)
	c.media(at+"/schema", before, after)
	c.narrowed(at+"/schema", before, after)
}

// passes reports whether the values of an input may be given in a way.
func passes(in ogc.Input, way string) bool {
	return len(in.ValuePassing) == 0 || slices.Contains(in.ValuePassing, way)
}

// output reports what readers of an output cannot make use of any more. Values
// that they never met before are theirs to bear.
func (c *comparison) output(at string, old, next ogc.Output) {
	before, after := decode(old.Schema), decode(next.Schema)
	c.media(at+"/schema", before, after)
	was, is := typesOf(before), typesOf(after)
	if was != nil && is != nil && !slices.ContainsFunc(was, func(t string) bool { return accepts(is, t) }) &&
		!slices.ContainsFunc(is, func(t string) bool { return accepts(was, t) }) {
		c.report(at+"/schema/type", "changed from %s to %s", strings.Join(was, ", "), strings.Join(is, ", "))
	}
}

// media reports the media types that are no longer among those to choose from.
func (c *comparison) media(at string, before, after any) {
	offered := mediaTypes(after)
	if len(offered) == 0 {
		return
	}
	for _, m := range mediaTypes(before) {
		if !slices.Contains(offered, m) {
			c.report(at, "media type %s is removed", m)
		}
	}
}

// mediaTypes lists the media types of a schema and of its alternatives.
func mediaTypes(schema any) []string {
	s, ok := schema.(map[string]any)
	if !ok {
		return nil
	}
	var list []string
	if m, ok := s["contentMediaType"].(string); ok {
		list = append(list, m)
	}
	for _, key := range []string{"oneOf", "anyOf"} {
		alternatives, _ := s[key].([]any)
		for _, a := range alternatives {
			if alternative, ok := a.(map[string]any); ok {
				if m, ok := alternative["contentMediaType"].(string); ok {
					list = append(list, m)
				}
			}
		}
	}
	return list
}

func escape(token string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(token)
}
