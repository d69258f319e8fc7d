package job

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"geomill/sdk/schema"
)

// The coordinate reference systems of bounding boxes that name none, of two and
// of three dimensions (spec 3, "bbox value").
const (
	crs84  = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
	crs84h = "http://www.opengis.net/def/crs/OGC/0/CRS84h"
)

// isBox reports whether a schema is that of a bounding box: it has the format
// ogc-bbox or refers to bbox.yaml, by itself or in allOf, or it is that of an
// object which must have a bbox and may have a crs and nothing else.
func isBox(text json.RawMessage) bool {
	var s struct {
		Format     string                     `json:"format"`
		Ref        string                     `json:"$ref"`
		AllOf      []json.RawMessage          `json:"allOf"`
		Required   []string                   `json:"required"`
		Properties map[string]json.RawMessage `json:"properties"`
	}
	if json.Unmarshal(text, &s) != nil {
		return false
	}
	if s.Format == "ogc-bbox" || strings.HasSuffix(s.Format, "/ogc-bbox") || strings.HasSuffix(s.Ref, "/bbox.yaml") {
		return true
	}
	if slices.ContainsFunc(s.AllOf, isBox) {
		return true
	}
	for name := range s.Properties {
		if name != "bbox" && name != "crs" {
			return false
		}
	}
	return s.Properties["bbox"] != nil && slices.Contains(s.Required, "bbox")
}

// fit validates a value. For a bounding box it also brings it into the shape of
// the schema: an array of numbers or an object, with the crs that holds when none
// is named.
func (c inputCheck) fit(text []byte) ([]byte, []schema.Fault) {
	faults := c.validate(text)
	if !c.box || len(text) > maxBox {
		return text, faults
	}
	if len(faults) > 0 {
		other := otherBox(text)
		if other == nil || len(c.validate(other)) > 0 {
			return text, faults
		}
		text = other
	}
	if f, wrong := wrongBox(text); wrong {
		return text, []schema.Fault{f}
	}
	if with := withCRS(text); with != nil && len(c.validate(with)) == 0 {
		text = with
	}
	return text, nil
}

// maxBox is the longest text, in bytes, that is looked at as a bounding box.
const maxBox = 4 << 10

// otherBox turns an array into an object with it, and an object whose crs is the
// one that goes without saying into its array. It returns nil for anything else.
func otherBox(text []byte) []byte {
	if text[0] == '[' {
		return slices.Concat([]byte(`{"bbox":`), text, []byte("}"))
	}
	box, crs, ok := boxOf(text)
	if !ok || crs != "" && crs != crs84 && crs != crs84h {
		return nil
	}
	return box
}

// boxOf takes a bounding box apart. The crs is empty when there is none.
func boxOf(text []byte) (box []byte, crs string, ok bool) {
	var b struct {
		BBox json.RawMessage `json:"bbox"`
		CRS  *string         `json:"crs"`
	}
	if text[0] != '{' || json.Unmarshal(text, &b) != nil || len(b.BBox) == 0 {
		return nil, "", false
	}
	if b.CRS != nil {
		crs = *b.CRS
	}
	return b.BBox, crs, true
}

// wrongBox finds the one fault that schemas do not: five numbers.
func wrongBox(text []byte) (f schema.Fault, wrong bool) {
	box, at := text, ""
	if inner, _, ok := boxOf(text); ok {
		box, at = inner, "/bbox"
	}
	var numbers []json.Number
	if json.Unmarshal(box, &numbers) != nil || len(numbers) == 4 || len(numbers) == 6 {
		return f, false
	}
	return schema.Fault{Pointer: at, Message: fmt.Sprintf("has %d numbers; a bounding box has 4 or 6", len(numbers))}, true
}

// withCRS adds the crs to a bounding box that names none, or returns nil.
func withCRS(text []byte) []byte {
	var members map[string]json.RawMessage
	box, _, ok := boxOf(text)
	if !ok || json.Unmarshal(text, &members) != nil || members["crs"] != nil {
		return nil
	}
	crs := crs84
	if bytes.Count(box, []byte(",")) == 5 {
		crs = crs84h
	}
	text = bytes.TrimRight(text[:bytes.LastIndexByte(text, '}')], " \t\r\n")
	return slices.Concat(text, []byte(`,"crs":"`+crs+`"}`))
}
