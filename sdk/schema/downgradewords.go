package schema

import (
	"encoding/json"
	"math/big"
	"slices"
	"strconv"
)

// annotations are the keywords that constrain nothing, and format, which
// readers check or not as they like.
func (c *conversion) annotations() {
	for _, keyword := range []string{"title", "description", "default", "example", "readOnly", "writeOnly", "deprecated"} {
		if v, ok := c.in[keyword]; ok {
			c.out[keyword] = v
		}
	}
	if c.out["readOnly"] == true && c.out["writeOnly"] == true {
		delete(c.out, "readOnly") // OpenAPI 3.0 refuses both
		delete(c.out, "writeOnly")
	}
	if examples, ok := c.in["examples"].([]any); ok && len(examples) > 0 {
		if _, ok := c.in["example"]; !ok {
			c.out["example"] = examples[0]
		}
	}
	if format, ok := c.in["format"].(string); ok {
		c.out["format"] = format
		c.exact = false
	}
	c.content()
}

// content are the keywords for what strings contain. A contentSchema is the URI
// of a schema there, and cannot be a schema.
func (c *conversion) content() {
	if !c.openAPI {
		for _, keyword := range []string{"contentMediaType", "contentEncoding", "contentSchema"} {
			if v, ok := c.in[keyword].(string); ok {
				c.out[keyword] = v
			}
		}
		return
	}
	_, hasFormat := c.out["format"]
	if e := c.in["contentEncoding"]; !hasFormat && (e == "base64" || e == "binary") {
		c.out["format"] = "byte"
	}
}

// bounds are the keywords whose values are numbers, and those that are the same
// in both dialects.
func (c *conversion) bounds() {
	for _, keyword := range []string{"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"} {
		if n, ok := c.in[keyword].(json.Number); ok {
			c.whole(keyword, n)
		}
	}
	for _, keyword := range []string{"pattern", "uniqueItems"} {
		if v, ok := c.in[keyword]; ok {
			c.out[keyword] = v
		}
	}
	if n, ok := c.in["multipleOf"].(json.Number); ok {
		c.number("multipleOf", n)
	}
	c.bound("minimum", "exclusiveMinimum", func(inclusive, exclusive *big.Rat) bool { return inclusive.Cmp(exclusive) > 0 })
	c.bound("maximum", "exclusiveMaximum", func(inclusive, exclusive *big.Rat) bool { return inclusive.Cmp(exclusive) < 0 })
}

// whole writes a count without fraction and exponent, as decoders of OpenAPI
// want it.
func (c *conversion) whole(keyword string, n json.Number) {
	r, ok := new(big.Rat).SetString(n.String())
	if !ok || !r.IsInt() || !r.Num().IsInt64() {
		c.exact = false
		return
	}
	c.out[keyword] = json.Number(r.Num().String())
}

// number writes a number that fits into a double.
func (c *conversion) number(keyword string, n json.Number) {
	f, err := strconv.ParseFloat(n.String(), 64)
	if err != nil || keyword == "multipleOf" && f <= 0 {
		c.exact = false
		return
	}
	c.out[keyword] = n
}

// bound writes an inclusive and an exclusive bound as one number and a boolean;
// the stricter one counts.
func (c *conversion) bound(inclusive, exclusive string, stricter func(inclusive, exclusive *big.Rat) bool) {
	in, hasIn := c.in[inclusive].(json.Number)
	ex, hasEx := c.in[exclusive].(json.Number)
	if hasIn && hasEx {
		a, okA := new(big.Rat).SetString(in.String())
		b, okB := new(big.Rat).SetString(ex.String())
		hasEx = okA && okB && !stricter(a, b)
	}
	switch {
	case hasEx:
		if c.number(inclusive, ex); c.out[inclusive] != nil {
			c.out[exclusive] = true
		}
	case hasIn:
		c.number(inclusive, in)
	}
}

// values are the keywords that list values.
func (c *conversion) values() {
	if enum, ok := c.in["enum"].([]any); ok {
		c.and(ofValues(enum))
	}
	if v, ok := c.in["const"]; ok {
		c.and(ofValues([]any{v}))
	}
}

// ofValues writes an enum. An empty one admits nothing, which the dialect does
// not allow to say so.
func ofValues(enum []any) node {
	if len(enum) == 0 {
		return node{"not": node{}}
	}
	return node{"enum": enum}
}

// types writes the keyword type, which names one type there; null is the keyword
// nullable beside it.
func (c *conversion) types() {
	var names []string
	switch t := c.in["type"].(type) {
	case string:
		names = []string{t}
	case []any:
		for _, name := range t {
			if name, ok := name.(string); ok {
				names = append(names, name)
			}
		}
	default:
		return
	}
	null := slices.Contains(names, "null")
	names = slices.DeleteFunc(names, func(n string) bool {
		return n == "null" || n == "integer" && slices.Contains(names, "number")
	})
	switch len(names) {
	case 0:
		c.and(ofNull())
	case 1:
		c.out["type"] = names[0]
		if null {
			c.out["nullable"] = true
		}
	default:
		c.and(node{"anyOf": ofTypes(names, null)})
	}
}

// ofNull admits null and nothing else. Its type, which no value can have, is there
// as nullable means nothing without one.
func ofNull() node { return node{"type": "string", "enum": []any{nil}, "nullable": true} }

func ofTypes(names []string, null bool) []any {
	all := make([]any, len(names))
	for i, name := range names {
		s := node{"type": name}
		if name == "array" {
			s["items"] = node{}
		}
		if null && i == 0 {
			s["nullable"] = true
		}
		all[i] = s
	}
	return all
}
