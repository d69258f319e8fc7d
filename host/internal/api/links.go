package api

import (
	"net/http"
	"strings"

	"geomill/sdk/ogc"
)

// maxLinkHeaders bounds the links that a reply repeats in its header, which
// clients and proxies read into buffers.
const maxLinkHeaders = 24

// linkHeaders repeats links of a document in the header of its reply (spec 2.1).
// Those that plugins give and that do not fit into a header are left out.
func linkHeaders(h http.Header, links []ogc.Link) {
	for i, l := range links {
		if i == maxLinkHeaders {
			return
		}
		if v, ok := linkValue(l); ok {
			h.Add("Link", v)
		}
	}
}

// linkValue writes a link as RFC 8288 has it, without its title.
func linkValue(l ogc.Link) (string, bool) {
	if l.Href == "" || l.Rel == "" || strings.ContainsFunc(l.Href, notOfURIs) {
		return "", false
	}
	v := "<" + l.Href + ">"
	for _, param := range [...]struct{ name, value string }{{"rel", l.Rel}, {"type", l.Type}, {"hreflang", l.Hreflang}} {
		if strings.ContainsFunc(param.value, notOfQuotes) {
			return "", false
		}
		if param.value != "" {
			v += "; " + param.name + `="` + param.value + `"`
		}
	}
	return v, true
}

func notOfURIs(c rune) bool   { return c <= ' ' || c >= 0x7f || strings.ContainsRune(`<>"\^{}|`+"`", c) }
func notOfQuotes(c rune) bool { return c < ' ' || c >= 0x7f || c == '"' || c == '\\' }

// twin returns a link with the spelling of its relation that version 2.0 has.
func twin(l ogc.Link) ogc.Link {
	l.Rel = "https" + strings.TrimPrefix(l.Rel, "http")
	return l
}
