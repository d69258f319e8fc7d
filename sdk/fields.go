package sdk

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"geomill/sdk/ogc"
	"geomill/sdk/schema/derive"
)

// field is one input or output of a typed process.
type field struct {
	derive.Property
	kind      fieldKind
	mediaType string   // contentMediaType of a file or of bytes
	formats   []string // several contentMediaTypes of a file; the first is mediaType
	omitEmpty bool
	omitZero  bool
	occurs    occurs
}

type fieldKind int

const (
	plainField fieldKind = iota
	bytesField           // []byte
	fileField            // File or *File
	refField             // Ref or *Ref, or occurrences of them
)

func fieldsOf(t reflect.Type) ([]field, error) {
	properties, err := derive.Properties(t)
	if err != nil {
		return nil, err
	}
	fields := make([]field, len(properties))
	for i, p := range properties {
		f := field{Property: p, mediaType: mediaBytes}
		_, options, _ := strings.Cut(p.Field.Tag.Get("json"), ",")
		for option := range strings.SplitSeq(options, ",") {
			f.omitEmpty = f.omitEmpty || option == "omitempty"
			f.omitZero = f.omitZero || option == "omitzero"
		}
		switch t := p.Field.Type; t {
		case reflect.TypeFor[[]byte]():
			f.kind = bytesField
		case reflect.TypeFor[File](), reflect.TypeFor[*File]():
			f.kind = fileField
		case reflect.TypeFor[Ref](), reflect.TypeFor[*Ref](), reflect.TypeFor[[]Ref]():
			f.kind = refField
		}
		if err := errors.Join(f.setMedia(), f.readOccurs(), f.noFileWithin()); err != nil {
			return nil, fmt.Errorf("%s: %w", p.Name, err)
		}
		fields[i] = f
	}
	return fields, nil
}

// setMedia reads the media type from the schema; a file of text is not base64.
func (f *field) setMedia() error {
	if f.kind != bytesField && f.kind != fileField {
		return nil
	}
	if several := mediaTypes(f.Field.Tag.Get("jsonschema")); len(several) > 1 {
		return f.setFormats(several)
	}
	var keywords map[string]any
	if err := json.Unmarshal(f.Schema, &keywords); err != nil {
		return err
	}
	if media, ok := keywords["contentMediaType"].(string); ok {
		f.mediaType = media
	}
	if f.kind != fileField || !isText(f.mediaType) {
		return nil
	}
	delete(keywords, "contentEncoding")
	text, err := json.Marshal(keywords)
	f.Schema = text
	return err
}

func inputDescriptions(fields []field) map[string]ogc.Input {
	inputs := make(map[string]ogc.Input, len(fields))
	for _, f := range fields {
		in := ogc.Input{Title: f.Title, Description: f.Description, Schema: f.Schema}
		if f.Optional {
			in.MinOccurs = new(int)
		}
		if f.occurs.most != nil {
			in.MinOccurs, in.MaxOccurs = f.occurs.least, f.occurs.most
		}
		if f.kind == refField {
			in.ValuePassing = []string{"byValue"}
		}
		inputs[f.Name] = in
	}
	return inputs
}

func outputDescriptions(fields []field) map[string]ogc.Output {
	outputs := make(map[string]ogc.Output, len(fields))
	for _, f := range fields {
		outputs[f.Name] = ogc.Output{
			Title: f.Title, Description: f.Description, Schema: f.Schema, MinOccurs: f.occurs.least, MaxOccurs: f.occurs.most,
		}
	}
	return outputs
}

// noFileWithin refuses files that are not inputs or outputs themselves.
func (f *field) noFileWithin() error {
	t := f.Field.Type
	for t.Kind() == reflect.Slice || t.Kind() == reflect.Pointer || t.Kind() == reflect.Map || t.Kind() == reflect.Array {
		t = t.Elem()
	}
	if t == reflect.TypeFor[File]() && f.kind != fileField {
		return fmt.Errorf("a File is an input or output itself, not within a %s", f.Field.Type)
	}
	return nil
}

// in returns the field within the struct v. Embedded pointers on the way are
// filled in if make is set; otherwise a nil one leaves the result invalid.
func (f *field) in(v reflect.Value, make bool) reflect.Value {
	for _, i := range f.Field.Index {
		if v.Kind() == reflect.Pointer {
			if v.IsNil() && !make {
				return reflect.Value{}
			}
			if v.IsNil() {
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
		v = v.Field(i)
	}
	return v
}
