package api

import (
	"encoding/json"
	"strings"
)

// kinds is a set of JSON types.
type kinds uint8

const (
	kindString kinds = 1 << iota
	kindNumber       // integers too
	kindBoolean
	kindNull
	kindObject
	kindArray

	anyKind = kindString | kindNumber | kindBoolean | kindNull | kindObject | kindArray
)

var kindNames = []struct {
	kind       kinds
	name, text string
}{
	{kindString, "string", "a string"},
	{kindNumber, "number", "a number"},
	{kindNumber, "integer", "a number"},
	{kindBoolean, "boolean", "true or false"},
	{kindNull, "null", "null"},
	{kindObject, "object", "a JSON object"},
	{kindArray, "array", "a JSON array"},
}

// String says what a value must be.
func (k kinds) String() string {
	var texts []string
	for _, n := range kindNames {
		if k&n.kind != 0 && n.name != "integer" {
			texts = append(texts, n.text)
		}
	}
	return strings.Join(texts, " or ")
}

// kindOf tells by its beginning what JSON a text would be. Text in quotes counts
// for a string, as does all that is no JSON.
func kindOf(text string) kinds {
	switch {
	case text == "true", text == "false":
		return kindBoolean
	case text == "null":
		return kindNull
	case strings.HasPrefix(text, "{"):
		return kindObject
	case strings.HasPrefix(text, "["):
		return kindArray
	case text != "" && (text[0] == '-' || '0' <= text[0] && text[0] <= '9'):
		return kindNumber
	}
	return kindString
}

// kvpSchema is what the schema of an input tells about how its values are written
// in a query. Whether they are valid is for the service to find.
type kvpSchema struct {
	kinds  kinds
	bbox   bool // a bounding box
	binary bool // base64
	item   json.RawMessage
}

// items is the schema of the elements of an array.
func (s *kvpSchema) items() *kvpSchema { return kvpSchemaOf(s.item) }

func kvpSchemaOf(schema json.RawMessage) *kvpSchema {
	s, _ := readSchema(schema, 0)
	return s
}

// maxSchemaDepth bounds how deep alternatives within alternatives are looked at.
const maxSchemaDepth = 16

// readSchema reads the words of a JSON Schema that matter here. ok is false when it
// says nothing.
func readSchema(schema json.RawMessage, depth int) (s *kvpSchema, ok bool) {
	s = &kvpSchema{kinds: anyKind}
	var words struct {
		Ref             string                     `json:"$ref"`
		Type            json.RawMessage            `json:"type"`
		Format          string                     `json:"format"`
		ContentEncoding string                     `json:"contentEncoding"`
		Enum            []json.RawMessage          `json:"enum"`
		Const           json.RawMessage            `json:"const"`
		Properties      map[string]json.RawMessage `json:"properties"`
		Items           json.RawMessage            `json:"items"`
		OneOf           []json.RawMessage          `json:"oneOf"`
		AnyOf           []json.RawMessage          `json:"anyOf"`
		AllOf           []json.RawMessage          `json:"allOf"`
	}
	if depth > maxSchemaDepth || json.Unmarshal(schema, &words) != nil {
		return s, false
	}
	s.kinds = kindsOfType(words.Type)
	if words.Const != nil {
		words.Enum = append(words.Enum, words.Const)
	}
	if len(words.Enum) > 0 {
		s.kinds &= kindsOfValues(words.Enum)
	}
	_, s.bbox = words.Properties["bbox"]
	s.bbox = s.bbox || strings.HasSuffix(words.Format, "ogc-bbox") || strings.HasSuffix(words.Ref, "bbox.yaml")
	s.binary = words.ContentEncoding == "base64" || words.ContentEncoding == "binary" || words.Format == "byte"
	s.item = words.Items
	for _, all := range words.AllOf {
		if part, ok := readSchema(all, depth+1); ok {
			s.kinds &= part.kinds
			s.bbox = s.bbox || part.bbox
			s.binary = s.binary || part.binary
		}
	}
	for _, alternatives := range [][]json.RawMessage{words.OneOf, words.AnyOf} {
		var union kinds
		for _, one := range alternatives {
			part, _ := readSchema(one, depth+1)
			union |= part.kinds
		}
		if len(alternatives) > 0 {
			s.kinds &= union
		}
	}
	if s.kinds == 0 {
		s.kinds = anyKind // nothing is valid; the service says so
	}
	return s, true
}

// kindsOfType reads the word type: a name or several.
func kindsOfType(text json.RawMessage) (k kinds) {
	var names []string
	var name string
	if json.Unmarshal(text, &name) == nil {
		names = []string{name}
	} else if json.Unmarshal(text, &names) != nil {
		return anyKind
	}
	for _, name := range names {
		for _, n := range kindNames {
			if n.name == name {
				k |= n.kind
			}
		}
	}
	return k
}

func kindsOfValues(values []json.RawMessage) (k kinds) {
	for _, v := range values {
		if len(v) > 0 && v[0] == '"' {
			k |= kindString
		} else {
			k |= kindOf(string(v))
		}
	}
	return k
}
