package api

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// cors lets pages of other origins use the API, without credentials (spec 2.1;
// the protocol is that of the Fetch standard). Nil is off.
type cors struct {
	any     bool
	origins map[string]bool
}

// AnyOrigin in Config.CORSOrigins stands for all of them.
const AnyOrigin = "*"

// newCORS checks the origins: none turns the protocol off.
func newCORS(origins []string) (*cors, error) {
	if len(origins) == 0 {
		return nil, nil
	}
	c := &cors{origins: make(map[string]bool, len(origins))}
	for _, o := range origins {
		if o == AnyOrigin {
			c.any = true
			continue
		}
		u, err := url.Parse(o)
		if err != nil || u.Scheme == "" || !validHost(u.Host) || o != u.Scheme+"://"+u.Host {
			return nil, fmt.Errorf("%q is not an origin such as https://example.org, nor *", o)
		}
		c.origins[strings.ToLower(o)] = true
	}
	return c, nil
}

// CheckCORSOrigins reports what New would say of Config.CORSOrigins.
func CheckCORSOrigins(origins []string) error {
	_, err := newCORS(origins)
	return err
}

// Header values of the protocol; net/http only reads them.
var (
	corsAny    = []string{"*"}
	corsExpose = []string{"Accept-Ranges, Age, Allow, Cache-Status, Content-Disposition, Content-Range, ETag, Link, Location, " +
		"OGC-Output-Values-Count, Preference-Applied, Retry-After, X-Request-Id"}
	corsMaxAge = []string{"3600"} // seconds that a preflight answer holds
)

// admits reports whether the page that made a request may read the reply.
func (c *cors) admits(r *http.Request) bool {
	o := r.Header["Origin"]
	return c != nil && len(o) == 1 && (c.any || c.origins[strings.ToLower(o[0])])
}

// answer says to a page that it may read the reply.
func (c *cors) answer(h http.Header, r *http.Request) {
	if !c.admits(r) {
		return
	}
	h["Access-Control-Allow-Origin"] = corsAny
	if !c.any {
		h["Access-Control-Allow-Origin"] = []string{r.Header["Origin"][0]}
	}
	h["Access-Control-Expose-Headers"] = corsExpose
}

// options answers OPTIONS, the router having said what the resource allows. For
// a preflight request it allows the headers asked for.
func (c *cors) options(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	if c.admits(r) && r.Header["Access-Control-Request-Method"] != nil {
		h["Access-Control-Allow-Methods"] = h["Allow"]
		h["Access-Control-Max-Age"] = corsMaxAge
		if names := headerNames(r.Header["Access-Control-Request-Headers"]); names != "" {
			h["Access-Control-Allow-Headers"] = []string{names}
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

// headerNames returns what is a header name in lists of them.
func headerNames(lists []string) string {
	var names []string
	for _, name := range listElements(lists) {
		if isToken(name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}
