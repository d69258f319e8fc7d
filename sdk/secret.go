package sdk

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// hidden stands for a secret wherever it is printed.
const hidden = "***"

// Secret is a setting such as a password or a key. Printed, logged or encoded
// it is "***", also within other values; only Reveal gives it.
type Secret struct {
	// A pointer: formatting a struct with an unexported Secret in it calls none
	// of the methods below.
	text *string
}

// Reveal returns the secret itself, empty if there is none.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// String returns "***".
func (Secret) String() string { return hidden }

// Format implements fmt.Formatter for every verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// LogValue implements slog.LogValuer.
func (Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalJSON implements json.Marshaler.
func (Secret) MarshalJSON() ([]byte, error) { return json.Marshal(hidden) }

// UnmarshalJSON implements json.Unmarshaler: it takes the secret itself.
func (s *Secret) UnmarshalJSON(text []byte) error {
	var plain string
	if err := json.Unmarshal(text, &plain); err != nil {
		return errors.New("a secret is a string")
	}
	s.text = &plain
	return nil
}

// JSONSchema implements derive.Describer.
func (Secret) JSONSchema() json.RawMessage {
	return json.RawMessage(`{"type":"string","format":"password","writeOnly":true}`)
}
