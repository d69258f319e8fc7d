package derive

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// form is what a type becomes in JSON.
type form int

const (
	asKind form = iota // what its kind says
	asAny              // whatever its own method writes
	asNumber
	asText
	asBase64
)

var (
	jsonMarshaler = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
	timeType      = reflect.TypeFor[time.Time]()
)

// formOf tells the JSON form of a type.
func formOf(t reflect.Type) form {
	switch t {
	case reflect.TypeFor[json.RawMessage]():
		return asAny
	case reflect.TypeFor[json.Number]():
		return asNumber
	case timeType:
		return asKind // the deriving library knows it
	}
	switch {
	case marshals(t, jsonMarshaler):
		return asAny
	case marshals(t, textMarshaler):
		return asText
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 &&
		!marshals(t.Elem(), jsonMarshaler) && !marshals(t.Elem(), textMarshaler):
		return asBase64
	}
	return asKind
}

func marshals(t, how reflect.Type) bool { return reflect.PointerTo(t).Implements(how) }

// check refuses types that have no schema, and tags without effect.
func check(t reflect.Type) error { return visit(t, nil) }

// visit checks t, which is inside the structs above.
func visit(t reflect.Type, above []reflect.Type) error {
	if d, ok := reflect.New(t).Interface().(Describer); ok {
		var keywords map[string]json.RawMessage
		if err := json.Unmarshal(d.JSONSchema(), &keywords); err != nil {
			return fmt.Errorf("%s: its schema is not a JSON object: %w", t, err)
		}
		return nil
	}
	if formOf(t) != asKind || t == timeType {
		return nil
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return visit(t.Elem(), above)
	case reflect.Map:
		if k := t.Key().Kind(); k != reflect.String && (k < reflect.Uint || k > reflect.Uint64) {
			return fmt.Errorf("%s: keys must be strings", t)
		}
		return visit(t.Elem(), above)
	case reflect.Struct:
		return visitStruct(t, above)
	case reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer, reflect.Uintptr:
		return fmt.Errorf("%s has no form in JSON", t)
	}
	return nil
}

func visitStruct(t reflect.Type, above []reflect.Type) error {
	if t == reflect.TypeFor[url.URL]() {
		return fmt.Errorf("%s has no form in JSON; use a string", t)
	}
	if slices.Contains(above, t) {
		return fmt.Errorf("%s contains itself", t)
	}
	above = append(slices.Clip(above), t)
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Tag.Get("json") == "-" || !f.IsExported() && !f.Anonymous {
			continue
		}
		if f.Anonymous && !f.IsExported() && f.Type.Kind() == reflect.Pointer {
			return fmt.Errorf("%s.%s: an embedded pointer needs an exported type", t, f.Name)
		}
		if err := visit(f.Type, above); err != nil {
			return fmt.Errorf("%s.%s: %w", t, f.Name, err)
		}
		if err := checkTag(f, len(above) == 1); err != nil {
			return fmt.Errorf("%s.%s: %w", t, f.Name, err)
		}
	}
	names := map[string]bool{}
	for _, m := range members(t) {
		if names[m.name] {
			return fmt.Errorf("%s has two members named %q", t, m.name)
		}
		names[m.name] = true
	}
	return nil
}

// Keywords of a jsonschema tag, by the JSON type that they have an effect on.
const (
	forAll     = " title description "
	forString  = forAll + "minLength maxLength pattern format default example enum readOnly writeOnly "
	forNumber  = forAll + "multipleOf minimum maximum exclusiveMinimum exclusiveMaximum default example enum "
	forBoolean = forAll + "default "
	forArray   = forAll + "minItems maxItems uniqueItems "
	forMedia   = "contentMediaType "
)

// checkTag refuses keywords that would be passed over in silence. Top-level
// fields also take a media type.
func checkTag(f reflect.StructField, top bool) error {
	if _, options, _ := strings.Cut(f.Tag.Get("json"), ","); top && slices.Contains(strings.Split(options, ","), "string") {
		return fmt.Errorf("json tag option %q is not supported here", "string")
	}
	tag := f.Tag.Get("jsonschema")
	if tag == "" {
		return nil
	}
	known, numeric := keywords(f.Type)
	if top && strings.HasPrefix(known, forString) {
		known += forMedia
	}
	for _, part := range splitTag(tag) {
		keyword, value, ok := strings.Cut(part, "=")
		if part == "required" {
			continue
		}
		if !ok || !strings.Contains(known, " "+keyword+" ") {
			return fmt.Errorf("jsonschema tag %q has no effect on a %s", part, f.Type)
		}
		if n := json.Number(value); numeric && !strings.Contains(forAll, " "+keyword+" ") && keyword != "uniqueItems" {
			if _, err := n.Float64(); err != nil {
				return fmt.Errorf("jsonschema tag %q: not a number", part)
			}
		}
		if err := checkValue(keyword, value, known); err != nil {
			return fmt.Errorf("jsonschema tag %q: %w", part, err)
		}
	}
	return nil
}

// checkValue refuses values that would be passed over in silence, of keywords that
// are known for a field.
func checkValue(keyword, value, known string) error {
	switch keyword {
	case "minLength", "maxLength", "minItems", "maxItems":
		if _, err := strconv.ParseUint(value, 10, 31); err != nil {
			return errors.New("not a whole number of 0 or more")
		}
	case "default":
		if known == forBoolean && value != "true" && value != "false" {
			return errors.New("neither true nor false")
		}
	}
	return nil
}

// keywords lists what a tag on a field of type t may hold, and whether the
// values are numbers.
func keywords(t reflect.Type) (known string, numeric bool) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	s := special(t)
	kind := t.Kind()
	switch {
	case s != nil && s.Type == "string", s == nil && kind == reflect.String, t == timeType:
		return forString, false
	case s != nil && s.Type == "number", s == nil && kind >= reflect.Int && kind <= reflect.Float64 && kind != reflect.Uintptr:
		return forNumber, true
	case s != nil:
		return forAll, false
	case kind == reflect.Bool:
		return forBoolean, false
	case kind == reflect.Slice || kind == reflect.Array:
		items, numeric := keywords(t.Elem())
		return forArray + items, numeric
	}
	return forAll, false
}

// splitTag splits at commas that are not escaped by a backslash.
func splitTag(tag string) []string {
	var parts []string
	var b strings.Builder
	for i := 0; i < len(tag); i++ {
		switch {
		case tag[i] == '\\' && i+1 < len(tag) && tag[i+1] == ',':
			b.WriteByte(',')
			i++
		case tag[i] == ',':
			parts = append(parts, b.String())
			b.Reset()
		default:
			b.WriteByte(tag[i])
		}
	}
	return append(parts, b.String())
}
