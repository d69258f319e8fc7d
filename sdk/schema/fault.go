package schema

import (
	"cmp"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// MaxFaults limits how many faults Validate returns.
const MaxFaults = 100

// Fault is one place where a value does not match.
type Fault struct {
	Pointer string // JSON pointer (RFC 6901) within the value; "" is the value itself
	Message string // what is wrong, without the name of the place: "is required"
}

// collector turns the library's tree of errors into a flat list.
type collector struct {
	value  any
	faults []Fault
}

// collect returns the faults below root, which is the outcome of checking v.
func collect(root *jsonschema.ValidationError, v any) []Fault {
	c := collector{value: v}
	c.add(root)
	slices.SortFunc(c.faults, func(a, b Fault) int {
		return cmp.Or(strings.Compare(a.Pointer, b.Pointer), strings.Compare(a.Message, b.Message))
	})
	return slices.Compact(c.faults)
}

func (c *collector) add(e *jsonschema.ValidationError) {
	if len(c.faults) >= MaxFaults {
		return
	}
	switch k := e.ErrorKind.(type) {
	case *kind.Schema, *kind.Group, *kind.Reference, *kind.AllOf, *kind.ContentSchema:
		for _, cause := range e.Causes {
			c.add(cause)
		}
	case *kind.AnyOf:
		c.alternatives(e)
	case *kind.OneOf:
		if len(k.Subschemas) > 0 {
			c.fault(e.InstanceLocation, "matches more than one of the allowed forms; it must match exactly one")
			return
		}
		c.alternatives(e)
	case *kind.Required:
		c.each(e, k.Missing, "is required")
	case *kind.Dependency:
		c.each(e, k.Missing, "is required together with "+quote(k.Prop))
	case *kind.DependentRequired:
		c.each(e, k.Missing, "is required together with "+quote(k.Prop))
	case *kind.AdditionalProperties:
		c.each(e, k.Properties, "is not a known member")
	case *kind.PropertyNames:
		c.fault(c.owner(e.InstanceLocation, k.Property), "has a member with a name that is not allowed: "+quote(k.Property))
	default:
		c.fault(e.InstanceLocation, message(e.ErrorKind))
	}
}

func (c *collector) fault(at []string, message string) {
	if len(c.faults) < MaxFaults {
		c.faults = append(c.faults, Fault{Pointer: pointer(at), Message: message})
	}
}

// each adds the same fault for several members of the object at e.
func (c *collector) each(e *jsonschema.ValidationError, members []string, message string) {
	for _, name := range slices.Sorted(slices.Values(members)) {
		c.fault(append(slices.Clip(e.InstanceLocation), name), message)
	}
}

// alternatives explains why none of the branches of an anyOf or oneOf matched.
// Where only one of them admits a value of this type, its faults are what the
// client has to mend.
func (c *collector) alternatives(e *jsonschema.ValidationError) {
	var near []*jsonschema.ValidationError
	var want []string
	got := ""
	for _, branch := range e.Causes {
		t := mismatch(branch, e.InstanceLocation)
		if t == nil {
			near = append(near, branch)
			continue
		}
		want, got = append(want, t.Want...), t.Got
	}
	switch len(near) {
	case 0:
		if len(want) > 0 {
			c.fault(e.InstanceLocation, message(&kind.Type{Got: got, Want: want}))
			return
		}
	case 1:
		c.add(near[0])
		return
	}
	c.fault(e.InstanceLocation, "matches none of the allowed forms"+reasons(near, len(e.InstanceLocation)))
}

// mismatch returns the wrong type of the value at the place itself, or nil when
// the branch failed for another reason.
func mismatch(branch *jsonschema.ValidationError, at []string) *kind.Type {
	if t, ok := branch.ErrorKind.(*kind.Type); ok && len(branch.InstanceLocation) == len(at) {
		return t
	}
	switch branch.ErrorKind.(type) {
	case *kind.Group, *kind.Reference, *kind.AllOf:
		for _, cause := range branch.Causes {
			if t := mismatch(cause, at); t != nil {
				return t
			}
		}
	}
	return nil
}

// reasons names the first fault of up to three branches; places are given
// below depth.
func reasons(branches []*jsonschema.ValidationError, depth int) string {
	var b strings.Builder
	for i, branch := range branches {
		if i == 3 {
			b.WriteString("; ...")
			break
		}
		faults := collect(branch, nil)
		if len(faults) == 0 {
			continue
		}
		if b.Len() == 0 {
			b.WriteString(": ")
		} else {
			b.WriteString("; or ")
		}
		if below := strings.SplitAfterN(faults[0].Pointer, "/", depth+2); len(below) > depth+1 {
			b.WriteString("/" + below[depth+1] + " ")
		}
		b.WriteString(faults[0].Message)
	}
	return b.String()
}

// owner returns at if it leads to an object with the member, else nothing: the
// library shares the memory of this one kind of location.
func (c *collector) owner(at []string, member string) []string {
	v := c.value
	for _, step := range at {
		o, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = o[step]
	}
	if o, ok := v.(map[string]any); ok {
		if _, ok := o[member]; ok {
			return at
		}
	}
	return nil
}

// pointer writes a JSON pointer (RFC 6901).
func pointer(at []string) string {
	if len(at) == 0 {
		return ""
	}
	escape := strings.NewReplacer("~", "~0", "/", "~1")
	var b strings.Builder
	for _, step := range at {
		b.WriteByte('/')
		_, _ = escape.WriteString(&b, step)
	}
	return b.String()
}
