// Package derive makes JSON Schemas of Go types. It checks types and tags, but does
// not compile what it makes: plugins derive their schemas at each start, and whoever
// reads them compiles them.
package derive

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/invopop/jsonschema"
)

// Property is one member of a struct type, as Properties finds it.
type Property struct {
	// Name is the name of the JSON member.
	Name string
	// Title and Description come from the tag; they are not repeated in Schema.
	Title, Description string
	// Schema is a complete 2020-12 schema without references.
	Schema json.RawMessage
	// Optional members are pointers, have a default, or are tagged omitempty or
	// omitzero.
	Optional bool
	// Field is where the member is in the struct, for reflection.
	Field reflect.StructField
}

// Describer is a type that knows its own schema. Properties uses it for values and
// pointers of the type.
type Describer interface {
	// JSONSchema returns an object with the keywords of the schema. It is
	// called on a zero value.
	JSONSchema() json.RawMessage
}

// Properties returns the members of the struct type t, or of what t points to, in
// the order of its fields. Names and options come from the json tags. A
// jsonschema tag adds keywords, separated by commas (a comma of its own is
// written \\,):
//
//	Times int    `json:"times,omitempty" jsonschema:"title=Times,minimum=1,maximum=10,default=1"`
//	Mode  string `json:"mode" jsonschema:"description=How to join,enum=inner,enum=outer"`
//
// A type that encodes itself is any value (json.Marshaler) or a string
// (encoding.TextMarshaler) unless it is a Describer; json.RawMessage is any
// value, []byte a base64 string. Structs admit no members but their own. Types
// that contain themselves, or that JSON has no form for, are errors, as are
// tags that would have no effect. A nil slice, map or pointer that is not
// omitted is null in JSON, which its schema does not admit.
func Properties(t reflect.Type) ([]Property, error) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%s is not a struct", t)
	}
	if err := check(t); err != nil {
		return nil, err
	}
	r := jsonschema.Reflector{DoNotReference: true, Anonymous: true, ExpandedStruct: true, Mapper: special}
	root := r.ReflectFromType(t)
	fields := members(t)
	properties := make([]Property, 0, len(fields))
	for _, f := range fields {
		s, ok := root.Properties.Get(f.name)
		if !ok {
			return nil, fmt.Errorf("%s.%s: no schema for this field", t, f.Name)
		}
		p, err := property(f, s, slices.Contains(root.Required, f.name))
		if err != nil {
			return nil, fmt.Errorf("%s.%s: %w", t, f.Name, err)
		}
		properties = append(properties, p)
	}
	return properties, nil
}

func property(f member, s *jsonschema.Schema, required bool) (Property, error) {
	p := Property{
		Name:        f.name,
		Title:       s.Title,
		Description: s.Description,
		Optional:    !required || f.Type.Kind() == reflect.Pointer || s.Default != nil,
		Field:       f.StructField,
	}
	s.Title, s.Description = "", ""
	for _, part := range splitTag(f.Tag.Get("jsonschema")) {
		if media, ok := strings.CutPrefix(part, "contentMediaType="); ok {
			s.ContentMediaType = media
		}
	}
	text, err := json.Marshal(s)
	if err != nil {
		return Property{}, err
	}
	if bytes.Equal(text, []byte("true")) {
		text = []byte("{}") // the standard's schema is an object
	}
	p.Schema = text
	return p, nil
}

// member is a struct field that JSON knows.
type member struct {
	reflect.StructField
	name string
}

// members lists the fields of a struct as encoding/json sees them.
func members(t reflect.Type) []member {
	var all []member
	for _, f := range reflect.VisibleFields(t) {
		tag := f.Tag.Get("json")
		name, _, _ := strings.Cut(tag, ",")
		if tag == "-" || !f.IsExported() || f.Anonymous && name == "" && isStruct(f.Type) {
			continue
		}
		if name == "" {
			name = f.Name
		}
		all = append(all, member{f, name})
	}
	return all
}

func isStruct(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Kind() == reflect.Struct
}

// special gives the schema of types whose JSON is not that of their Go form.
func special(t reflect.Type) *jsonschema.Schema {
	if d, ok := reflect.New(t).Interface().(Describer); ok {
		return described(d.JSONSchema())
	}
	switch formOf(t) {
	case asAny:
		return &jsonschema.Schema{}
	case asNumber:
		return &jsonschema.Schema{Type: "number"}
	case asText:
		return &jsonschema.Schema{Type: "string"}
	case asBase64:
		return &jsonschema.Schema{Type: "string", ContentEncoding: "base64"}
	}
	return nil
}

// described keeps every keyword of a Describer, those of the library's struct
// in its fields, so that tags can replace or add to them.
func described(raw json.RawMessage) *jsonschema.Schema {
	s := &jsonschema.Schema{}
	var keywords map[string]any
	if json.Unmarshal(raw, &keywords) != nil {
		return s // visit has refused it
	}
	for keyword, into := range map[string]*string{
		"type": &s.Type, "title": &s.Title, "description": &s.Description, "format": &s.Format,
		"contentMediaType": &s.ContentMediaType, "contentEncoding": &s.ContentEncoding,
	} {
		if value, ok := keywords[keyword].(string); ok {
			*into = value
			delete(keywords, keyword)
		}
	}
	s.Extras = keywords
	return s
}
