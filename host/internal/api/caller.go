package api

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/netip"
	"strings"
)

// longestCaller is how much of a caller's name is kept as it is, in bytes.
const longestCaller = 128

// caller says who sends a request, as far as turns in the queue and limits of
// callers go: by address, where all of an IPv6 network of 64 bits is one, or by
// the header that trusted proxies tell it with.
func (a *API) caller(r *http.Request) string {
	peer, ok := parseNode(r.RemoteAddr)
	if !ok {
		return ""
	}
	if len(a.address.trusted) == 0 || !contains(a.address.trusted, peer) {
		return network(peer)
	}
	if name := a.config.CallerHeader; name != "" {
		if v := strings.TrimSpace(r.Header.Get(name)); v != "" {
			return named(v)
		}
	}
	return network(clientOf(r.Header, a.address.trusted, peer))
}

// named is the caller of a header's value. It is told from any address.
func named(v string) string {
	if len(v) > longestCaller || !validText(v) {
		sum := sha256.Sum256([]byte(v))
		v = hex.EncodeToString(sum[:])
	}
	return "=" + v
}

func network(a netip.Addr) string {
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}

// clientOf returns the address that the outermost trusted proxy had its request
// from, as far as the headers tell. Where Forwarded and X-Forwarded-For
// contradict each other neither counts, as in forwardedBy.
func clientOf(h http.Header, trusted []netip.Prefix, peer netip.Addr) netip.Addr {
	x, known := outermost(listElements(h["X-Forwarded-For"]), trusted, peer)
	if lines := h["Forwarded"]; len(lines) > 0 {
		f, ok := outermost(forElements(lines), trusted, peer)
		switch {
		case ok && known && f != x:
			return peer
		case ok:
			return f
		}
	}
	return x
}

// outermost goes through addresses from the last on, the peer's being the one
// before, as long as they are those of trusted proxies. What is no address ends
// the way.
func outermost(nodes []string, trusted []netip.Prefix, peer netip.Addr) (a netip.Addr, known bool) {
	for i := len(nodes) - 1; i >= 0; i-- {
		next, ok := parseNode(nodes[i])
		if !ok {
			return peer, known
		}
		if peer, known = next, true; !contains(trusted, next) {
			break
		}
	}
	return peer, known
}

// forElements returns what each proxy of a Forwarded header says of its client.
// A header that is not well formed says nothing.
func forElements(lines []string) (nodes []string) {
	for _, line := range lines {
		for rest := line; rest != ""; {
			var element string
			element, rest = cutList(rest, ',')
			h, ok := parseHop(element)
			if !ok {
				return nil
			}
			node := "unknown"
			if h.node.IsValid() {
				node = h.node.String()
			}
			nodes = append(nodes, node)
		}
	}
	return nodes
}
