package remote

import "net/netip"

// class says what a server may do with an address that a client named.
type class int

const (
	public  class = iota // on the Internet, of anyone
	private              // of this machine or this site: only if the policy says so
	special              // never the address of a server that a client may name
)

// privateRanges are loopback, private use (RFC 1918, RFC 4193) and shared
// address space (RFC 6598).
var privateRanges = prefixes(
	"10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",
	"::1/128", "fc00::/7",
)

// specialRanges are the other ranges without global reach (RFC 6890 and the
// registries it made), and the tunnels 6to4 and Teredo, which carry an IPv4
// address that would have to be checked again. Link-local is here and not
// among the private ones for the metadata services of clouds.
var specialRanges = prefixes(
	"0.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24",
	"198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
)

var (
	globalUnicast = netip.MustParsePrefix("2000::/3")     // all of IPv6 that is in public use
	nat64         = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052: an IPv4 address seen from IPv6
)

func prefixes(texts ...string) []netip.Prefix {
	ps := make([]netip.Prefix, len(texts))
	for i, t := range texts {
		ps[i] = netip.MustParsePrefix(t)
	}
	return ps
}

// plain returns the address that is meant: without zone, and the IPv4 address
// that an IPv6 one stands for.
func plain(a netip.Addr) netip.Addr {
	a = a.WithZone("").Unmap()
	if nat64.Contains(a) {
		b := a.As16()
		return netip.AddrFrom4([4]byte(b[12:]))
	}
	return a
}

// classOf classifies an address that is plain.
func classOf(a netip.Addr) class {
	switch {
	case !a.IsValid(), within(a, specialRanges):
		return special
	case within(a, privateRanges):
		return private
	case a.Is6() && !globalUnicast.Contains(a):
		return special
	}
	return public
}

func within(a netip.Addr, ranges []netip.Prefix) bool {
	for _, r := range ranges {
		if r.Contains(a) {
			return true
		}
	}
	return false
}

// reserved reports whether no address of p is public, so that an operator who
// lists it means what is usually refused.
func reserved(p netip.Prefix) bool {
	for _, ranges := range [][]netip.Prefix{privateRanges, specialRanges} {
		for _, r := range ranges {
			if p.Bits() >= r.Bits() && r.Contains(p.Addr()) {
				return true
			}
		}
	}
	return p.Addr().Is6() && !p.Overlaps(globalUnicast)
}
