package api

import (
	"strings"

	"geomill/host/internal/job"
)

// Media types that are named in more than one place.
const (
	mediaJSON      = "application/json"
	mediaProblem   = "application/problem+json"
	mediaText      = "text/plain"
	mediaMultipart = "multipart/related"
	mediaHTML      = "text/html"
	mediaOpenAPI   = "application/vnd.oai.openapi+json;version=3.0"
	mediaOpenAPI31 = "application/vnd.oai.openapi+json;version=3.1"
)

// mediaRange is one element of an Accept header (RFC 9110, section 12.5.1).
// Parameters other than q are not kept: they never tell our offers apart.
type mediaRange struct {
	main, sub string // lower case; "*" is any
	q         int    // thousandths, 0 to 1000
}

// accept is what a client can read. Nil is everything.
type accept []mediaRange

// parseAccept reads the Accept headers of a request. Elements that are not media
// ranges are skipped; when nothing is left, everything is accepted.
func parseAccept(headers []string) accept {
	if len(headers) == 0 || len(headers) == 1 && (headers[0] == "*/*" || headers[0] == "") {
		return nil
	}
	var a accept
	for _, h := range headers {
		for h != "" {
			var element string
			element, h = cutList(h, ',')
			if r, ok := parseRange(element); ok {
				a = append(a, r)
			}
		}
	}
	return a
}

func parseRange(s string) (mediaRange, bool) {
	name, rest := cutList(s, ';')
	main, sub, ok := strings.Cut(strings.TrimSpace(name), "/")
	if !ok || !isToken(main) || !isToken(sub) || main == "*" && sub != "*" {
		return mediaRange{}, false
	}
	r := mediaRange{main: strings.ToLower(main), sub: strings.ToLower(sub), q: 1000}
	for rest != "" {
		var param string
		param, rest = cutList(rest, ';')
		key, value, _ := strings.Cut(param, "=")
		if strings.EqualFold(strings.TrimSpace(key), "q") {
			if r.q, ok = parseQuality(strings.TrimSpace(value)); !ok {
				return mediaRange{}, false
			}
		}
	}
	return r, true
}

// parseQuality reads "1", "0.5", "1.000": up to three decimals.
func parseQuality(s string) (int, bool) {
	whole, fraction, _ := strings.Cut(s, ".")
	if whole != "0" && whole != "1" || len(fraction) > 3 {
		return 0, false
	}
	q := 0
	for i := range 3 {
		q *= 10
		if i < len(fraction) {
			if fraction[i] < '0' || fraction[i] > '9' {
				return 0, false
			}
			q += int(fraction[i] - '0')
		}
	}
	if whole == "1" {
		return 1000, q == 0
	}
	return q, true
}

// quality says how welcome a media type is, 0 (refused) to 1000. The most
// specific range that matches decides.
func (a accept) quality(mediaType string) int {
	if len(a) == 0 {
		return 1000
	}
	main, sub := splitType(mediaType)
	best, q := 0, 0
	for _, r := range a {
		rank := 0
		switch {
		case strings.EqualFold(r.main, main) && strings.EqualFold(r.sub, sub):
			rank = 3
		case strings.EqualFold(r.main, main) && r.sub == "*":
			rank = 2
		case r.main == "*":
			rank = 1
		}
		if rank > best || rank == best && rank > 0 && r.q > q {
			best, q = rank, r.q
		}
	}
	return q
}

func (a accept) admits(mediaType string) bool { return a.quality(mediaType) > 0 }

// names reports whether the client asks for the very media type.
func (a accept) names(mediaType string) bool {
	main, sub := splitType(mediaType)
	for _, r := range a {
		if r.q > 0 && strings.EqualFold(r.main, main) && strings.EqualFold(r.sub, sub) {
			return true
		}
	}
	return false
}

// choose returns the most welcome offer, the earlier one when two are equal, and
// "" when all are refused.
func (a accept) choose(offers ...string) string {
	best, q := "", 0
	for _, o := range offers {
		if n := a.quality(o); n > q {
			best, q = o, n
		}
	}
	return best
}

// splitType returns the two halves of a media type, without parameters.
func splitType(mediaType string) (main, sub string) {
	mediaType, _, _ = strings.Cut(mediaType, ";")
	main, sub, _ = strings.Cut(strings.TrimSpace(mediaType), "/")
	return main, sub
}

// sameType compares media types without their parameters.
func sameType(a, b string) bool {
	am, as := splitType(a)
	bm, bs := splitType(b)
	return strings.EqualFold(am, bm) && strings.EqualFold(as, bs)
}

// isJSON reports whether values of a media type are JSON text, as those without
// one are.
func isJSON(mediaType string) bool {
	return mediaType == "" || mediaType == mediaJSON || job.IsJSON(mediaType)
}

// isText reports whether bytes of a media type can be a JSON string as they are.
func isText(mediaType string) bool {
	main, sub := splitType(mediaType)
	sub = strings.ToLower(sub)
	if !strings.EqualFold(main, "text") && sub != "xml" && !strings.HasSuffix(sub, "+xml") {
		return false
	}
	_, params, _ := strings.Cut(mediaType, ";")
	return isUTF8(params)
}

// isUTF8 reports whether the charset among media type parameters, if there is
// one, is UTF-8 or a part of it.
func isUTF8(params string) bool {
	for params != "" {
		var param string
		param, params = cutList(params, ';')
		key, value, _ := strings.Cut(param, "=")
		if strings.EqualFold(strings.TrimSpace(key), "charset") {
			value = strings.Trim(strings.TrimSpace(value), `"`)
			return strings.EqualFold(value, "utf-8") || strings.EqualFold(value, "utf8") || strings.EqualFold(value, "us-ascii")
		}
	}
	return true
}

// cutList cuts s at the first separator outside of a quoted string.
func cutList(s string, separator byte) (element, rest string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			i++
		case c == separator && !quoted:
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

// isToken reports whether s is a token (RFC 9110, section 5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}
