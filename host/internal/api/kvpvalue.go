package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"geomill/sdk/ogc"
)

// kvpInput writes the JSON that an execute request would have for an input (2.0
// /req/kvp-execute/*-input-value, input-cardinality, input-by-reference).
func kvpInput(in ogc.Input, p *kvpParams) (json.RawMessage, error) {
	qualified := p.has("value") || p.has("mediaType") || p.has("encoding") || p.has("schema")
	if p.has("href") {
		if qualified || len(p.raw) > 0 || p.has("crs") {
			return nil, errors.New("has both a value and a reference")
		}
		return kvpReference(p)
	}
	for _, member := range []string{"type", "rel", "hreflang", "title"} {
		if p.has(member) {
			return nil, fmt.Errorf("[%s] needs an [href]", member)
		}
	}
	raw := p.raw
	if p.has("value") {
		if len(raw) > 0 {
			return nil, errors.New("has a value both with and without [value]")
		}
		raw = []string{url.QueryEscape(p.member["value"])}
	}
	if len(raw) == 0 {
		return nil, errors.New("has no value")
	}
	s := kvpSchemaOf(in.Schema)
	value, err := s.input(in, raw, p)
	if err != nil || !qualified {
		return value, err
	}
	return kvpQualified(value, p)
}

func kvpReference(p *kvpParams) (json.RawMessage, error) {
	link := map[string]string{}
	for _, member := range []string{"href", "type", "rel", "hreflang", "title"} {
		if p.has(member) {
			link[member] = p.member[member]
		}
	}
	if p.has("type") {
		link["type"] = plus(link["type"])
	}
	return json.Marshal(link)
}

func kvpQualified(value json.RawMessage, p *kvpParams) (json.RawMessage, error) {
	q := ogc.QualifiedValue{Value: value, MediaType: plus(p.member["mediaType"]), Encoding: p.member["encoding"]}
	if text, given := p.member["schema"]; given {
		var err error
		if q.Schema, err = schemaOrURI(text); err != nil {
			return nil, fmt.Errorf("[schema] %w", err)
		}
	}
	return json.Marshal(q)
}

// schemaOrURI returns the JSON of a schema, which is an object or a URI.
func schemaOrURI(text string) (json.RawMessage, error) {
	if !strings.HasPrefix(text, "{") {
		return json.Marshal(text)
	}
	if err := CheckJSON(strings.NewReader(text)); err != nil {
		return nil, fmt.Errorf("is not JSON: %w", err)
	}
	return json.RawMessage(text), nil
}

// input writes all occurrences of an input.
func (s *kvpSchema) input(in ogc.Input, raw []string, p *kvpParams) (json.RawMessage, error) {
	if s.bbox {
		return s.boxes(in, raw, p)
	}
	if p.has("crs") {
		return nil, errors.New("[crs] is for bounding boxes, which this input is not")
	}
	switch {
	case in.Max() != 1:
		return s.list(raw)
	case s.kinds == kindArray && s.isList(raw):
		return s.items().list(raw)
	case len(raw) > 1:
		return nil, errors.New("is given more than once")
	}
	text, err := decoded(raw[0])
	if err != nil {
		return nil, err
	}
	return s.typed(text)
}

// isList reports whether an array is given as its elements with commas between,
// rather than as JSON.
func (s *kvpSchema) isList(raw []string) bool {
	text, err := decoded(raw[0])
	return len(raw) > 1 || err == nil && !strings.HasPrefix(strings.TrimSpace(text), "[")
}

// list writes an array of what has commas between, of JSON objects, or of a JSON
// array. A comma that is percent-encoded is part of a value.
func (s *kvpSchema) list(raw []string) (json.RawMessage, error) {
	elements := []json.RawMessage{}
	for _, r := range raw {
		text, err := decoded(r)
		if err != nil {
			return nil, err
		}
		if whole, ok := s.jsonList(strings.TrimSpace(text)); ok {
			elements = append(elements, whole...)
			continue
		}
		if r == "" && s.kinds&kindString == 0 {
			continue
		}
		for element := range strings.SplitSeq(r, ",") {
			if text, err = decoded(element); err != nil {
				return nil, err
			}
			v, err := s.typed(text)
			if err != nil {
				return nil, fmt.Errorf("element %d: %w", len(elements), err)
			}
			elements = append(elements, v)
		}
	}
	return json.Marshal(elements)
}

