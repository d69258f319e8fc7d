package sdk

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"reflect"
	"strings"

	"geomill/sdk/ogc"
	"geomill/sdk/schema/decode"
	"geomill/sdk/wire"
)

// decodeInputs fills the struct into with the values, and reports every one
// that does not fit its Go type.
func decodeInputs(job *Job, fields []field, values wire.Values, into reflect.Value) error {
	var faults []ogc.Fault
	for i := range fields {
		f := &fields[i]
		v, ok := values.Lookup(f.Name)
		if !ok {
			if !f.Optional {
				faults = append(faults, ogc.Fault{Input: f.Name, Message: "is required"})
			}
			continue
		}
		err := decodeInput(job, f, Value{v}, f.in(into, true))
		if err == nil {
			continue
		}
		if fault, ok := misfit(err); ok {
			faults = append(faults, ogc.Fault{Input: f.Name, Message: fault})
		} else {
			return fmt.Errorf("input %s: %w", f.Name, err)
		}
	}
	if len(faults) > 0 {
		return invalidInputs(faults)
	}
	return nil
}

func decodeInput(job *Job, f *field, v Value, into reflect.Value) error {
	if f.kind == fileField {
		file, err := materialize(job, f.Name, v, *f)
		if err != nil {
			return err
		}
		if into.Kind() == reflect.Pointer {
			into.Set(reflect.ValueOf(&file))
		} else {
			into.Set(reflect.ValueOf(file))
		}
		return nil
	}
	err := v.Decode(into.Addr().Interface())
	if err == nil {
		return nil
	}
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) || !strings.HasPrefix(wrong.Value, "number") {
		return err
	}
	// 2.0 and 1e3 are integers in JSON Schema, but not in encoding/json.
	text, readErr := v.JSON()
	if readErr != nil {
		return readErr
	}
	plain, rewriteErr := plainIntegers(text)
	if rewriteErr != nil {
		return err
	}
	into.SetZero()
	return json.Unmarshal(plain, into.Addr().Interface())
}

// plainIntegers writes integral numbers without fraction and exponent.
func plainIntegers(text []byte) ([]byte, error) {
	v, err := decode.JSON(text)
	if err != nil {
		return nil, err
	}
	return json.Marshal(withPlainIntegers(v))
}

func withPlainIntegers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, member := range v {
			v[k] = withPlainIntegers(member)
		}
	case []any:
		for i, item := range v {
			v[i] = withPlainIntegers(item)
		}
	case json.Number:
		if r, ok := new(big.Rat).SetString(v.String()); ok && r.IsInt() {
			return json.Number(r.Num().String())
		}
	}
	return v
}

// misfit tells whether a value could not be decoded because of what it is, as
// opposed to a file that could not be read or written.
func misfit(err error) (message string, ok bool) {
	var wrong *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	var content corrupt
	var disk *fs.PathError
	switch {
	case err == nil || errors.As(err, &disk):
		return "", false
	case errors.As(err, &content):
		return string(content), true
	case errors.As(err, &syntax) || errors.Is(err, io.ErrUnexpectedEOF):
		return "is not valid JSON", true
	case errors.As(err, &wrong):
		place := ""
		if wrong.Field != "" {
			place = " at " + wrong.Field
		}
		return fmt.Sprintf("does not fit%s: %s is no %s", place, wrong.Value, wrong.Type), true
	}
	return "cannot be read: " + err.Error(), true
}
