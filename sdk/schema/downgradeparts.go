package schema

import (
	"encoding/json"
	"maps"
	"slices"
)

// array are the keywords for items. Items that are described one by one become
// alternatives for all of them.
func (c *conversion) array() {
	items, hasItems := c.in["items"]
	prefix, _ := c.in["prefixItems"].([]any)
	if len(prefix) > 0 {
		c.exact = false
		if items == false {
			c.atMost(len(prefix))
		}
		if closed := items == false || c.fewerThan(len(prefix)); hasItems || closed {
			c.out["items"] = c.alternatives(prefix, items, hasItems && !closed)
		}
	} else if hasItems {
		c.out["items"] = c.convert(items)
	}
	if _, ok := c.out["items"]; !ok && c.out["type"] == "array" {
		c.out["items"] = node{}
	}
}

// atMost lowers maxItems to n.
func (c *conversion) atMost(n int) {
	if !c.fewerThan(n) {
		c.out["maxItems"] = n
	}
}

// fewerThan reports whether maxItems is not above n.
func (c *conversion) fewerThan(n int) bool {
	switch v := c.out["maxItems"].(type) {
	case int:
		return v <= n
	case json.Number:
		have, err := v.Int64()
		return err == nil && have <= int64(n)
	}
	return false
}

// alternatives writes a list of schemas, and one more if it counts, as anyOf.
func (c *conversion) alternatives(list []any, last any, counts bool) node {
	if counts {
		list = append(slices.Clip(list), last)
	}
	if len(list) == 1 {
		return c.convert(list[0])
	}
	all := make([]any, len(list))
	for i, s := range list {
		all[i] = c.convert(s)
	}
	return node{"anyOf": all}
}

// members are the keywords for the members of objects. Members that patterns
// describe are additional ones to the dialect.
func (c *conversion) members() {
	if list, ok := c.in["required"].([]any); ok && len(list) > 0 {
		c.out["required"] = list
	}
	if named, ok := c.in["properties"].(node); ok && len(named) > 0 {
		properties := node{}
		for _, name := range slices.Sorted(maps.Keys(named)) {
			properties[name] = c.convert(named[name])
		}
		c.out["properties"] = properties
	}
	patterns, _ := c.in["patternProperties"].(node)
	if len(patterns) > 0 {
		c.exact = false
	}
	switch more := c.in["additionalProperties"].(type) {
	case bool:
		if more || len(patterns) == 0 {
			c.out["additionalProperties"] = more
		} else {
			c.out["additionalProperties"] = c.alternatives(sorted(patterns), nil, false)
		}
	case node:
		c.out["additionalProperties"] = c.alternatives(sorted(patterns), more, true)
	}
}

// sorted lists schemas in the order of their names.
func sorted(named node) []any {
	list := make([]any, 0, len(named))
	for _, name := range slices.Sorted(maps.Keys(named)) {
		list = append(list, named[name])
	}
	return list
}

// branches are the keywords that combine schemas.
func (c *conversion) branches() {
	if s, ok := c.in["not"]; ok {
		// What accepts more refuses more below not.
		if out, exact := c.downgrade.convert(s, c.root); exact {
			c.and(node{"not": out})
		} else {
			c.exact = false
		}
	}
	if list, ok := c.in["allOf"].([]any); ok {
		all := make([]any, len(list))
		for i, s := range list {
			all[i] = c.convert(s)
		}
		before, _ := c.out["allOf"].([]any)
		c.out["allOf"] = append(before, all...)
	}
	c.choice("anyOf")
	c.choice("oneOf")
}

// choice writes anyOf or oneOf. A value may match more branches of a oneOf than
// it did: then it is an anyOf.
func (c *conversion) choice(keyword string) {
	list, ok := c.in[keyword].([]any)
	if !ok || len(list) == 0 {
		return
	}
	exact := true
	branches := make([]node, len(list))
	for i, s := range list {
		var same bool
		branches[i], same = c.downgrade.convert(s, c.root)
		exact = exact && same
	}
	if keyword == "oneOf" && !exact && !disjoint(branches) {
		keyword = "anyOf"
	}
	c.exact = c.exact && exact
	branches = foldNull(branches)
	if len(branches) == 1 {
		c.and(branches[0])
		return
	}
	all := make([]any, len(branches))
	for i, b := range branches {
		all[i] = b
	}
	c.and(node{keyword: all})
}

// disjoint reports whether no two branches admit values of the same type.
func disjoint(branches []node) bool {
	seen := map[any]bool{}
	for _, b := range branches {
		kinds := []any{b["type"]}
		switch {
		case isNull(b):
			kinds[0] = "null"
		case kinds[0] == nil:
			return false
		case kinds[0] == "integer":
			kinds[0] = "number"
		}
		if b["nullable"] == true && kinds[0] != "null" {
			kinds = append(kinds, "null")
		}
		for _, k := range kinds {
			if seen[k] {
				return false
			}
			seen[k] = true
		}
	}
	return true
}

// isNull reports whether a branch is the one for null.
func isNull(b node) bool {
	enum, _ := b["enum"].([]any)
	return len(b) == 3 && b["type"] == "string" && b["nullable"] == true && len(enum) == 1 && enum[0] == nil
}

// foldNull leaves out the branch for null and makes another one nullable, if
// that says the same.
func foldNull(branches []node) []node {
	at, other := -1, -1
	for i, b := range branches {
		if isNull(b) && at < 0 {
			at = i
			continue
		}
		if b["type"] == nil || b["nullable"] == true || b["enum"] != nil || b["not"] != nil ||
			b["allOf"] != nil || b["anyOf"] != nil || b["oneOf"] != nil {
			return branches
		}
		if other < 0 {
			other = i
		}
	}
	if at < 0 || other < 0 {
		return branches
	}
	branches[other]["nullable"] = true
	return slices.Delete(branches, at, at+1)
}
