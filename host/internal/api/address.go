package api

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// addresses knows the URLs under which clients reach the server (1.0 and 2.0
// want every href and Location to be usable as it is given).
type addresses struct {
	base     string // configured; empty: each request tells
	basePath string // the path of base
	trusted  []netip.Prefix
}

func newAddresses(c *Config) addresses {
	d := addresses{base: c.BaseURL, trusted: c.TrustedProxies}
	if u, err := url.Parse(c.BaseURL); err == nil {
		d.basePath = u.Path
	}
	return d
}

// resources are the first segments of the paths served here.
var resources = []string{"api", "conformance", "jobs", "processes"}

// removable reports whether a path prefix can be told from the paths served
// here. One that begins like them has to be removed by the proxy.
func removable(prefix string) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(prefix, "/"), "/")
	return first != "" && !slices.Contains(resources, first)
}

// of returns the absolute URL of the landing page for the client of a request,
// without a trailing slash: the configured one, or what trusted proxies say, or
// what the client itself asked for.
func (d *addresses) of(r *http.Request) string {
	if d.base != "" {
		return d.base
	}
	scheme, host := "http", strings.TrimSuffix(r.Host, ":")
	if r.TLS != nil {
		scheme = "https"
	}
	if host == "" {
		host = localAddress(r)
	}
	if !d.trusts(r.RemoteAddr) {
		return scheme + "://" + host
	}
	f := forwardedBy(r.Header, d.trusted)
	if f.proto != "" {
		scheme = f.proto
	}
	if f.host != "" {
		host = f.host
	}
	if f.port != "" && !hasPort(host) && f.port != defaultPort(scheme) {
		host += ":" + f.port
	}
	return scheme + "://" + host + f.prefix
}

// localAddress is for clients that name no host, as HTTP/1.0 allows.
func localAddress(r *http.Request) string {
	if a, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && validHost(a.String()) {
		return a.String()
	}
	return "localhost"
}

// trusts reports whether an address, with or without a port, is that of a
// trusted proxy.
func (d *addresses) trusts(remote string) bool {
	if len(d.trusted) == 0 {
		return false
	}
	a, ok := parseNode(remote)
	return ok && contains(d.trusted, a)
}

func contains(prefixes []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}

// parseNode reads an IP address, which may have a port, as RemoteAddr and the
// forwarded headers spell it.
func parseNode(s string) (netip.Addr, bool) {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone(""), true
	}
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	return a.Unmap().WithZone(""), err == nil
}

// path returns the path of the landing page as clients see it, without a
// trailing slash.
func (d *addresses) path(r *http.Request) string {
	if d.base != "" {
		return d.basePath
	}
	if r.Header["X-Forwarded-Prefix"] == nil || !d.trusts(r.RemoteAddr) {
		return ""
	}
	return forwardedBy(r.Header, d.trusted).prefix
}

// resource returns the path of the resource that a request is for: without the
// prefix of the server and without one trailing slash. An encoded slash is in no
// path of ours, and is not the same as a slash.
func (d *addresses) resource(r *http.Request) (string, bool) {
	if raw := r.URL.RawPath; raw != "" && (strings.Contains(raw, "%2F") || strings.Contains(raw, "%2f")) {
		return "", false
	}
	p := r.URL.Path
	if prefix := d.path(r); removable(prefix) {
		if rest, ok := strings.CutPrefix(p, prefix); ok && (rest == "" || rest[0] == '/') {
			p = rest
		}
	}
	if len(p) > 1 && p[len(p)-1] == '/' {
		p = p[:len(p)-1]
	}
	if p == "" {
		p = "/"
	}
	return p, true
}

// validHost reports whether s is a host name or an IP address, with or without a
// port, that can be part of a URL as it is (RFC 9110, section 7.2).
func validHost(s string) bool {
	name, port := s, ""
	if i := strings.LastIndexByte(s, ':'); i >= 0 && !strings.HasSuffix(s, "]") {
		name, port = s[:i], s[i+1:]
		if port != "" && !validPort(port) {
			return false
		}
	}
	if inner, ok := strings.CutPrefix(name, "["); ok {
		if inner, ok = strings.CutSuffix(inner, "]"); !ok {
			return false
		}
		a, err := netip.ParseAddr(inner)
		return err == nil && a.Is6() && a.Zone() == ""
	}
	return validName(name)
}

// validName reports whether s is labels of letters, digits, - and _ with dots
// between; the last may be empty.
func validName(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	label := 0
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
			label++
		case c == '.' && label > 0:
			label = 0
		default:
			return false
		}
	}
	return true
}

func validPort(s string) bool {
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' || n > 65535 {
			return false
		}
		n = 10*n + int(s[i]-'0')
	}
	return n >= 1 && n <= 65535
}

func hasPort(host string) bool {
	return strings.LastIndexByte(host, ':') > strings.LastIndexByte(host, ']')
}

func defaultPort(scheme string) string {
	if scheme == "https" {
		return "443"
	}
	return "80"
}
