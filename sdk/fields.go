package sdk

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"geomill/sdk/ogc"
	"geomill/sdk/schema"
)

// field is one input or output of a typed process.
type field struct {
	schema.Property
	kind      fieldKind
	mediaType string // contentMediaType of a file or of bytes
	omitEmpty bool
	omitZero  bool
}

type fieldKind int

const (
	plainField fieldKind = iota
	bytesField           // []byte
	fileField            // File or *File
)

func fieldsOf(t reflect.Type) ([]field, error) {
	properties, err := schema.Derive(t)
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
		}
		if f.kind != plainField {
			if err := f.setMedia(); err != nil {
				return nil, fmt.Errorf("%s: %w", p.Name, err)
			}
		}
		fields[i] = f
	}
	return fields, nil
}

// setMedia reads the media type from the schema; a file of text is not base64.
func (f *field) setMedia() error {
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
		inputs[f.Name] = in
	}
	return inputs
}

func outputDescriptions(fields []field) map[string]ogc.Output {
	outputs := make(map[string]ogc.Output, len(fields))
	for _, f := range fields {
		outputs[f.Name] = ogc.Output{Title: f.Title, Description: f.Description, Schema: f.Schema}
	}
	return outputs
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