// jsonList reads a list that is written as JSON: an array, unless it is itself one
// element, or objects with commas between.
func (s *kvpSchema) jsonList(text string) (elements []json.RawMessage, ok bool) {
	switch {
	case strings.HasPrefix(text, "{"):
		text = "[" + text + "]"
	case !strings.HasPrefix(text, "["):
		return nil, false
	}
	if CheckJSON(strings.NewReader(text)) != nil || json.Unmarshal([]byte(text), &elements) != nil {
		return nil, false
	}
	if s.kinds&kindArray == 0 {
		return elements, true
	}
	for _, e := range elements {
		if e[0] != '[' {
			return []json.RawMessage{json.RawMessage(text)}, true
		}
	}
	return elements, true
}

// boxes writes one bounding box for each value.
func (s *kvpSchema) boxes(in ogc.Input, raw []string, p *kvpParams) (json.RawMessage, error) {
	if len(raw) > 1 && in.Max() == 1 {
		return nil, errors.New("is given more than once")
	}
	all := make([]json.RawMessage, len(raw))
	for i, r := range raw {
		text, err := decoded(r)
		if err != nil {
			return nil, err
		}
		if all[i], err = box(strings.TrimSpace(text), p); err != nil {
			return nil, err
		}
	}
	if len(all) == 1 {
		return all[0], nil
	}
	return json.Marshal(all)
}

// box reads a bounding box: 4 or 6 numbers, or JSON.
func box(text string, p *kvpParams) (json.RawMessage, error) {
	if strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") {
		if p.has("crs") {
			return nil, errors.New("[crs] is for a bounding box that is a list of numbers")
		}
		if err := CheckJSON(strings.NewReader(text)); err != nil {
			return nil, fmt.Errorf("is not JSON: %w", err)
		}
		return json.RawMessage(text), nil
	}
	b := struct {
		Bbox []json.Number `json:"bbox"`
		CRS  string        `json:"crs,omitempty"`
	}{CRS: p.member["crs"]}
	for n := range strings.SplitSeq(text, ",") {
		n = strings.TrimSpace(n)
		if !isNumber(n) {
			return nil, errors.New("must be 4 or 6 numbers with commas between")
		}
		b.Bbox = append(b.Bbox, json.Number(n))
	}
	if n := len(b.Bbox); n != 4 && n != 6 {
		return nil, errors.New("must be 4 or 6 numbers with commas between")
	}
	return json.Marshal(b)
}

// typed writes the JSON of one value as the schema wants it.
func (s *kvpSchema) typed(text string) (json.RawMessage, error) {
	if s.kinds == kindString {
		if s.binary {
			text = standardBase64(text)
		}
		return json.Marshal(text)
	}
	trimmed := strings.TrimSpace(text)
	if k := kindOf(trimmed); k&s.kinds != 0 && k != kindString {
		err := CheckJSON(strings.NewReader(trimmed))
		if err == nil {
			return json.RawMessage(trimmed), nil
		}
		if s.kinds&kindString == 0 {
			return nil, fmt.Errorf("is not JSON: %w", err)
		}
	}
	if s.kinds&kindString == 0 {
		return nil, errors.New("must be " + s.kinds.String())
	}
	return json.Marshal(text)
}

// standardBase64 mends what a query does to base64: its plus signs become blanks,
// and many write the alphabet for URLs without padding.
func standardBase64(s string) string {
	s = strings.NewReplacer(" ", "+", "-", "+", "_", "/").Replace(s)
	if len(s)%4 > 1 && !strings.HasSuffix(s, "=") {
		s += "==="[:4-len(s)%4]
	}
	return s
}

// plus mends a media type, whose plus sign a query makes a blank.
func plus(mediaType string) string {
	name, params, found := strings.Cut(strings.TrimSpace(mediaType), ";")
	if name = strings.ReplaceAll(strings.TrimSpace(name), " ", "+"); found {
		name += ";" + params
	}
	return name
}

func decoded(raw string) (string, error) {
	text, err := url.QueryUnescape(raw)
	if err != nil || !validText(text) {
		return "", errors.New("is not well-formed percent-encoded UTF-8")
	}
	return text, nil
}

func validText(s string) bool { return utf8.ValidString(s) }

func isNumber(s string) bool {
	return kindOf(s)&kindNumber != 0 && CheckJSON(strings.NewReader(s)) == nil
}
