package job

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"slices"
	"strings"
	"unicode/utf8"

	"geomill/sdk/ogc"
	"geomill/sdk/schema"
)

// alternativesOf returns the checks of the formats among which a value can be
// sent: the branches of oneOf at the top of a schema, when they are told apart by
// what they contain (spec 3, "Media types"). Schemas cannot do so, to them all
// strings are alike. There are none in other schemas, nor where a branch has no
// meaning of its own.
func alternativesOf(text json.RawMessage) []inputCheck {
	var members map[string]json.RawMessage
	var branches []json.RawMessage
	if json.Unmarshal(text, &members) != nil || json.Unmarshal(members["oneOf"], &branches) != nil || len(branches) < 2 {
		return nil
	}
	var required []json.RawMessage
	if all, given := members["allOf"]; given && json.Unmarshal(all, &required) != nil {
		return nil
	}
	delete(members, "oneOf")
	checks := make([]inputCheck, len(branches))
	formats, texts := 0, 0
	for i, b := range branches {
		var words contentWords
		if json.Unmarshal(b, &words) != nil {
			return nil
		}
		branch, err := json.Marshal(append(slices.Clip(required), b))
		if err != nil {
			return nil
		}
		members["allOf"] = branch
		whole, err := json.Marshal(members)
		if err != nil {
			return nil
		}
		compiled, err := schema.Compile(whole)
		if err != nil {
			return nil
		}
		checks[i] = inputCheck{schema: compiled, binary: words.isBinary(), media: words.ContentMediaType}
		if checks[i].binary || checks[i].media != "" {
			formats++
		}
		if checks[i].isText() {
			texts++
		}
	}
	if formats == 0 {
		return nil
	}
	for i := range checks {
		checks[i].named = texts > 1 && checks[i].isText()
	}
	return checks
}

// contentWords are the keywords that say what a string contains.
type contentWords struct {
	ContentEncoding  string `json:"contentEncoding"`
	ContentMediaType string `json:"contentMediaType"`
	Format           string `json:"format"`
}

// isBinary reports whether the string is base64: "binary" and the format "byte"
// of OpenAPI 3.0 are other words for it (spec 3, "Media types").
func (w contentWords) isBinary() bool {
	return w.ContentEncoding == "base64" || w.ContentEncoding == "binary" || w.Format == "byte"
}

// isText reports whether the check is for text of a media type.
func (c inputCheck) isText() bool {
	return !c.binary && c.media != "" && !c.isJSON()
}

// isJSON reports whether the check is for JSON values.
func (c inputCheck) isJSON() bool {
	t := plainType(c.media)
	return t == "" || t == "application/json" || strings.HasSuffix(t, "+json")
}

// choose returns the check for a value: of the alternatives of its media type
// the first that it matches, else the first. ok is false when there is none of
// that media type.
func (c inputCheck) choose(text []byte, media string) (chosen inputCheck, ok bool) {
	if len(c.alternatives) == 0 {
		return c, true
	}
	for _, a := range c.alternatives {
		if media != "" && !a.takes(media) {
			continue
		}
		if !ok {
			chosen, ok = a, true
		}
		if _, faults := a.fit(text); len(faults) == 0 && (!a.binary || isBase64(text)) {
			return a, true
		}
	}
	return chosen, ok
}

// takes reports whether values of a media type are for this alternative.
func (c inputCheck) takes(media string) bool {
	if c.media == "" {
		t := plainType(media)
		return t == "application/json" || t == "text/plain" || strings.HasSuffix(t, "+json")
	}
	return sameType(c.media, media)
}

// mediaTypes lists the media types of the alternatives.
func (c inputCheck) mediaTypes() string {
	var names []string
	for _, a := range c.alternatives {
		name := a.media
		if name == "" {
			name = "application/json"
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, " or ")
}

// plainType is a media type in lower case, without parameters.
func plainType(t string) string {
	t, _, _ = strings.Cut(t, ";")
	return strings.ToLower(strings.TrimSpace(t))
}

// sameType compares media types with their parameters, whatever their case and
// blanks. That text is in UTF-8 need not be said.
func sameType(a, b string) bool { return canonicalType(a) == canonicalType(b) }

func canonicalType(t string) string {
	name, params, err := mime.ParseMediaType(t)
	if err != nil {
		return plainType(t)
	}
	if strings.EqualFold(params["charset"], "utf-8") {
		delete(params, "charset")
	}
	return mime.FormatMediaType(name, params)
}

// isBase64 reports whether a JSON value is a string of base64.
func isBase64(text []byte) bool {
	var s string
	if json.Unmarshal(text, &s) != nil {
		return false
	}
	_, err := decodeBase64(s)
	return err == nil
}

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
