package sdk

import (
	"encoding/json"
	"fmt"
	"reflect"

	"geomill/sdk/wire"
)

// encodeOutputs turns the fields of the struct v into the outputs that are
// wanted. Optional ones are left out while they are empty.
func encodeOutputs(job *Job, fields []field, v reflect.Value) (wire.Values, error) {
	outputs := make(wire.Values, 0, len(fields))
	for i := range fields {
		f := &fields[i]
		if !job.Wants(f.Name) || job.handed.has(f.Name) {
			continue
		}
		value := f.in(v, false)
		if !value.IsValid() || f.omits(value) {
			continue
		}
		out, err := encodeOutput(f, value)
		if err != nil {
			return nil, fmt.Errorf("output %s: %w", f.Name, err)
		}
		outputs = append(outputs, wire.Named{ID: f.Name, Value: out.wire})
	}
	return outputs, nil
}

func (f *field) omits(v reflect.Value) bool {
	if v.Kind() == reflect.Pointer && v.IsNil() {
		return true
	}
	if f.omitZero {
		if z, ok := v.Interface().(interface{ IsZero() bool }); ok {
			return z.IsZero()
		}
		return v.IsZero()
	}
	if !f.omitEmpty {
		return false
	}
	switch v.Kind() {
	case reflect.Slice, reflect.Map, reflect.Array, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return f.kind == fileField && v.IsZero()
	}
	return v.IsZero()
}

func encodeOutput(f *field, v reflect.Value) (Value, error) {
	switch f.kind {
	case bytesField:
		return BytesValue(v.Bytes(), f.mediaType), nil
	case fileField:
		file := reflect.Indirect(v).Interface().(File)
		if file.MediaType == "" {
			file.MediaType = f.mediaType
		}
		if file.Path == "" {
			return Value{}, fmt.Errorf("file has no path")
		}
		return FileValue(file), nil
	}
	var text []byte
	var err error
	switch {
	case v.Kind() == reflect.Slice && v.IsNil() && (f.occurs.most != nil || string(f.Schema) != "{}" && !isMarshaler(v)):
		text = []byte("[]")
	case v.Kind() == reflect.Map && v.IsNil():
		text = []byte("{}")
	default:
		text, err = json.Marshal(v.Interface())
	}
	return Value{wire.Value{JSON: text}}, err
}

func isMarshaler(v reflect.Value) bool {
	_, ok := v.Interface().(json.Marshaler)
	return ok
}
