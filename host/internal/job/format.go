package job

import (
	"encoding/json"
	"fmt"
	"mime"
	"slices"
	"strings"

	"geomill/sdk/schema"
)

// form is how content that came by reference becomes a value.
type form int

const (
	asJSON  form = iota // it is the JSON text of the value
	asText              // it is the characters of a string
	asBytes             // it is bytes, which in JSON would be a base64 string
)

// format is one way that a schema has for content (contentMediaType and
// contentEncoding of the schema or of one of its alternatives).
type format struct {
	form  form
	media string // empty: any
	// Lengths of the string, as in JSON; most is negative when there is no
	// limit.
	least, most int64
	// schema is that of the alternative, if there are several: a string may
	// well match others, which differ by their media type only. It is nil
	// where the whole schema is to be used.
	schema *schema.Schema
}

// maxAlternatives bounds how deep alternatives of a schema are looked for.
const maxAlternatives = 4

// formatsOf lists the ways of a schema and of its alternatives, in their order.
func formatsOf(raw json.RawMessage, depth int) []format {
	w := struct {
		Type             json.RawMessage   `json:"type"`
		ContentEncoding  string            `json:"contentEncoding"`
		ContentMediaType string            `json:"contentMediaType"`
		MinLength        int64             `json:"minLength"`
		MaxLength        *int64            `json:"maxLength"`
		OneOf            []json.RawMessage `json:"oneOf"`
		AnyOf            []json.RawMessage `json:"anyOf"`
		AllOf            []json.RawMessage `json:"allOf"`
	}{}
	if depth == 0 || json.Unmarshal(raw, &w) != nil {
		return nil
	}
	f := format{media: normalMedia(w.ContentMediaType), least: w.MinLength, most: -1}
	if w.MaxLength != nil {
		f.most = *w.MaxLength
	}
	var found []format
	switch {
	case w.ContentEncoding == "base64" || w.ContentEncoding == "binary":
		f.form = asBytes
		found = append(found, f)
	case admitsString(w.Type) || w.Type == nil && f.media != "" && !IsJSON(f.media):
		f.form = asText
		found = append(found, f)
	}
	for _, branch := range slices.Concat(w.OneOf, w.AnyOf) {
		own, _ := schema.Compile(branch) // one that refers to another part of the whole does not compile
		for _, f := range formatsOf(branch, depth-1) {
			if f.schema == nil {
				f.schema = own
			}
			found = append(found, f)
		}
	}
	for _, part := range w.AllOf {
		found = append(found, formatsOf(part, depth-1)...)
	}
	return found
}

// admitsString reports whether the keyword type, one name or a list, has string.
func admitsString(keyword json.RawMessage) bool {
	var names []string
	if json.Unmarshal(keyword, &names) != nil {
		names = make([]string, 1)
		_ = json.Unmarshal(keyword, &names[0]) // something else names no type
	}
	return slices.Contains(names, "string")
}

// accept is the header by which content for the input is asked for.
func (c inputCheck) accept(declared string) string {
	if declared != "" {
		return declared + ", */*;q=0.1"
	}
	var wanted []string
	for _, f := range c.formats {
		if f.media != "" && f.media != octets && !slices.Contains(wanted, f.media) {
			wanted = append(wanted, f.media)
		}
	}
	if !c.binary {
		wanted = append(wanted, "application/json", "application/geo+json;q=0.9")
	}
	return strings.Join(append(wanted, "*/*;q=0.1"), ", ")
}

// agree returns the media type of content that is declared as one thing by the
// request and as another by the server that sent it, either of which may say
// nothing. Where both are of one family the request has the say: servers often
// know no better than application/json. ok is false when they contradict
// each other.
func agree(declared, sent string) (media string, ok bool) {
	d, s := essence(declared), essence(sent)
	switch {
	case declared == "":
		return sent, true
	case d == s && len(sent) > len(declared):
		return sent, true // with its parameters
	case sent == "", d == s, isOctets(s), s == "text/plain" && (isTextual(d) || IsJSON(d)),
		IsJSON(d) && IsJSON(s), isXML(d) && isXML(s):
		return declared, true
	}
	return "", false
}

// read chooses how content of a media type, which may be unknown, is read. media
// is that of the value. ok is false when the input has no use for it.
func (c inputCheck) read(content string) (f format, media string, ok bool) {
	kind := essence(content)
	unknown := kind == "" || isOctets(kind)
	for _, f := range c.formats {
		if f.media != "" && !isOctets(f.media) && sameMedia(f.media, content) {
			return f, content, true
		}
	}
	anything := slices.IndexFunc(c.formats, func(f format) bool { return f.form == asBytes && (f.media == "" || isOctets(f.media)) })
	characters := slices.IndexFunc(c.formats, func(f format) bool { return f.form == asText && f.media == "" })
	switch {
	case unknown && len(c.formats) > 0 && c.formats[0].media != "":
		return c.formats[0], c.formats[0].media, true
	case c.binary && anything >= 0:
		return c.formats[anything], content, true
	case c.binary:
		return format{}, "", false
	case IsJSON(kind):
		return format{form: asJSON}, "", true
	case anything >= 0:
		return c.formats[anything], content, true
	case characters >= 0 && isTextual(kind):
		return c.formats[characters], content, true
	case unknown, kind == "text/plain": // whether it is JSON will be seen
		return format{form: asJSON}, "", true
	}
	return format{}, "", false
}

// kinds says what kinds of content the input has a use for.
func (c inputCheck) kinds() string {
	var all []string
	add := func(kind string) {
		if !slices.Contains(all, kind) {
			all = append(all, kind)
		}
	}
	for _, f := range c.formats {
		switch {
		case f.media != "":
			add(f.media)
		case f.form == asText:
			add("text")
		}
	}
	if !c.binary {
		add("JSON")
	}
	return strings.Join(all, ", ")
}

const octets = "application/octet-stream"

// normalMedia returns a media type in one spelling, or nothing if it is none.
func normalMedia(text string) string {
	media, params, err := mime.ParseMediaType(text)
	if err != nil || !strings.Contains(media, "/") {
		return ""
	}
	return mime.FormatMediaType(media, params)
}

// isMedia reports whether a client can mean a media type by text: one, not a range
// of them.
func isMedia(text string) bool {
	return len(text) <= maxMedia && normalMedia(text) != "" && !strings.Contains(essence(text), "*")
}

// sameMedia reports whether content of type b is of type a: the parameters that
// both have are equal.
func sameMedia(a, b string) bool {
	ka, pa, errA := mime.ParseMediaType(a)
	kb, pb, errB := mime.ParseMediaType(b)
	if errA != nil || errB != nil || ka != kb {
		return false
	}
	for name, value := range pa {
		if other, given := pb[name]; given && !strings.EqualFold(value, other) {
			return false
		}
	}
	return true
}

func isOctets(kind string) bool { return kind == octets || kind == "binary/octet-stream" }

func isXML(kind string) bool {
	return kind == "application/xml" || kind == "text/xml" || strings.HasSuffix(kind, "+xml")
}

func isTextual(kind string) bool { return strings.HasPrefix(kind, "text/") || isXML(kind) }

// lengthFault compares the length that content would have as a JSON string with
// what the schema says; it is empty when that fits.
func (f format) lengthFault(n int64) string {
	switch {
	case n < f.least:
		return fmt.Sprintf("has %d characters in base64; at least %d are needed", n, f.least)
	case f.most >= 0 && n > f.most:
		return fmt.Sprintf("has %d characters in base64; at most %d are allowed", n, f.most)
	}
	return ""
}
