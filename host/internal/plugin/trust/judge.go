package trust

import (
	"io"
	"slices"
	"time"
)

// Content is what a plugin's file holds now.
type Content struct {
	Plugin  string // name in the plugins directory
	Path    string // of the file; signatures lie beside it
	Hash    string // SHA-256, hexadecimal
	Name    string // as it calls itself, if that is known
	Version string
	// Bytes reads it from the beginning; only signatures ask for that.
	Bytes func() io.Reader
	// Files, if there are any, make up the content, and have only paths, hashes and
	// bytes: a signature has to be of each.
	Files []Content
}

// Judge decides whether a content may run under a policy. It changes nothing:
// the pin that it returns is for Record, once the content has proved to be a
// plugin. The error is a *Refusal.
func (l *Lock) Judge(policy Policy, keys Keys, c Content, now time.Time) (Pin, error) {
	pins := l.Pins(c.Plugin)
	at := slices.IndexFunc(pins, func(p Pin) bool { return p.Hash == c.Hash })
	if at >= 0 && pins[at].How == Operator {
		return pins[at], nil
	}
	pin := Pin{Hash: c.Hash, Accepted: now}
	var detail error
	switch policy {
	case TOFU:
		pin.How = FirstUse
		if expected := trusted(pins); len(expected) == 0 ||
			slices.ContainsFunc(expected, func(p Pin) bool { return p.Hash == c.Hash }) {
			return pin, nil
		}
	case Pinned:
	case Signed:
		pin.How = Signature
		if at >= 0 && pins[at].How == Signature && keys.has(pins[at].Key) {
			return pins[at], nil
		}
		if pin.Key, detail = keys.verify(c); detail == nil {
			return pin, nil
		}
	default:
		pin.How = Seen
		return pin, nil
	}
	return Pin{}, refuse(policy, pins, c, detail)
}

// trusted returns the pins that TOFU goes by. Where nothing is pinned yet,
// what was seen last is: from then on, it does not change.
func trusted(pins []Pin) []Pin {
	pinned := slices.DeleteFunc(slices.Clone(pins), func(p Pin) bool { return p.How == Seen })
	if len(pinned) == 0 && len(pins) > 0 {
		return pins[len(pins)-1:]
	}
	return pinned
}

func refuse(policy Policy, pins []Pin, c Content, detail error) *Refusal {
	r := &Refusal{Plugin: c.Plugin, Path: c.Path, Policy: policy, Found: c.Hash, Is: calls(c.Name, c.Version), Accept: Command(c.Plugin)}
	if detail != nil {
		r.Detail = detail.Error()
	}
	expected := trusted(pins)
	if policy == Pinned {
		expected = slices.DeleteFunc(slices.Clone(pins), func(p Pin) bool { return p.How != Operator })
	}
	if n := len(expected); n > 0 && policy != Signed {
		last := expected[n-1]
		r.Expected, r.Since, r.Was = last.Hash, last.Accepted, last.calls()
	}
	return r
}
