// Package schema is JSON Schema for Geomill: it compiles the schemas that
// process descriptions carry, and checks values against them with every fault
// named by a JSON pointer.
//
// The dialect is 2020-12 with formats asserted. A schema is a closed document:
// nothing is ever loaded from a URL or a file, but some well-known URLs stand
// for schemas that are in the package itself (wellknown.go). Of Geomill it imports
// only decode; its central type is Schema. Processes10, OpenAPI30 and
// OpenAPI31 write a schema for readers of other dialects.
package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"geomill/sdk/schema/decode"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// MaxBytes limits the text of one schema.
const MaxBytes = 1 << 20

// location is the URI of every schema; it is never loaded.
const (
	base     = "geomill:///"
	location = base + "schema"
)

// Schema is a compiled JSON Schema. It is safe for concurrent use.
type Schema struct {
	compiled *jsonschema.Schema
	open     string // see AcceptsAny
}

// Compile prepares a schema. It refuses text above MaxBytes, text that is not a
// valid schema of 2020-12, and references that lead out of the document to
// anything but a well-known schema.
func Compile(raw json.RawMessage) (s *Schema, err error) {
	if len(raw) > MaxBytes {
		return nil, fmt.Errorf("schema has %d bytes; at most %d are allowed", len(raw), MaxBytes)
	}
	doc, err := decode.JSON(raw)
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	if err := prepare(doc); err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	// The text comes from a plugin, and whatever the library makes of it, it
	// must not take the host down.
	defer func() {
		if p := recover(); p != nil {
			s, err = nil, errors.New("schema cannot be compiled")
		}
	}()
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	c.UseLoader(library{})
	if err := c.AddResource(location, doc); err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	compiled, err := c.Compile(location)
	if err != nil {
		return nil, fmt.Errorf("schema: %w", explain(err))
	}
	bound(compiled, map[*jsonschema.Schema]bool{})
	return &Schema{compiled: compiled, open: openTo(doc)}, nil
}

// Validate returns the faults of v ordered by pointer: all of them, but of one
// array or map not more than ten wrong items, and at most MaxFaults. v is a
// value as decode.JSON returns it, where numbers are json.Number and keep all
// their digits; float64 is taken too, within its precision.
func (s *Schema) Validate(v any) (faults []Fault) {
	defer func() {
		if p := recover(); p != nil {
			faults = []Fault{{Message: "cannot be checked against its schema"}}
		}
	}()
	err := s.compiled.Validate(v)
	if err == nil {
		return nil
	}
	var root *jsonschema.ValidationError
	if !errors.As(err, &root) {
		return []Fault{{Message: "does not match its schema"}}
	}
	return collect(root, v)
}

// AcceptsAny reports whether every JSON value that begins with the byte first
// matches: the schema asks for a type and nothing more. Such a value can be
// passed on without being decoded.
func (s *Schema) AcceptsAny(first byte) bool { return strings.IndexByte(s.open, first) >= 0 }

// beginnings are the first bytes of the JSON values of a type. An integer is
// not among them: its first byte does not tell.
func beginnings(name string) string {
	switch name {
	case "object":
		return "{"
	case "array":
		return "["
	case "string":
		return `"`
	case "number":
		return "-0123456789"
	case "boolean":
		return "tf"
	case "null":
		return "n"
	}
	return ""
}

// openTo lists the first bytes for which a schema has no more to say.
func openTo(doc any) string {
	if doc == true {
		return `{["-0123456789tfn`
	}
	members, ok := doc.(map[string]any)
	if !ok {
		return ""
	}
	for keyword := range members {
		switch keyword {
		case "type", "title", "description", "default", "example", "examples", "deprecated", "readOnly",
			"writeOnly", "$comment", "contentMediaType", "contentEncoding", "contentSchema":
		default:
			return ""
		}
	}
	switch t := members["type"].(type) {
	case nil:
		return openTo(true)
	case string:
		return beginnings(t)
	case []any:
		var all strings.Builder
		for _, name := range t {
			if name, ok := name.(string); ok {
				all.WriteString(beginnings(name))
			}
		}
		return all.String()
	}
	return ""
}

var errOutside = errors.New("references must stay within the schema or name a well-known one (GeoJSON, bbox)")

// explain turns the library's compile errors into text for the author of the
// schema.
func explain(err error) error {
	var load *jsonschema.LoadURLError
	if errors.As(err, &load) {
		return fmt.Errorf("refers to %s: %w", strings.TrimPrefix(load.URL, base), errOutside)
	}
	var invalid *jsonschema.SchemaValidationError
	var root *jsonschema.ValidationError
	if errors.As(err, &invalid) && errors.As(invalid.Err, &root) {
		var b bytes.Buffer
		for i, f := range collect(root, nil) {
			if i == 3 {
				b.WriteString("; ...")
				break
			}
			if i > 0 {
				b.WriteString("; ")
			}
			fmt.Fprintf(&b, "at %q: %s", f.Pointer, f.Message)
		}
		return errors.New(b.String())
	}
	return errors.New(strings.ReplaceAll(err.Error(), location+"#", "#"))
}
