package sdk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"os"
	"strings"
	"unicode/utf8"

	"geomill/sdk/wire"
)

// Value is an input or an output of a Raw process: a JSON value, bytes, or a
// file that holds either. A Value from the inputs can be returned as an output
// as it is; a large one is then never read.
type Value struct{ wire wire.Value }

// JSONValue returns v as a JSON value.
func JSONValue(v any) (Value, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return Value{}, fmt.Errorf("encode value: %w", err)
	}
	return Value{wire.Value{JSON: text}}, nil
}

// BytesValue returns data of a media type.
func BytesValue(data []byte, mediaType string) Value {
	if data == nil {
		data = []byte{}
	}
	return Value{wire.Value{Data: data, MediaType: mediaType}}
}

// FileValue returns the content of a file. With the media type
// application/json that is the text of a JSON value. A file in the directory
// of the job is handed over, another one is copied.
func FileValue(f File) Value {
	return Value{wire.Value{File: f.Path, MediaType: f.MediaType}}
}

// MediaType is that of the content.
func (v Value) MediaType() string {
	if v.wire.MediaType == "" {
		return mediaJSON
	}
	return v.wire.MediaType
}

// IsJSON reports whether the content is the text of a JSON value.
func (v Value) IsJSON() bool {
	return v.wire.JSON != nil || v.wire.Data == nil && isJSON(v.wire.MediaType)
}

// Path is the path of the file that holds the content, or empty when there is
// none. The file of an input is only read.
func (v Value) Path() string { return v.wire.File }

// Open reads the content: JSON text or bytes. The caller closes it.
func (v Value) Open() (io.ReadCloser, error) {
	switch {
	case v.wire.File != "":
		f, err := os.Open(v.wire.File)
		if err != nil {
			return nil, fmt.Errorf("open value: %w", err)
		}
		return f, nil
	case v.wire.JSON != nil:
		return io.NopCloser(bytes.NewReader(v.wire.JSON)), nil
	}
	return io.NopCloser(bytes.NewReader(v.wire.Data)), nil
}

// Decode reads a JSON value into what into points to, by the rules of
// encoding/json, without holding the text of a file in memory. Content of a media
// type that is JSON, such as application/geo+json, is read so too, and that of
// one that is text is a string. Other bytes can only be decoded into a *[]byte.
func (v Value) Decode(into any) (err error) {
	if data, ok := into.(*[]byte); ok && !v.IsJSON() {
		*data, err = v.bytes()
		return err
	}
	if !v.IsJSON() && !isJSONText(v.MediaType()) {
		return v.decodeText(into)
	}
	if v.wire.File == "" {
		text, err := v.bytes()
		if err != nil {
			return err
		}
		return json.Unmarshal(text, into)
	}
	r, err := v.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	return json.NewDecoder(r).Decode(into)
}

// decodeText reads content that is no JSON as a string.
func (v Value) decodeText(into any) error {
	if !isText(v.MediaType()) {
		return fmt.Errorf("value is %s, not JSON", v.MediaType())
	}
	content, err := v.bytes()
	if err != nil {
		return err
	}
	if !utf8.Valid(content) {
		return corrupt("is not UTF-8 text")
	}
	if text, ok := into.(*string); ok {
		*text = string(content)
		return nil
	}
	quoted, err := json.Marshal(string(content))
	if err != nil {
		return fmt.Errorf("read value: %w", err)
	}
	return json.Unmarshal(quoted, into)
}

// JSON returns the text of a JSON value.
func (v Value) JSON() (json.RawMessage, error) {
	if !v.IsJSON() && !isJSONText(v.MediaType()) {
		return nil, fmt.Errorf("value is %s, not JSON", v.MediaType())
	}
	return v.bytes()
}

// bytes returns the whole content.
func (v Value) bytes() (data []byte, err error) {
	switch {
	case v.wire.File != "":
		data, err = os.ReadFile(v.wire.File)
		if err != nil {
			return nil, fmt.Errorf("read value: %w", err)
		}
		return data, nil
	case v.wire.JSON != nil:
		return v.wire.JSON, nil
	}
	return v.wire.Data, nil
}

const (
	mediaJSON  = "application/json"
	mediaBytes = "application/octet-stream"
)

// isJSON reports whether content of the media type is the value's JSON text.
func isJSON(mediaType string) bool {
	if mediaType == "" || mediaType == mediaJSON {
		return true
	}
	base, _, err := mime.ParseMediaType(mediaType)
	return err == nil && base == mediaJSON
}

// isJSONText reports whether content of a media type is JSON text, be it a type
// of its own (RFC 6839, section 3.1).
func isJSONText(mediaType string) bool {
	base, _, err := mime.ParseMediaType(mediaType)
	return err == nil && (base == mediaJSON || strings.HasSuffix(base, "+json"))
}
