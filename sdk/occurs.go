package sdk

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"geomill/sdk/ogc"
)

// occurs is what an ogc tag says: that a slice is not one value, an array, but as
// many values of an input or output as it has elements.
type occurs struct {
	least *int        // nil: 1
	most  *ogc.Occurs // nil: there is no tag
}

// readOccurs reads the ogc tag of a field, as maxOccurs=3 or
// minOccurs=2,maxOccurs=unbounded, and makes its schema that of one element.
func (f *field) readOccurs() error {
	tag, ok := f.Field.Tag.Lookup("ogc")
	if !ok {
		return nil
	}
	if t := f.Field.Type; t.Kind() != reflect.Slice || f.kind == bytesField {
		return fmt.Errorf("tag ogc:%q is for slices, not for a %s", tag, t)
	}
	for part := range strings.SplitSeq(tag, ",") {
		keyword, value, _ := strings.Cut(part, "=")
		n, err := strconv.Atoi(value)
		switch {
		case keyword == "maxOccurs" && value == "unbounded":
			n = int(ogc.Unbounded)
		case err != nil || n < 0:
			return fmt.Errorf("tag ogc:%q: %q is neither minOccurs=N nor maxOccurs=N nor maxOccurs=unbounded", tag, part)
		}
		switch keyword {
		case "minOccurs":
			f.occurs.least = &n
		case "maxOccurs":
			most := ogc.Occurs(n)
			f.occurs.most = &most
		default:
			return fmt.Errorf("tag ogc:%q: %q is neither minOccurs=N nor maxOccurs=N nor maxOccurs=unbounded", tag, part)
		}
	}
	return f.ofElement(tag)
}

// ofElement checks the tag and takes the schema of the elements.
func (f *field) ofElement(tag string) error {
	most := f.occurs.most
	if most == nil || *most == 0 || *most == 1 || f.occurs.least != nil && !most.Allows(*f.occurs.least) {
		return fmt.Errorf("tag ogc:%q: maxOccurs is at least 2, and no less than minOccurs", tag)
	}
	if f.occurs.least == nil && f.Optional {
		f.occurs.least = new(int)
	}
	var array map[string]json.RawMessage
	if err := json.Unmarshal(f.Schema, &array); err != nil {
		return err
	}
	f.Schema = array["items"]
	delete(array, "type")
	delete(array, "items")
	for keyword := range array {
		return fmt.Errorf("%s is of an array, not of occurrences: use minOccurs and maxOccurs", keyword)
	}
	if f.Schema == nil {
		return errors.New("its elements have no schema")
	}
	return nil
}
