package api

import (
	"net/http"
	"net/netip"
	"strings"
)

// forwarded is what proxies tell of the request that they were sent. Members
// that they do not tell, or that are malformed, are empty.
type forwarded struct {
	proto  string // "http" or "https"
	host   string // with or without a port
	port   string
	prefix string // a path without a trailing slash
}

// forwardedBy reads the headers of a request that came from a trusted proxy.
// Where Forwarded and the X-Forwarded headers contradict each other, one of them
// is not the proxy's but was passed through from the client: neither counts.
func forwardedBy(h http.Header, trusted []netip.Prefix) forwarded {
	f := parseXForwarded(h, trusted)
	lines := h["Forwarded"]
	if len(lines) == 0 {
		return f
	}
	proto, host := parseForwarded(lines, trusted)
	f.proto, f.host = agreed(proto, f.proto), agreed(host, f.host)
	return f
}

func agreed(a, b string) string {
	switch {
	case a == "" || strings.EqualFold(a, b):
		return b
	case b == "":
		return a
	}
	return ""
}

// hop is one element of a Forwarded header: what one proxy tells.
type hop struct {
	node        netip.Addr // who sent it the request; invalid when it does not tell
	proto, host string
}

// parseForwarded reads Forwarded headers (RFC 7239). Each proxy adds an element
// at the end; the elements of trusted proxies count, the one of the outermost
// first. A header that is not well formed counts for nothing.
func parseForwarded(lines []string, trusted []netip.Prefix) (proto, host string) {
	var hops []hop
	for _, line := range lines {
		for rest := line; rest != ""; {
			var element string
			element, rest = cutList(rest, ',')
			h, ok := parseHop(element)
			if !ok {
				return "", ""
			}
			hops = append(hops, h)
		}
	}
	first := len(hops) - 1
	for first > 0 && hops[first].node.IsValid() && contains(trusted, hops[first].node) {
		first--
	}
	for _, h := range hops[max(first, 0):] {
		proto, host = orOther(proto, h.proto), orOther(host, h.host)
	}
	return proto, host
}

func orOther(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// parseHop reads one element: name=value pairs with semicolons between.
func parseHop(element string) (h hop, ok bool) {
	seen := map[string]bool{}
	for rest := element; rest != ""; {
		var pair string
		pair, rest = cutList(rest, ';')
		name, value, found := strings.Cut(strings.TrimSpace(pair), "=")
		name = strings.ToLower(name)
		if !found || !isToken(name) || seen[name] || !isToken(value) && !isQuoted(value) {
			return hop{}, false
		}
		seen[name] = true
		value = unquote(value)
		switch name {
		case "for":
			h.node, _ = parseNode(value) // else "unknown", or a name of its own
		case "proto":
			h.proto = protoOf(value)
		case "host":
			h.host = hostOf(value)
		}
	}
	return h, len(seen) > 0
}

// isQuoted reports whether s is one quoted string (RFC 9110, section 5.6.4).
func isQuoted(s string) bool {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return false
	}
	for i := 1; i < len(s)-1; i++ {
		switch c := s[i]; {
		case c == '"', c < ' ' && c != '\t', c == 0x7f:
			return false
		case c == '\\':
			if i++; i == len(s)-1 {
				return false
			}
		}
	}
	return true
}

// parseXForwarded reads the X-Forwarded headers, lists to which each proxy may
// add at the end. Their elements have no names: with n trusted proxies in a row,
// the n-th from the end is what the outermost of them said.
func parseXForwarded(h http.Header, trusted []netip.Prefix) forwarded {
	n := 1
	clients := listElements(h["X-Forwarded-For"])
	for i := len(clients) - 1; i >= 0; i-- {
		if a, ok := parseNode(clients[i]); !ok || !contains(trusted, a) {
			break
		}
		n++
	}
	said := func(name string) string {
		all := listElements(h["X-Forwarded-"+name])
		if len(all) == 0 {
			return ""
		}
		return all[max(0, len(all)-n)]
	}
	f := forwarded{proto: protoOf(said("Proto")), host: hostOf(said("Host")), prefix: prefixOf(said("Prefix"))}
	if p := said("Port"); validPort(p) {
		f.port = p
	}
	return f
}

func listElements(lines []string) (elements []string) {
	for _, line := range lines {
		for e := range strings.SplitSeq(line, ",") {
			elements = append(elements, strings.TrimSpace(e))
		}
	}
	return elements
}

func protoOf(s string) string {
	if s = strings.ToLower(s); s == "http" || s == "https" {
		return s
	}
	return ""
}

func hostOf(s string) string {
	if validHost(s) {
		return strings.TrimSuffix(s, ":")
	}
	return ""
}

// prefixOf returns a path of plain segments without its trailing slash, or "".
func prefixOf(s string) string {
	s = strings.TrimSuffix(s, "/")
	if len(s) > 512 || !strings.HasPrefix(s, "/") {
		return ""
	}
	for segment := range strings.SplitSeq(s[1:], "/") {
		if segment == "." || segment == ".." || strings.ContainsRune(segment, ':') || !saneID(segment) {
			return ""
		}
	}
	return s
}
