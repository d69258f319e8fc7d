// Package settings makes the settings of a plugin: what the operator wrote, with
// secrets fetched from where they are, checked against the schema that the plugin
// declares. It imports sdk/schema; its central type is Settings.
package settings

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"geomill/sdk/schema"
	"geomill/sdk/schema/decode"
)

// MaxBytes limits the settings of one plugin, secrets included.
const MaxBytes = 1 << 20

// ErrNone says that there are settings for a plugin that declares none.
var ErrNone = errors.New("the plugin takes no settings: remove them")

// Settings are those of one plugin, complete and checked. Printed, logged or
// encoded they are without secrets; only Reveal gives these. A nil *Settings is
// that of a plugin that takes none. They are immutable.
type Settings struct {
	values  json.RawMessage // for the plugin
	shown   json.RawMessage // for people
	secrets []string
	hide    *strings.Replacer // nil without secrets that can be found in a text
}

// Fault is one place that is wrong. Its message is without secrets.
type Fault struct {
	Pointer string // JSON pointer (RFC 6901) within the settings
	Message string
}

// Error is what is wrong with settings: all faults that were found.
type Error struct{ Faults []Fault }

func (e *Error) Error() string {
	lines := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		lines[i] = strings.TrimSpace(f.Pointer + " " + f.Message)
	}
	return strings.Join(lines, "; ")
}

// Resolve makes settings of raw, a JSON object or nothing, for the schema that a
// plugin declares; no schema means that it takes none. Its error is ErrNone, an
// *Error, or says what is wrong with the schema.
func Resolve(declared, raw json.RawMessage, from Source) (*Settings, error) {
	if len(declared) == 0 {
		if len(raw) > 0 && string(raw) != "{}" {
			return nil, ErrNone
		}
		return nil, nil
	}
	compiled, err := schema.Compile(declared)
	if err != nil {
		return nil, fmt.Errorf("the plugin declares them by a wrong schema: %w", err)
	}
	if len(raw) == 0 {
		raw = json.RawMessage(`{}`)
	}
	v, err := decode.JSON(raw)
	if err != nil {
		return nil, &Error{[]Fault{{"", err.Error()}}}
	}
	object, ok := v.(map[string]any)
	if !ok {
		return nil, &Error{[]Fault{{"", "must be an object"}}}
	}
	f := fetcher{from: from, found: map[string]reference{}}
	f.members("", object)
	f.forbidInline(compiled, object)
	compiled.Fill(object)
	for _, fault := range compiled.Validate(object) {
		if !f.found[fault.Pointer].missing {
			f.faults = append(f.faults, Fault{fault.Pointer, fault.Message})
		}
	}
	if len(f.faults) > 0 {
		return nil, &Error{f.faults}
	}
	return f.settings(object)
}

// settings puts together what was fetched and checked.
func (f *fetcher) settings(object map[string]any) (*Settings, error) {
	s := &Settings{}
	var err error
	if s.values, err = json.Marshal(object); err != nil {
		return nil, fmt.Errorf("encode settings: %w", err)
	}
	if len(s.values) > MaxBytes {
		return nil, &Error{[]Fault{{"", fmt.Sprintf("are larger than %d bytes", MaxBytes)}}}
	}
	if s.shown, err = encode(f.masked("", object)); err != nil {
		return nil, fmt.Errorf("encode settings: %w", err)
	}
	for _, at := range slices.Sorted(maps.Keys(f.found)) {
		s.secrets = append(s.secrets, f.found[at].text)
	}
	s.hide = replacer(s.secrets)
	return s, nil
}

// encode writes JSON in which paths are legible.
func encode(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(b.Bytes()), nil
}

// Reveal returns the settings as a JSON object, secrets in plain text, for the
// plugin alone; nil when it takes none.
func (s *Settings) Reveal() json.RawMessage {
	if s == nil {
		return nil
	}
	return s.values
}

// Shown returns the settings as a JSON object in which where a secret comes from
// stands for it; nil when the plugin takes none.
func (s *Settings) Shown() json.RawMessage {
	if s == nil {
		return nil
	}
	return s.shown
}

// Equal reports whether the plugin would be told the same.
func (s *Settings) Equal(other *Settings) bool {
	return bytes.Equal(s.Reveal(), other.Reveal())
}

// String returns the settings without secrets.
func (s *Settings) String() string { return string(s.Shown()) }

// Format implements fmt.Formatter, without secrets for every verb.
func (s *Settings) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue implements slog.LogValuer, without secrets.
func (s *Settings) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON implements json.Marshaler, without secrets.
func (s *Settings) MarshalJSON() ([]byte, error) {
	if s == nil {
		return []byte("null"), nil
	}
	return s.shown, nil
}
