package compat

import (
	"encoding/json"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
)

// combiners are keywords whose effect on the whole cannot be told by comparing
// schemas member by member.
var combiners = []string{"$ref", "$dynamicRef", "allOf", "anyOf", "oneOf", "not", "if", "then", "else"}

// bound is a keyword that limits a number: of a value, or of its parts.
type bound struct {
	keyword string
	of      string // type of the values that it limits
	lower   bool   // a larger number is narrower
}

var bounds = []bound{
	{"minimum", "number", true}, {"exclusiveMinimum", "number", true}, {"maximum", "number", false}, {"exclusiveMaximum", "number", false},
	{"minLength", "string", true}, {"maxLength", "string", false},
	{"minItems", "array", true}, {"maxItems", "array", false},
	{"minProperties", "object", true}, {"maxProperties", "object", false},
}

// decode reads a schema. What is not JSON is no schema at all, and compared
// with nothing.
func decode(text json.RawMessage) any {
	var v any
	if json.Unmarshal(text, &v) != nil {
		return nil
	}
	return v
}

// narrowed reports where the new schema surely refuses a value that the old one
// allows.
func (c *comparison) narrowed(at string, before, after any) {
	old, next := members(before), members(after)
	if old == nil {
		return
	}
	if after == false {
		c.report(at, "allows no value any more")
	}
	if next == nil || !sameCombiners(old, next) {
		return
	}
	if _, ok := enumOf(old); ok {
		c.enumerated(at, old, next)
		return
	}
	c.types(at, old, next)
	if _, ok := enumOf(next); ok {
		if was := typesOf(old); was == nil || slices.ContainsFunc(was, func(t string) bool { return t != "boolean" && t != "null" }) {
			c.report(at, "allows certain values only")
		}
		return
	}
	c.bounds(at, old, next)
	if applies(old, next, "array") {
		c.items(at, old, next)
	}
	if applies(old, next, "object") {
		c.properties(at, old, next)
	}
}

// members returns the members of a schema, none for true, and nil for what
// allows nothing or is no schema.
func members(schema any) map[string]any {
	switch s := schema.(type) {
	case map[string]any:
		return s
	case bool:
		if s {
			return map[string]any{}
		}
	}
	return nil
}

func sameCombiners(old, next map[string]any) bool {
	for _, k := range combiners {
		if !reflect.DeepEqual(old[k], next[k]) {
			return false
		}
	}
	return true
}

// enumOf returns the only values that a schema allows, if it lists them.
func enumOf(s map[string]any) ([]any, bool) {
	if v, ok := s["const"]; ok {
		return []any{v}, true
	}
	values, ok := s["enum"].([]any)
	return values, ok
}

// enumerated reports which of the values that the old schema lists, and allows,
// are gone.
func (c *comparison) enumerated(at string, old, next map[string]any) {
	values, _ := enumOf(old)
	listed, lists := enumOf(next)
	was, is := typesOf(old), typesOf(next)
	for _, v := range values {
		if was != nil && !accepts(was, typeOf(v)) {
			continue
		}
		gone := lists && !slices.ContainsFunc(listed, func(n any) bool { return reflect.DeepEqual(n, v) })
		if gone || is != nil && !accepts(is, typeOf(v)) {
			text, _ := json.Marshal(v) // it came from JSON
			c.report(at+"/enum", "%.60s is removed", text)
		}
	}
}

// typesOf returns the types that a schema names, or nil when it names none.
func typesOf(schema any) []string {
	s, ok := schema.(map[string]any)
	if !ok {
		return nil
	}
	if t, ok := s["type"].(string); ok {
		return []string{t}
	}
	return stringsOf(s["type"])
}

// stringsOf returns the strings of an array, or nil.
func stringsOf(v any) []string {
	var list []string
	array, _ := v.([]any)
	for _, one := range array {
		if s, ok := one.(string); ok {
			list = append(list, s)
		}
	}
	return list
}

