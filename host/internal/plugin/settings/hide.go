package settings

import (
	"cmp"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

// mask stands for a secret.
const mask = "***"

// shortest is the length of a secret, in bytes, from which on it is taken out of
// texts: shorter ones are parts of common words.
const shortest = 4

// shortestLine is that of one line of a secret of several lines.
const shortestLine = 8

// Hide returns a text of the plugin, or about it, without the secrets that it
// was told: as they are, as JSON and URLs write them, and single lines of them.
func (s *Settings) Hide(text string) string {
	if s == nil || s.hide == nil {
		return text
	}
	return s.hide.Replace(text)
}

// HideJSON is Hide for the text of a JSON value, which it stays. A value that
// cannot do without is replaced as a whole.
func (s *Settings) HideJSON(text json.RawMessage) json.RawMessage {
	if s == nil || s.hide == nil || len(text) == 0 {
		return text
	}
	hidden := json.RawMessage(s.hide.Replace(string(text)))
	if !json.Valid(hidden) {
		return json.RawMessage(`{"hidden":"` + mask + `"}`)
	}
	return hidden
}

// Conceals reports whether there is anything for Hide to hide.
func (s *Settings) Conceals() bool { return s != nil && s.hide != nil }

// replacer finds secrets in texts. Longer ones stand before those that they
// begin with.
func replacer(secrets []string) *strings.Replacer {
	var all []string
	for _, secret := range secrets {
		all = append(all, forms(secret)...)
	}
	slices.SortFunc(all, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	var pairs []string
	for _, form := range slices.Compact(all) {
		pairs = append(pairs, form, mask)
	}
	if len(pairs) == 0 {
		return nil
	}
	return strings.NewReplacer(pairs...)
}

// forms lists how a secret may be written in a text.
func forms(secret string) []string {
	if len(secret) < shortest {
		return nil
	}
	all := []string{secret, url.QueryEscape(secret), url.PathEscape(secret)}
	for _, write := range []func(any) (json.RawMessage, error){encode, marshal} {
		if text, err := write(secret); err == nil {
			all = append(all, string(text[1:len(text)-1]))
		}
	}
	for line := range strings.Lines(secret) {
		if line = strings.TrimSpace(line); len(line) >= shortestLine && len(line) < len(secret) {
			all = append(all, line)
		}
	}
	return all
}

func marshal(v any) (json.RawMessage, error) { return json.Marshal(v) }
