package schema

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// dialect is the only metaschema that a schema may name.
const dialect = "https://json-schema.org/draft/2020-12/schema"

// The keywords that hold schemas.
var (
	oneSchema = []string{"additionalProperties", "contains", "contentSchema", "else", "if", "items", "not",
		"propertyNames", "then", "unevaluatedItems", "unevaluatedProperties"}
	manySchemas  = []string{"allOf", "anyOf", "oneOf", "prefixItems"}
	namedSchemas = []string{"$defs", "definitions", "dependentSchemas", "patternProperties", "properties"}
)

// eachSchema calls visit for a schema and all within it, in a fixed order,
// inner ones first. visit may change what it gets.
func eachSchema(doc any, visit func(map[string]any) error) error {
	m, ok := doc.(map[string]any)
	if !ok {
		return nil
	}
	var errs []error
	for _, keyword := range oneSchema {
		errs = append(errs, eachSchema(m[keyword], visit))
	}
	for _, keyword := range manySchemas {
		list, _ := m[keyword].([]any)
		for _, s := range list {
			errs = append(errs, eachSchema(s, visit))
		}
	}
	for _, keyword := range namedSchemas {
		named, _ := m[keyword].(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(named)) {
			errs = append(errs, eachSchema(named[name], visit))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return visit(m)
}

// prepare makes a decoded schema ready for the compiler: it refuses other
// dialects, has formats that stand alone mean their well-known schemas (spec of
// format: servers should check such values), and leaves out what OGC API -
// Processes writes that 2020-12 knows otherwise.
func prepare(doc any) error {
	return eachSchema(doc, func(m map[string]any) error {
		if named, ok := m["$schema"].(string); ok && named != dialect && named != dialect+"#" {
			return fmt.Errorf("names the dialect %.100q; it must be %s", named, dialect)
		}
		if _, isURI := m["contentSchema"].(string); isURI {
			delete(m, "contentSchema") // the standard's form: the URI of a schema of any kind
		}
		if format, ok := m["format"].(string); ok && standsAlone(m) {
			if p, ok := formatSchema(format); ok {
				m["$ref"] = p.uri()
			}
		}
		return nil
	})
}

// standsAlone reports whether a schema asks for nothing but a format.
func standsAlone(m map[string]any) bool {
	for keyword := range m {
		switch keyword {
		case "format", "title", "description", "default", "example", "examples", "deprecated", "readOnly",
			"writeOnly", "$comment", "contentMediaType", "contentEncoding", "contentSchema":
		default:
			return false
		}
	}
	return true
}
