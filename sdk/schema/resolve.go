package schema

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// resolve finds what a reference within the document root leads to, and what the
// references there start from. ok is false where that is not known.
func resolve(ref string, root any) (target, newRoot any, ok bool) {
	url, fragment, _ := strings.Cut(ref, "#")
	if p, known := wellKnown(url); known && fragment == "" {
		doc, err := wellKnownDoc(p.file)
		if err != nil {
			return nil, nil, false
		}
		return follow(p.pointer, doc)
	}
	if m, isObject := root.(node); url != "" && (!isObject || m["$id"] != url) {
		return nil, nil, false
	}
	if fragment == "" || fragment[0] == '/' {
		return follow(unescape(fragment), root)
	}
	target, ok = anchored(fragment, root)
	return target, root, ok
}

// unescape undoes the percent encoding of a URL's fragment.
func unescape(fragment string) string {
	if !strings.Contains(fragment, "%") {
		return fragment
	}
	var b strings.Builder
	for i := 0; i < len(fragment); i++ {
		if fragment[i] == '%' && i+2 < len(fragment) {
			if n, err := strconv.ParseUint(fragment[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(n))
				i += 2
				continue
			}
		}
		b.WriteByte(fragment[i])
	}
	return b.String()
}

// follow goes along a JSON pointer. A schema on the way that has an identifier
// of its own is the root of what follows.
func follow(pointer string, doc any) (target, root any, ok bool) {
	target, root = doc, doc
	if pointer == "" {
		return target, root, true
	}
	decode := strings.NewReplacer("~1", "/", "~0", "~")
	for step := range strings.SplitSeq(pointer[1:], "/") {
		step = decode.Replace(step)
		switch at := target.(type) {
		case node:
			target, ok = at[step]
		case []any:
			i, err := strconv.Atoi(step)
			if ok = err == nil && i >= 0 && i < len(at); ok {
				target = at[i]
			}
		default:
			ok = false
		}
		if !ok {
			return nil, nil, false
		}
		if m, isObject := target.(node); isObject {
			if _, named := m["$id"].(string); named {
				root = m
			}
		}
	}
	return target, root, true
}

// anchored finds the schema of an anchor.
func anchored(name string, doc any) (any, bool) {
	switch at := doc.(type) {
	case node:
		if at["$anchor"] == name || at["$dynamicAnchor"] == name {
			return at, true
		}
		for _, key := range slices.Sorted(maps.Keys(at)) {
			if found, ok := anchored(name, at[key]); ok {
				return found, true
			}
		}
	case []any:
		for _, item := range at {
			if found, ok := anchored(name, item); ok {
				return found, true
			}
		}
	}
	return nil, false
}
