package sdk

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestASecretIsOnlyRevealed(t *testing.T) {
	t.Parallel()
	const text = "open-sesame"
	var s Secret
	if s.Reveal() != "" {
		t.Errorf("none: %q", s.Reveal())
	}
	if err := json.Unmarshal([]byte(`"`+text+`"`), &s); err != nil || s.Reveal() != text {
		t.Fatalf("%q, %v", s.Reveal(), err)
	}
	var printed bytes.Buffer
	for _, verb := range "vsqxXdpTUbcot" {
		for _, flag := range []string{"", "+", "#"} {
			fmt.Fprintf(&printed, "%"+flag+string(verb)+"\n", s)
			fmt.Fprintf(&printed, "%"+flag+string(verb)+"\n", &s)
			fmt.Fprintf(&printed, "%"+flag+string(verb)+"\n", struct{ in Secret }{s})
			fmt.Fprintf(&printed, "%"+flag+string(verb)+"\n", []any{s, map[string]Secret{"a": s}})
		}
	}
	fmt.Fprintln(&printed, s, s.String())
	slog.New(slog.NewTextHandler(&printed, nil)).Info("text", "key", s, "in", struct{ S Secret }{s})
	slog.New(slog.NewJSONHandler(&printed, nil)).Info("json", "key", s, "in", struct{ S Secret }{s})
	encoded, err := json.Marshal(map[string]any{"a": s, "b": &s})
	if err != nil || string(encoded) != `{"a":"***","b":"***"}` {
		t.Errorf("%s, %v", encoded, err)
	}
	for _, form := range []string{text, fmt.Sprintf("%x", text), fmt.Sprintf("%X", text)} {
		if strings.Contains(printed.String(), form) {
			t.Errorf("printed as %s:\n%s", form, &printed)
		}
	}
	if fmt.Sprint(s) != "***" {
		t.Errorf("printed as %v", s)
	}
}

func TestASecretIsAString(t *testing.T) {
	t.Parallel()
	var s Secret
	if err := json.Unmarshal([]byte(`{"a":"open-sesame"}`), &s); err == nil || strings.Contains(err.Error(), "sesame") {
		t.Error(err)
	}
}
