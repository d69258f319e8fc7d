package schema

import (
	"maps"
	"slices"
	"strconv"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Fill gives members that are missing the default of their schema, at any depth
// of v, a value as decode.JSON returns it. Defaults count where their schema holds
// whatever the value is: below properties, items, allOf and $ref. It changes v
// and returns it.
func (s *Schema) Fill(v any) any {
	walk([]*jsonschema.Schema{s.compiled}, v, "", certain, func(_ string, schemas []*jsonschema.Schema, v any) bool {
		object, ok := v.(map[string]any)
		if !ok {
			return true
		}
		for _, each := range schemas {
			for name, member := range each.Properties {
				if _, given := object[name]; given {
					continue
				}
				if d := defaultOf(member); d != nil {
					object[name] = *d
				}
			}
		}
		return true
	})
	return v
}

// defaultOf returns the default of a schema, or nil.
func defaultOf(s *jsonschema.Schema) *any {
	for _, each := range inPlace([]*jsonschema.Schema{s}, certain) {
		if each.Default != nil {
			return each.Default
		}
	}
	return nil
}

// WriteOnly returns the JSON pointers of the values within v, as decode.JSON
// returns it, that are marked writeOnly: secrets that are set and never shown. A mark in
// a schema that holds only under conditions counts too. What is within a marked
// value is not listed.
func (s *Schema) WriteOnly(v any) []string {
	var found []string
	walk([]*jsonschema.Schema{s.compiled}, v, "", possible, func(at string, schemas []*jsonschema.Schema, _ any) bool {
		if !slices.ContainsFunc(schemas, func(each *jsonschema.Schema) bool { return each.WriteOnly }) {
			return true
		}
		found = append(found, at)
		return false
	})
	slices.Sort(found)
	return found
}

// The schemas that a walk follows.
const (
	certain  = false // those that hold
	possible = true  // and those that may
)

// walk calls visit for v and the values within it, each with all schemas that
// apply to it, as long as visit wants to see what is within. Its work is bounded
// by the number of values times that of schemas.
func walk(schemas []*jsonschema.Schema, v any, at string, conditional bool, visit func(at string, schemas []*jsonschema.Schema, v any) bool) {
	schemas = inPlace(schemas, conditional)
	if len(schemas) == 0 || !visit(at, schemas, v) {
		return
	}
	within := func(step string, member any, of func(*jsonschema.Schema) []*jsonschema.Schema) {
		var next []*jsonschema.Schema
		for _, s := range schemas {
			next = append(next, of(s)...)
		}
		walk(next, member, at+pointer([]string{step}), conditional, visit)
	}
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			within(name, v[name], func(s *jsonschema.Schema) []*jsonschema.Schema { return memberSchemas(s, name) })
		}
	case []any:
		for i, item := range v {
			within(strconv.Itoa(i), item, func(s *jsonschema.Schema) []*jsonschema.Schema { return itemSchemas(s, i) })
		}
	}
}

// inPlace returns the schemas with those that apply to the same value because
// of them, each once.
func inPlace(schemas []*jsonschema.Schema, conditional bool) []*jsonschema.Schema {
	var all []*jsonschema.Schema
	seen := map[*jsonschema.Schema]bool{nil: true}
	add := func(list ...*jsonschema.Schema) {
		for _, s := range list {
			if !seen[s] {
				seen[s] = true
				all = append(all, s)
			}
		}
	}
	add(schemas...)
	for i := 0; i < len(all); i++ {
		s := all[i]
		add(s.Ref, s.RecursiveRef)
		if s.DynamicRef != nil {
			add(s.DynamicRef.Ref)
		}
		add(s.AllOf...)
		if !conditional {
			continue
		}
		add(s.AnyOf...)
		add(s.OneOf...)
		add(s.If, s.Then, s.Else)
		for _, name := range slices.Sorted(maps.Keys(s.DependentSchemas)) {
			add(s.DependentSchemas[name])
		}
	}
	return all
}

// memberSchemas returns the schemas that s has for a member of an object.
func memberSchemas(s *jsonschema.Schema, name string) []*jsonschema.Schema {
	var all []*jsonschema.Schema
	if p := s.Properties[name]; p != nil {
		all = append(all, p)
	}
	for pattern, p := range s.PatternProperties {
		if pattern.MatchString(name) {
			all = append(all, p)
		}
	}
	for _, e := range s.Extensions {
		if b, ok := e.(*boundMembers); ok && !b.described(name) {
			all = append(all, b.members)
		}
	}
	return append(all, s.UnevaluatedProperties)
}

// itemSchemas returns the schemas that s has for an item of an array.
func itemSchemas(s *jsonschema.Schema, i int) []*jsonschema.Schema {
	var all []*jsonschema.Schema
	if i < len(s.PrefixItems) {
		all = append(all, s.PrefixItems[i])
	}
	for _, e := range s.Extensions {
		if b, ok := e.(*boundItems); ok && i >= b.from {
			all = append(all, b.items)
		}
	}
	return append(all, s.UnevaluatedItems)
}
