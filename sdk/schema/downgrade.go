package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"geomill/sdk/schema/decode"
)

// maxInlined limits how many schemas the inlining of references makes of one.
const maxInlined = 5000

// Processes10 returns a schema in the dialect of process descriptions of OGC API
// - Processes version 1.0: the closed set of keywords that its metaschema, made
// for OpenAPI 3.0, knows. References are inlined. The result accepts whatever
// raw accepts, and more where the dialect cannot say it: it is for readers, not
// for validation.
func Processes10(raw json.RawMessage) (json.RawMessage, error) {
	return (&downgrade{left: maxInlined}).text(raw)
}

// OpenAPI30 is Processes10 for an OpenAPI 3.0 document, which has no keywords
// for the content of strings; there base64 is the format byte.
func OpenAPI30(raw json.RawMessage) (json.RawMessage, error) {
	return (&downgrade{left: maxInlined, openAPI: true}).text(raw)
}

// downgrade writes one schema in the older dialect.
type downgrade struct {
	openAPI bool
	path    []uintptr // the schemas that are being inlined, by identity
	left    int       // how many schemas may still be made
}

func (d *downgrade) text(raw json.RawMessage) (json.RawMessage, error) {
	doc, err := decode.JSON(raw)
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	if m, ok := doc.(node); ok {
		d.path = []uintptr{identity(m)}
	}
	out, _ := d.convert(doc, doc)
	return json.Marshal(out)
}

// node is a schema in the older dialect.
type node = map[string]any

// cut stands for what is not written out.
func cut(why string) node { return node{"description": why} }

// convert returns a schema that accepts what s accepts. exact means that it
// accepts nothing else: only then may it stand below not, and in oneOf.
// root is what references of s start from.
func (d *downgrade) convert(s, root any) (out node, exact bool) {
	if d.left--; d.left < 0 {
		return cut("The rest of this schema is too large to be written out."), false
	}
	m, ok := s.(node)
	if !ok {
		return ofBoolean(s)
	}
	if _, ok := m["$id"].(string); ok {
		root = s
	}
	c := conversion{downgrade: d, in: m, root: root, out: node{}, exact: true}
	c.annotations()
	c.bounds()
	c.values()
	c.types()
	c.array()
	c.members()
	c.branches()
	c.reference()
	c.rest()
	return c.out, c.exact
}

// ofBoolean writes a schema that is true or false.
func ofBoolean(s any) (node, bool) {
	switch s {
	case true:
		return node{}, true
	case false:
		return node{"not": node{}}, true
	}
	return node{}, false
}

// conversion is the conversion of one schema object.
type conversion struct {
	*downgrade
	in    node
	root  any
	out   node
	exact bool
}

// convert converts a part of the schema. Its exactness becomes that of the whole.
func (c *conversion) convert(s any) node {
	out, exact := c.downgrade.convert(s, c.root)
	c.exact = c.exact && exact
	return out
}

// inexact are the constraints that the dialect has no words for.
var inexact = []string{"if", "dependentSchemas", "dependentRequired", "dependencies", "propertyNames", "contains",
	"unevaluatedItems", "unevaluatedProperties", "$dynamicRef", "$recursiveRef"}

func (c *conversion) rest() {
	for _, keyword := range inexact {
		if _, ok := c.in[keyword]; ok {
			c.exact = false
		}
	}
}

// and adds constraints: into the schema itself where that means the same, else
// as a member of allOf.
func (c *conversion) and(more node) {
	if !mergeable(c.out, more) {
		all, _ := c.out["allOf"].([]any)
		c.out["allOf"] = append(all, more)
		return
	}
	maps.Copy(c.out, more)
}

// mergeable reports whether the keywords of two schemas mean the same in one.
func mergeable(a, b node) bool {
	for keyword := range b {
		if _, both := a[keyword]; both {
			return false
		}
	}
	return !(meddles(a, b) || meddles(b, a))
}

// meddles reports whether keywords of a would change the meaning of b's.
func meddles(a, b node) bool {
	for keyword, affected := range map[string]string{"additionalProperties": "properties", "nullable": "type"} {
		_, has := a[keyword]
		_, hit := b[affected]
		if has && hit {
			return true
		}
	}
	return false
}

// reference inlines the schema that $ref leads to. The annotations beside it
// stand for those of the schema.
func (c *conversion) reference() {
	ref, ok := c.in["$ref"].(string)
	if !ok {
		return
	}
	target, root, ok := resolve(ref, c.root)
	if !ok {
		c.exact = false
		return
	}
	var id uintptr
	if m, ok := target.(node); ok {
		id = identity(m)
		if slices.Contains(c.path, id) {
			c.exact = false
			c.and(recursion(c.out))
			return
		}
	}
	c.path = append(c.path, id)
	inlined, exact := c.downgrade.convert(target, root)
	c.path = c.path[:len(c.path)-1]
	c.exact = c.exact && exact
	for _, keyword := range []string{"title", "description", "default", "example", "readOnly", "writeOnly", "deprecated"} {
		if _, ok := c.out[keyword]; ok {
			delete(inlined, keyword)
		}
	}
	c.and(inlined)
}

// identity tells two schemas apart that may look the same.
func identity(m node) uintptr { return reflect.ValueOf(m).Pointer() }

// recursion marks the place where a schema would contain itself.
func recursion(beside node) node {
	if _, ok := beside["description"]; ok {
		return node{}
	}
	return cut("As the schema that contains this one.")
}
