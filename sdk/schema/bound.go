package schema

import (
	"strconv"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// maxSiblings is how many wrong items of one array, or additional members of
// one object, are looked for. The library itself stops at none, and a short
// array of wrong items would become hundreds of megabytes of faults.
const maxSiblings = 10

// bound makes a compiled schema, and all that it consists of, stop after
// maxSiblings. It takes over the keywords that apply one schema to any number
// of values; what they mean stays the same.
func bound(s *jsonschema.Schema, seen map[*jsonschema.Schema]bool) {
	if s == nil || seen[s] {
		return
	}
	seen[s] = true
	for _, part := range parts(s) {
		bound(part, seen)
	}
	if items := s.Items2020; items != nil {
		s.Items2020 = nil
		s.Extensions = append(s.Extensions, &boundItems{items, len(s.PrefixItems)})
	}
	if members, ok := s.AdditionalProperties.(*jsonschema.Schema); ok {
		s.AdditionalProperties = nil
		s.Extensions = append(s.Extensions, &boundMembers{members, s})
	}
}

// parts lists the schemas within a schema.
func parts(s *jsonschema.Schema) []*jsonschema.Schema {
	all := []*jsonschema.Schema{s.Ref, s.RecursiveRef, s.Not, s.If, s.Then, s.Else, s.PropertyNames,
		s.UnevaluatedProperties, s.Contains, s.Items2020, s.UnevaluatedItems, s.ContentSchema}
	if s.DynamicRef != nil {
		all = append(all, s.DynamicRef.Ref)
	}
	for _, list := range [][]*jsonschema.Schema{s.AllOf, s.AnyOf, s.OneOf, s.PrefixItems} {
		all = append(all, list...)
	}
	for _, part := range s.Properties {
		all = append(all, part)
	}
	for _, part := range s.PatternProperties {
		all = append(all, part)
	}
	for _, part := range s.DependentSchemas {
		all = append(all, part)
	}
	if part, ok := s.AdditionalProperties.(*jsonschema.Schema); ok {
		all = append(all, part)
	}
	return all
}

// boundItems is the keyword items.
type boundItems struct {
	items *jsonschema.Schema
	from  int // how many items prefixItems describes
}

// Validate implements jsonschema.SchemaExt.
func (b *boundItems) Validate(ctx *jsonschema.ValidatorContext, v any) {
	array, ok := v.([]any)
	if !ok {
		return
	}
	wrong := 0
	for i := b.from; i < len(array) && wrong < maxSiblings; i++ {
		if err := ctx.Validate(b.items, array[i], []string{strconv.Itoa(i)}); err != nil {
			ctx.AddErr(err)
			wrong++
		}
	}
}

// boundMembers is the keyword additionalProperties of a schema.
type boundMembers struct {
	members *jsonschema.Schema
	of      *jsonschema.Schema
}

// Validate implements jsonschema.SchemaExt.
func (b *boundMembers) Validate(ctx *jsonschema.ValidatorContext, v any) {
	object, ok := v.(map[string]any)
	if !ok {
		return
	}
	wrong := 0
	for name, member := range object {
		if wrong == maxSiblings {
			return
		}
		if b.described(name) {
			continue
		}
		if err := ctx.Validate(b.members, member, []string{name}); err != nil {
			ctx.AddErr(err)
			wrong++
		}
	}
}

// described reports whether another keyword describes a member.
func (b *boundMembers) described(name string) bool {
	if _, ok := b.of.Properties[name]; ok {
		return true
	}
	for pattern := range b.of.PatternProperties {
		if pattern.MatchString(name) {
			return true
		}
	}
	return false
}
