package job

import (
	"encoding/json"
	"slices"
	"strings"

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
		var ok bool
		if checks[i], ok = alternative(members, append(slices.Clip(required), b)); !ok {
			return nil
		}
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

// alternative makes the check of the schema with the given members that requires
// allOf, of which the last says what strings contain.
func alternative(members map[string]json.RawMessage, allOf []json.RawMessage) (c inputCheck, ok bool) {
	var words contentWords
	if json.Unmarshal(allOf[len(allOf)-1], &words) != nil {
		return c, false
	}
	var err error
	if members["allOf"], err = json.Marshal(allOf); err != nil {
		return c, false
	}
	whole, err := json.Marshal(members)
	if err != nil {
		return c, false
	}
	compiled, err := schema.Compile(whole)
	return inputCheck{schema: compiled, binary: words.isBinary(), media: words.ContentMediaType}, err == nil
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
	return c.media == "" || IsJSON(c.media)
}

// choose returns the check for a value: of the alternatives of its media type
// the first that it matches, else the first. ok is false when there is none of
// that media type, which may be empty.
func (c inputCheck) choose(text []byte, media string) (chosen inputCheck, ok bool) {
	if len(c.alternatives) == 0 {
		return c, media == "" || c.media == "" || isOctets(essence(c.media)) || sameMedia(c.media, media) || IsJSON(c.media) && IsJSON(media)
	}
	for _, a := range c.alternatives {
		if media != "" && !a.isFor(media) {
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

// isFor reports whether values of a media type are for this alternative.
func (c inputCheck) isFor(media string) bool {
	if c.media == "" {
		return IsJSON(media) || essence(media) == "text/plain"
	}
	return CanonicalType(c.media) == CanonicalType(media)
}

// mediaTypes lists the media types of the alternatives, or the only one.
func (c inputCheck) mediaTypes() string {
	if len(c.alternatives) == 0 {
		return c.media
	}
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

// isBase64 reports whether a JSON value is a string of base64.
func isBase64(text []byte) bool {
	var s string
	if json.Unmarshal(text, &s) != nil {
		return false
	}
	_, err := decodeBase64(s)
	return err == nil
}
