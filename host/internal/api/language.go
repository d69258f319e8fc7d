package api

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/text/language"
)

// maxLanguages is how much of an Accept-Language header is read, in bytes.
const maxLanguages = 512

// languageTag is the form of the tags that the parameter lang takes (RFC 5646).
var languageTag = regexp.MustCompile(`^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$`)

// wantedLanguages returns the languages that a client reads, the most welcome
// first: the parameter lang, then the Accept-Language header (RFC 9110, section
// 12.5.4), of which what is malformed is skipped. Nil is any.
func wantedLanguages(r *http.Request, q url.Values) ([]language.Tag, error) {
	var wanted []language.Tag
	if values, given := q["lang"]; given {
		if !languageTag.MatchString(values[0]) {
			return nil, badParameter("lang", "must be a language tag such as de or pt-BR")
		}
		if tag, err := language.Parse(values[0]); err == nil { // else it is one that nobody speaks
			wanted = append(wanted, tag)
		}
	}
	if lines := r.Header["Accept-Language"]; len(lines) > 0 && len(lines[0]) <= maxLanguages {
		tags, _, _ := language.ParseAcceptLanguage(lines[0]) // malformed: no wish
		wanted = append(wanted, tags...)
	}
	return wanted, nil
}

// sayLanguages says in the header of a reply which languages its texts are in,
// and whether the reply would be another for others.
func sayLanguages(h http.Header, names []string, translated bool) {
	slices.Sort(names)
	h.Set("Content-Language", strings.Join(slices.Compact(names), ", "))
	if translated {
		h.Add("Vary", "Accept-Language")
	}
}