// typeOf returns the type of a value; a number that is whole is an integer.
func typeOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case []any:
		return "array"
	case float64:
		if v == math.Trunc(v) {
			return "integer"
		}
		return "number"
	}
	return "object"
}

// accepts reports whether values of type t are allowed where types are.
func accepts(types []string, t string) bool {
	return slices.Contains(types, t) || t == "integer" && slices.Contains(types, "number")
}

func (c *comparison) types(at string, old, next map[string]any) {
	was, is := typesOf(old), typesOf(next)
	switch {
	case is == nil:
	case was == nil:
		c.report(at+"/type", "allows %s only", strings.Join(is, ", "))
	default:
		for _, t := range was {
			if !accepts(is, t) {
				c.report(at+"/type", "%s is removed", t)
			}
		}
	}
}

// applies reports whether both schemas allow values of a type.
func applies(old, next map[string]any, t string) bool {
	for _, s := range []map[string]any{old, next} {
		types := typesOf(s)
		if types != nil && !accepts(types, t) && !(t == "number" && slices.Contains(types, "integer")) {
			return false
		}
	}
	return true
}

func (c *comparison) bounds(at string, old, next map[string]any) {
	for _, b := range bounds {
		if !applies(old, next, b.of) {
			continue
		}
		is, limits := next[b.keyword].(float64)
		was, limited := old[b.keyword].(float64)
		switch {
		case !limits || b.lower && is <= 0 && b.of != "number": // a size is never below zero
		case !limited:
			if !exchanged(b.keyword, old) {
				c.report(at+"/"+b.keyword, "%v is new", is)
			}
		case b.lower && is > was:
			c.report(at+"/"+b.keyword, "raised from %v to %v", was, is)
		case !b.lower && is < was:
			c.report(at+"/"+b.keyword, "lowered from %v to %v", was, is)
		}
	}
	if _, was := old["multipleOf"]; !was && next["multipleOf"] != nil && applies(old, next, "number") &&
		!(reflect.DeepEqual(next["multipleOf"], 1.0) && slices.Equal(typesOf(old), []string{"integer"})) {
		c.report(at+"/multipleOf", "%v is new", next["multipleOf"])
	}
}

// exchanged reports whether the old schema limited a number by the other kind of
// bound, so that it cannot simply be told which of the two is narrower.
func exchanged(keyword string, old map[string]any) bool {
	other := map[string]string{
		"minimum": "exclusiveMinimum", "exclusiveMinimum": "minimum",
		"maximum": "exclusiveMaximum", "exclusiveMaximum": "maximum",
	}[keyword]
	_, ok := old[other]
	return ok
}

func (c *comparison) items(at string, old, next map[string]any) {
	if next["uniqueItems"] == true && old["uniqueItems"] != true {
		c.report(at+"/uniqueItems", "is new")
	}
	if old["prefixItems"] != nil || next["prefixItems"] != nil || next["items"] == nil {
		return
	}
	before, ok := old["items"]
	if !ok {
		before = true
	}
	c.narrowed(at+"/items", before, next["items"])
}

func (c *comparison) properties(at string, old, next map[string]any) {
	demanded := stringsOf(old["required"])
	for _, name := range stringsOf(next["required"]) {
		if !slices.Contains(demanded, name) {
			c.report(at+"/required", "property %s is required now", name)
		}
	}
	before, _ := old["properties"].(map[string]any)
	after, _ := next["properties"].(map[string]any)
	closed := next["additionalProperties"] == false && next["patternProperties"] == nil && old["patternProperties"] == nil
	for _, name := range slices.Sorted(maps.Keys(before)) {
		p, ok := after[name]
		switch {
		case ok:
			c.narrowed(at+"/properties/"+escape(name), before[name], p)
		case closed && before[name] != false:
			c.report(at+"/properties/"+escape(name), "the property is removed")
		}
	}
	if open := members(orTrue(old["additionalProperties"])) != nil; closed && open {
		c.report(at+"/additionalProperties", "no other properties are allowed any more")
	}
}

func orTrue(schema any) any {
	if schema == nil {
		return true
	}
	return schema
}
