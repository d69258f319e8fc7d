package api

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"geomill/sdk/ogc"
)

// TextInput writes the JSON that an execute request would have for an input that
// is given as text, by the rules of an execution by query: text is what the schema
// says it is, and commas are between the elements of a list. An input that can
// occur more than once may have more than one text.
func TextInput(in ogc.Input, texts ...string) (json.RawMessage, error) {
	p := &kvpParams{}
	for _, text := range texts {
		if !utf8.ValidString(text) {
			return nil, fmt.Errorf("is not UTF-8")
		}
		p.raw = append(p.raw, strings.ReplaceAll(url.QueryEscape(text), "%2C", ","))
	}
	return kvpInput(in, p)
}

// ContentInput writes the JSON for an input that is the content of a file: JSON as
// it is, and text or bytes where the schema says that it is a string.
func ContentInput(in ogc.Input, content []byte) (json.RawMessage, error) {
	s := kvpSchemaOf(in.Schema)
	if s.kinds != kindString && CheckJSON(strings.NewReader(string(content))) == nil {
		return json.RawMessage(content), nil
	}
	switch {
	case s.kinds&kindString == 0:
		return nil, fmt.Errorf("is not JSON, which %s would have to be", s.kinds)
	case s.binary || !utf8.Valid(content):
		return json.Marshal(content) // base64
	}
	return json.Marshal(string(content))
}
