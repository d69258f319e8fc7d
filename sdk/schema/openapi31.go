package schema

import (
	"encoding/json"
	"fmt"
	"strings"
)

// WellKnown are the names of the well-known schemas that OpenAPI31 refers to.
var WellKnown = [...]string{"geojson", "bbox"}

// OpenAPI31 returns a schema as a part of an OpenAPI 3.1 document, whose dialect
// is 2020-12 too: references follow it to where it is put. at is that place,
// such as "#/components/schemas/name". wellKnownAt is the place of the
// well-known schemas, each by its name in WellKnown.
func OpenAPI31(raw json.RawMessage, at, wellKnownAt string) (json.RawMessage, error) {
	doc, err := Decode(raw)
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	return moved(doc, at, wellKnownAt)
}

// WellKnownOpenAPI31 returns a well-known schema as OpenAPI31 does.
func WellKnownOpenAPI31(name, wellKnownAt string) (json.RawMessage, error) {
	doc, err := wellKnownDoc(name)
	if err != nil {
		return nil, err
	}
	return moved(doc, wellKnownAt+name, wellKnownAt)
}

func moved(doc any, at, wellKnownAt string) (json.RawMessage, error) {
	m, _ := doc.(node)
	_, named := m["$id"].(string)
	err := eachSchema(doc, func(m map[string]any) error {
		delete(m, "$schema")
		if _, isURI := m["contentSchema"].(string); isURI {
			delete(m, "contentSchema")
		}
		ref, ok := m["$ref"].(string)
		if !ok {
			return nil
		}
		url, fragment, _ := strings.Cut(ref, "#")
		if p, ok := wellKnown(url); ok && fragment == "" {
			m["$ref"] = wellKnownAt + p.file + p.pointer
		} else if url == "" && !named && (fragment == "" || fragment[0] == '/') {
			m["$ref"] = at + fragment
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return json.Marshal(doc)
}
