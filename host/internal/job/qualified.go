package job

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"geomill/sdk/ogc"
	"geomill/sdk/schema"
)

// qualifiedValue is an object that may be a value with its format (2.0
// qualifiedInputValue.yaml), or with the format in a member of its own, as old
// clients have it.
type qualifiedValue struct {
	Value     json.RawMessage `json:"value"`
	MediaType string          `json:"mediaType"`
	Encoding  string          `json:"encoding"`
	Format    ogc.Format      `json:"format"`
	Href      json.RawMessage `json:"href"`
}

// qualified checks a qualified value. One that is faulty as such, but matches the
// schema as the object it is, is that object.
func (in *intake) qualified(id, pointer string, text []byte, q qualifiedValue, check inputCheck) Value {
	if q.MediaType == "" {
		q.MediaType = q.Format.MediaType
	}
	if q.Encoding == "" {
		q.Encoding = q.Format.Encoding
	}
	chosen, value, faults := check.unwrap(q)
	if len(faults) > 0 {
		if bare, _ := check.choose(text, ""); len(bare.validate(text)) == 0 {
			return in.value(id, pointer, text, "", bare, true)
		}
		in.addFaults(id, pointer, faults)
		return Value{}
	}
	return in.value(id, pointer+"/value", value, q.MediaType, chosen, true)
}

// unwrap returns the check for a qualified value, and the value fit for it.
func (c inputCheck) unwrap(q qualifiedValue) (chosen inputCheck, value []byte, faults []schema.Fault) {
	if q.MediaType != "" && !isMedia(q.MediaType) {
		return c, nil, []schema.Fault{{Pointer: "/mediaType", Message: "is not a media type"}}
	}
	chosen, known := c.choose(q.Value, q.MediaType)
	if !known {
		return c, nil, []schema.Fault{{Pointer: "/mediaType",
			Message: fmt.Sprintf("%.100q is not a format of this input; it takes %s", q.MediaType, c.mediaTypes())}}
	}
	value, message := chosen.decoded(q.Value, q.Encoding)
	if message != "" {
		return c, nil, []schema.Fault{{Pointer: "/encoding", Message: message}}
	}
	value, faults = chosen.fit(value)
	for i := range faults {
		faults[i].Pointer = "/value" + faults[i].Pointer
	}
	return chosen, value, faults
}

// decoded takes the encoding from a value: text may come as base64. Binary values
// stay as they are, they are base64 in any case.
func (c inputCheck) decoded(text []byte, encoding string) (value []byte, message string) {
	switch strings.ToLower(encoding) {
	case "":
		return text, ""
	case "utf-8", "utf8":
		if c.binary {
			return nil, "the input takes base64"
		}
		return text, ""
	case "base64", "binary":
		if c.binary {
			return text, ""
		}
	default:
		return nil, fmt.Sprintf("%.100q is not known; there are base64 and utf-8", encoding)
	}
	var s string
	if json.Unmarshal(text, &s) != nil {
		return nil, "only a string can be base64"
	}
	data, err := decodeBase64(s)
	if err != nil {
		return nil, "the value is not base64"
	}
	if value, err = quoteText(data); err != nil {
		return nil, "the value is not text in UTF-8"
	}
	return value, ""
}

// classes names what an object of a class of the standard that is not offered has
// a member of (spec 4.2).
var classes = []struct{ member, class string }{
	{"collection", "collections as inputs"},
	{"process", "nested processes"},
	{"$input", "parameters of workflows"},
}

// notOffered tells of an object that matches no schema which class it is of, if
// any.
func (in *intake) notOffered(id, pointer string, text []byte) bool {
	var members map[string]json.RawMessage
	if text[0] != '{' || json.Unmarshal(text, &members) != nil {
		return false
	}
	for _, c := range classes {
		if _, given := members[c.member]; given {
			in.fault(id, pointer+"/"+c.member, c.class+" are not offered by this server; send the value")
			return true
		}
	}
	return false
}

// quoteText makes a JSON string of text.
func quoteText(text []byte) ([]byte, error) {
	if !utf8.Valid(text) {
		return nil, errNotUTF8
	}
	return json.Marshal(string(text))
}

var errNotUTF8 = errors.New("not UTF-8")

// unquoted returns the content of a valid JSON string.
func unquoted(text []byte) []byte {
	var s string
	_ = json.Unmarshal(text, &s) // it was checked
	return []byte(s)
}
