package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"geomill/sdk/schema/decode"
)

// OpenAPI31 returns a schema as components of an OpenAPI 3.1 document, whose
// dialect is 2020-12 too. at is the address of the component that it becomes,
// such as "#/components/schemas/name". Its definitions become components of their
// own, as many tools look for schemas nowhere else; the result holds each by what
// follows at, and the schema itself by "". References go to where schemas are
// put; those to well-known ones start with wellKnownAt (see WellKnown).
func OpenAPI31(raw json.RawMessage, at, wellKnownAt string) (map[string]json.RawMessage, error) {
	doc, err := decode.JSON(raw)
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	return (&move{at: at, wellKnownAt: wellKnownAt}).components(doc)
}

// WellKnown returns all well-known schemas that OpenAPI31 refers to, as
// components by what follows wellKnownAt.
func WellKnown(wellKnownAt string) (map[string]json.RawMessage, error) {
	all := map[string]json.RawMessage{}
	for _, name := range []string{"bbox", "geojson"} {
		doc, err := wellKnownDoc(name)
		if err != nil {
			return nil, err
		}
		parts, err := (&move{at: wellKnownAt + name, wellKnownAt: wellKnownAt}).components(doc)
		if err != nil {
			return nil, err
		}
		for suffix, text := range parts {
			all[name+suffix] = text
		}
	}
	return all, nil
}

// move brings a schema to another place.
type move struct {
	at, wellKnownAt string
	suffixes        map[string]string // of the definitions, by name
	named           bool              // the schema has an identifier that its references start from
}

func (m *move) components(doc any) (map[string]json.RawMessage, error) {
	root, _ := doc.(node)
	_, m.named = root["$id"].(string)
	parts := map[string]any{"": doc}
	if defs, ok := root["$defs"].(node); ok && !m.named {
		m.suffixes = suffixes(defs)
		delete(root, "$defs")
		for name, def := range defs {
			parts[m.suffixes[name]] = def
		}
	}
	texts := make(map[string]json.RawMessage, len(parts))
	for suffix, part := range parts {
		if err := eachSchema(part, m.schema); err != nil {
			return nil, err
		}
		text, err := json.Marshal(part)
		if err != nil {
			return nil, err
		}
		texts[suffix] = text
	}
	return texts, nil
}

// schema changes one schema object.
func (m *move) schema(s map[string]any) error {
	delete(s, "$schema")
	if _, isURI := s["contentSchema"].(string); isURI {
		delete(s, "contentSchema")
	}
	if ref, ok := s["$ref"].(string); ok {
		s["$ref"] = m.reference(ref)
	}
	return nil
}

func (m *move) reference(ref string) string {
	url, fragment, _ := strings.Cut(ref, "#")
	if p, ok := wellKnown(url); ok && fragment == "" {
		_, definition, _ := strings.Cut(p.pointer, "/$defs/")
		if definition == "" {
			return m.wellKnownAt + p.file
		}
		return m.wellKnownAt + p.file + "." + definition
	}
	if url != "" || m.named || fragment != "" && fragment[0] != '/' {
		return ref
	}
	if rest, ok := strings.CutPrefix(unescape(fragment), "/$defs/"); ok {
		name, rest, deeper := strings.Cut(rest, "/")
		if suffix, ok := m.suffixes[strings.NewReplacer("~1", "/", "~0", "~").Replace(name)]; ok {
			if deeper {
				return m.at + suffix + "/" + rest
			}
			return m.at + suffix
		}
	}
	return m.at + fragment
}

// suffixes makes names of components of the names of definitions.
func suffixes(defs node) map[string]string {
	all, taken := make(map[string]string, len(defs)), map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(defs)) {
		suffix := "." + strings.Map(func(c rune) rune {
			if c == '-' || c == '_' || c == '.' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' {
				return c
			}
			return '_'
		}, name)
		for taken[suffix] {
			suffix += "_"
		}
		all[name], taken[suffix] = suffix, true
	}
	return all
}
