package sdk

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"geomill/sdk/ogc"
	"geomill/sdk/wire"
)

// Several media types for one File are a choice of the client: oneOf them.

// mediaTypes lists those of a jsonschema tag.
func mediaTypes(tag string) []string {
	var found []string
	for part := range strings.SplitSeq(tag, ",") {
		if media, ok := strings.CutPrefix(part, "contentMediaType="); ok {
			found = append(found, media)
		}
	}
	return found
}

// setFormats makes the schema of a file that comes in one of several formats.
func (f *field) setFormats(formats []string) error {
	if f.kind != fileField {
		return fmt.Errorf("several media types are for a File, not for a %s", f.Field.Type)
	}
	var keywords map[string]any
	if err := json.Unmarshal(f.Schema, &keywords); err != nil {
		return err
	}
	for keyword := range keywords {
		if !strings.HasPrefix(keyword, "content") && keyword != "type" {
			return fmt.Errorf("%s has no effect on a File of several media types", keyword)
		}
	}
	f.mediaType, f.formats = formats[0], formats
	branches := make([]map[string]any, len(formats))
	for i, media := range formats {
		branches[i] = map[string]any{"contentMediaType": media}
		switch {
		case isJSONText(media):
			branches[i]["type"] = []string{"object", "array"}
		case isText(media):
			branches[i]["type"] = "string"
		default:
			branches[i]["type"], branches[i]["contentEncoding"] = "string", "base64"
		}
	}
	var err error
	f.Schema, err = json.Marshal(map[string]any{"oneOf": branches})
	return err
}

// formatOf returns the media type of a value that crossed as JSON, which begins
// with the byte first.
func (f *field) formatOf(v Value, first byte) string {
	if media := v.wire.MediaType; media != "" && !isJSON(media) {
		return media
	}
	for _, media := range f.formats {
		if isJSONText(media) != (first == '"') {
			return media
		}
	}
	return f.mediaType
}

// spell writes the content of a JSON value as its file has it: JSON as it is, and
// what is in a string, or in base64 in one.
func (f *field) spell(v Value, content io.Reader) (r io.Reader, media string, err error) {
	buffered := bufio.NewReader(content)
	first, err := buffered.Peek(1)
	if err != nil {
		return nil, "", errors.Join(corrupt("is empty"), err)
	}
	media = f.formatOf(v, first[0])
	switch {
	case f.formats != nil && first[0] != '"':
		return buffered, media, nil
	case isText(media):
		return newUnquoter(buffered), media, nil
	}
	return newBase64(newUnquoter(buffered)), media, nil
}

// chosen is an input that names its format: {"value": ..., "mediaType": ...}.
type chosen struct {
	Value     json.RawMessage `json:"value"`
	MediaType string          `json:"mediaType"`
}

// checkFormats checks an input that comes in one of several formats, as a host
// does. done is false for other inputs.
func checkFormats(id string, in ogc.Input, text json.RawMessage) (v *wire.Value, faults []ogc.Fault, done bool) {
	var formats struct {
		OneOf []struct {
			MediaType string `json:"contentMediaType"`
			Encoding  string `json:"contentEncoding"`
		} `json:"oneOf"`
	}
	if json.Unmarshal(in.Schema, &formats) != nil || len(formats.OneOf) == 0 {
		return nil, nil, false
	}
	for _, f := range formats.OneOf {
		if f.MediaType == "" { // a form of a value, and no format
			return nil, nil, false
		}
	}
	var c chosen
	if json.Unmarshal(text, &c) != nil || c.Value == nil {
		c = chosen{Value: text}
	}
	for _, f := range formats.OneOf {
		isString := len(c.Value) > 0 && c.Value[0] == '"'
		if c.MediaType != "" && c.MediaType != f.MediaType || isString == isJSONText(f.MediaType) {
			continue
		}
		if f.Encoding == "base64" {
			v, faults, _ = binary(id, c.Value)
			if v != nil {
				v.MediaType = f.MediaType
			}
			return v, faults, true
		}
		v = &wire.Value{JSON: c.Value}
		if isString {
			v.MediaType = f.MediaType
		}
		return v, nil, true
	}
	return nil, []ogc.Fault{{Input: id, Message: "is in none of its formats"}}, true
}
