// Package trust decides which contents of plugins may run, and remembers in a
// lock file which ones were accepted, when, and how. Its central type is Lock.
// It knows no other package of the host, and starts nothing.
//
// A content is known by its SHA-256. What it is judged by is a Policy; what the
// operator has pinned is accepted under each of them.
package trust

import (
	"fmt"
	"strings"
	"time"
)

// Policy says which contents of a plugin may run.
type Policy string

const (
	// Any lets everything run that is in the plugins directory, and only
	// writes down what that was.
	Any Policy = "any"
	// TOFU pins the first content of a plugin that is seen, and refuses others.
	TOFU Policy = "tofu"
	// Pinned takes what the operator has pinned.
	Pinned Policy = "pinned"
	// Signed takes what is signed by a key of the operator.
	Signed Policy = "signed"
)

// Valid reports whether there is such a policy.
func (p Policy) Valid() bool { return p == Any || p == TOFU || p == Pinned || p == Signed }

// How says how a content came to be accepted.
type How string

const (
	Seen      How = "seen"      // it ran under Any: recorded, not pinned
	FirstUse  How = "first-use" // pinned by TOFU
	Signature How = "signature" // signed by one of the operator's keys
	Operator  How = "operator"  // pinned by the operator
)

// rank orders the ways: a better one replaces a lesser one.
func (h How) rank() int {
	switch h {
	case Seen:
		return 1
	case FirstUse:
		return 2
	case Signature:
		return 3
	case Operator:
		return 4
	}
	return 0
}

// Pin is an accepted content of a plugin.
type Pin struct {
	Hash     string    `json:"sha256"`            // hexadecimal
	Name     string    `json:"name,omitempty"`    // as the plugin calls itself, once it was asked
	Version  string    `json:"version,omitempty"` // and this
	Accepted time.Time `json:"accepted"`
	How      How       `json:"how"`
	Key      string    `json:"key,omitempty"` // that signed it
}

// calls is how the plugin calls itself.
func (p Pin) calls() string { return calls(p.Name, p.Version) }

func calls(name, version string) string {
	if name == "" || version == "" {
		return name
	}
	return name + " " + version
}

// Refusal says why a content may not run. It is an error.
type Refusal struct {
	Plugin   string    `json:"plugin"` // name in the plugins directory
	Path     string    `json:"path"`
	Policy   Policy    `json:"policy"`
	Found    string    `json:"found"`              // SHA-256 of the content
	Expected string    `json:"expected,omitempty"` // of the one accepted last; empty if none is
	Since    time.Time `json:"since,omitzero"`     // when that was accepted
	Was      string    `json:"was,omitempty"`      // how that one calls itself
	Is       string    `json:"is,omitempty"`       // how this one does, where it is known
	Detail   string    `json:"detail,omitempty"`   // what is wrong with its signature
	Accept   string    `json:"accept"`             // the command that accepts it
}

// Error tells an operator all of it in one line.
func (r *Refusal) Error() string {
	text := fmt.Sprintf("%s is not trusted (%s): its SHA-256 is %s", r.Path, r.Policy, short(r.Found))
	if r.Is != "" && r.Is != r.Was {
		text += " (" + r.Is + ")"
	}
	switch {
	case r.Expected != "":
		text += ", not " + short(r.Expected)
		if r.Was != "" {
			text += " (" + r.Was + ")"
		}
		text += ", accepted on " + r.Since.UTC().Format("2006-01-02 15:04:05 MST")
	case r.Policy == Pinned:
		text += ", and none is pinned"
	}
	if r.Detail != "" {
		text += "; " + r.Detail
	}
	return text + "; to accept it: " + r.Accept
}

// short is as much of a hash as people compare.
func short(hash string) string { return hash[:min(len(hash), 12)] }

// Command is what accepts the content that a plugin has now.
func Command(plugin string) string { return "geomill plugin trust " + Word(plugin) }

// Word writes a name so that a shell takes it as one word: whoever may name a
// file must not decide what an operator pastes.
func Word(name string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-+@%/:,=", r)
	}
	if name != "" && !strings.ContainsFunc(name, func(r rune) bool { return !plain(r) }) {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}
