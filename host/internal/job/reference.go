package job

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
)

// maxReferences is how many references one request may have.
const maxReferences = 100

// pending is an input, or one occurrence of it, that is by reference. It is
// fetched once everything else about the request is known to be right.
type pending struct {
	id, pointer string // of the object with the href
	check       inputCheck
	ref         Reference
	declared    string // media type, or empty
	// bare is the object itself where it is a valid value too; it counts when
	// the reference leads to none (spec 4.2).
	bare []byte
	// place is where an occurrence goes in the text of its array, else -1.
	place int

	file    string // for what is too large for memory
	content Value  // as it came
	got     Fetched
	err     error
	value   Value // as the process gets it
}

// host is where the reference leads, for the log: the rest of a URL may be
// secret.
func (p *pending) host() string {
	u, err := url.Parse(p.ref.Href)
	if err != nil {
		return ""
	}
	return u.Host
}

// link is the members of a reference (spec 4.2): those of a link, of a link of
// version 2.0, and the format that old clients send.
type link struct {
	Href      string            `json:"href"`
	Type      string            `json:"type"`
	MediaType string            `json:"mediaType"`
	Rel       string            `json:"rel"`
	Hreflang  string            `json:"hreflang"`
	Title     string            `json:"title"`
	Method    string            `json:"method"`
	Headers   map[string]string `json:"headers"`
	Body      json.RawMessage   `json:"body"`
	Format    struct {
		MediaType string `json:"mediaType"`
	} `json:"format"`
}

// reference reads an object with an href. taken is false when it is a plain
// value after all; otherwise it waits in in.refs, or has a fault.
func (in *intake) reference(id, pointer string, text, href []byte, check inputCheck) (taken bool) {
	if href[0] != '"' {
		return false
	}
	p := &pending{id: id, pointer: pointer, check: check, place: -1}
	possible := in.fetcher != nil && check.byReference
	if (check.ownHref || !possible) && len(check.validate(text)) == 0 {
		p.bare = text
	}
	var wrong []misfit
	switch {
	case in.fetcher == nil:
		wrong = misfits("/href", "inputs by reference are not accepted by this server; send the value")
	case !check.byReference:
		wrong = misfits("/href", "this input is not taken by reference; send the value")
	case len(in.refs) == maxReferences:
		wrong = misfits("/href", fmt.Sprintf("is one of more than %d references, which is too much for one request", maxReferences))
	default:
		wrong = in.locate(p, text)
	}
	if len(wrong) == 0 {
		in.refs = append(in.refs, p)
		return true
	}
	if p.bare != nil {
		return false
	}
	for _, w := range wrong {
		in.fault(id, pointer+w.at, w.message)
	}
	return true
}

// misfit is a wrong member of a reference.
type misfit struct{ at, message string }

func misfits(at, message string) []misfit { return []misfit{{at, message}} }

// locate fills in the reference of p, as far as it can be checked without
// asking anyone.
func (in *intake) locate(p *pending, text []byte) (wrong []misfit) {
	var l link
	if err := json.Unmarshal(text, &l); err != nil {
		at := ""
		if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && t.Field != "" {
			at = "/" + strings.ReplaceAll(t.Field, ".", "/")
		}
		return misfits(at, "is not of the type that it has in a reference")
	}
	for _, given := range []misfit{{"/type", l.Type}, {"/format/mediaType", l.Format.MediaType}, {"/mediaType", l.MediaType}} {
		if given.message == "" {
			continue
		}
		p.declared = normalMedia(given.message)
		if !isMedia(given.message) {
			wrong = misfits(given.at, "is not a media type")
		} else if _, _, ok := p.check.read(p.declared); !ok {
			wrong = misfits(given.at, "is "+p.declared+", for which this input has no use; it takes "+p.check.kinds())
		}
		break
	}
	p.ref = Reference{Href: l.Href, Header: map[string]string{"Accept": p.check.accept(p.declared)}}
	wrong = append(wrong, p.ref.request(l)...)
	if err := in.fetcher.Check(p.ref); err != nil {
		message := "cannot be followed"
		if r, ok := errors.AsType[*RemoteError](err); ok {
			message = r.Detail
		}
		wrong = append(wrong, misfit{"/href", message})
	}
	return wrong
}

// maxMedia is the longest media type that a client may declare, in bytes.
const maxMedia = 255

// allowedHeaders may be set by a client. Others could carry what a server
// takes for its own, or for someone's credentials.
var allowedHeaders = []string{"Accept", "Accept-Language", "Content-Type"}

// request fills in what a link of version 2.0 says about its request.
func (r *Reference) request(l link) (wrong []misfit) {
	for _, name := range slices.Sorted(maps.Keys(l.Headers)) {
		value := l.Headers[name]
		key := textproto.CanonicalMIMEHeaderKey(name)
		if !slices.Contains(allowedHeaders, key) {
			wrong = append(wrong, misfit{"/headers/" + escape(name),
				"is a header that this server does not send for a client; it sends " + strings.Join(allowedHeaders, ", ")})
		} else if len(value) > 1024 || strings.ContainsFunc(value, func(c rune) bool { return c < ' ' || c > '~' }) {
			wrong = append(wrong, misfit{"/headers/" + escape(name), "must be of at most 1024 printable ASCII characters"})
		}
		r.Header[key] = value
	}
	switch r.Method = l.Method; r.Method {
	case "":
		r.Method = "GET"
	case "GET", "POST":
	default:
		return append(wrong, misfit{"/method", `must be "GET" or "POST"`})
	}
	if l.Body == nil || string(l.Body) == "null" {
		return wrong
	}
	if r.Method == "GET" {
		return append(wrong, misfit{"/body", `is sent with the method "POST" only`})
	}
	r.Body = l.Body
	switch kind := essence(r.Header["Content-Type"]); {
	case kind == "":
		r.Header["Content-Type"] = "application/json"
	case !IsJSON(kind):
		var characters string
		if json.Unmarshal(l.Body, &characters) != nil {
			return append(wrong, misfit{"/body", "must be a string, as its content type is not JSON"})
		}
		r.Body = []byte(characters)
	}
	return wrong
}

// declaresHref reports whether a schema, or one of its alternatives or
// definitions, has a property href of its own.
func declaresHref(schema any) bool {
	switch s := schema.(type) {
	case []any:
		return slices.ContainsFunc(s, declaresHref)
	case map[string]any:
		if p, ok := s["properties"].(map[string]any); ok {
			if _, own := p["href"]; own {
				return true
			}
		}
		for _, keyword := range []string{"allOf", "anyOf", "oneOf", "if", "then", "else"} {
			if declaresHref(s[keyword]) {
				return true
			}
		}
		for _, keyword := range []string{"$defs", "definitions"} {
			definitions, _ := s[keyword].(map[string]any)
			for _, d := range definitions {
				if declaresHref(d) {
					return true
				}
			}
		}
	}
	return false
}
