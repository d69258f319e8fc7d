package remote

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// rule is one entry of Policy.Allow or Policy.Deny. Exactly one of any, name,
// below and net is set.
type rule struct {
	any   bool
	name  string       // this host
	below string       // hosts whose name ends in this, which begins with a dot
	net   netip.Prefix // hosts with an address in it
	port  uint16       // 0: every port
}

// parseRule reads *, a host name, *.suffix, an address or a range of addresses
// in CIDR notation, each with :port if it is for one port only. An IPv6 address
// or range with a port stands in brackets.
func parseRule(text string) (rule, error) {
	host, port, err := splitPort(strings.ToLower(strings.TrimSpace(text)))
	if err != nil {
		return rule{}, fmt.Errorf("%q: %w", text, err)
	}
	r := rule{port: port}
	suffix, isSuffix := strings.CutPrefix(host, "*.")
	switch {
	case host == "*":
		r.any = true
		return r, nil
	case strings.Contains(host, "/"):
		r.net, err = netip.ParsePrefix(host)
	default:
		var name string
		var addr netip.Addr
		name, addr, err = parseHost(suffix)
		switch {
		case err != nil:
		case addr.IsValid() && isSuffix:
			err = errors.New("has an address where a host name belongs")
		case addr.IsValid():
			r.net = netip.PrefixFrom(addr, addr.BitLen())
		case isSuffix:
			r.below = "." + name
		default:
			r.name = name
		}
	}
	if err == nil && r.net.Addr().Is4In6() {
		err = errors.New("is an IPv4 address: write it as one")
	}
	if err != nil {
		return rule{}, fmt.Errorf("%q: %w", text, err)
	}
	r.net = r.net.Masked()
	return r, nil
}

// splitPort takes a port off, if there is one.
func splitPort(text string) (host string, port uint16, err error) {
	rest, bracketed := strings.CutPrefix(text, "[")
	var digits string
	colon := false
	switch {
	case bracketed:
		if host, digits, colon = strings.Cut(rest, "]"); !colon {
			return "", 0, errors.New("has no closing bracket")
		}
		if !strings.Contains(host, ":") {
			return "", 0, errors.New("has brackets around what is no IPv6 address")
		}
		if digits == "" {
			return host, 0, nil
		}
		if digits, colon = strings.CutPrefix(digits, ":"); !colon {
			return "", 0, errors.New("has something other than a port after the bracket")
		}
	case strings.Count(text, ":") == 1:
		host, digits, _ = strings.Cut(text, ":")
	default:
		return text, 0, nil
	}
	port, err = parsePort(digits)
	return host, port, err
}

func parsePort(digits string) (uint16, error) {
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || n == 0 {
		return 0, errors.New("has a port that is no number from 1 to 65535")
	}
	return uint16(n), nil
}

// parseHost reads the host of a URL: a name in lower case without a trailing
// dot, or an address. Spellings that one program takes for an address and
// another for a name, such as 127.1 or 0x7f000001, are neither.
func parseHost(text string) (name string, addr netip.Addr, err error) {
	if addr, err = netip.ParseAddr(text); err == nil {
		if addr.Zone() != "" {
			return "", netip.Addr{}, errors.New("has an address with a zone")
		}
		return "", addr, nil
	}
	name = strings.ToLower(strings.TrimSuffix(text, "."))
	if name == "" || len(name) > 253 {
		return "", netip.Addr{}, errors.New("has no host name of 1 to 253 characters")
	}
	last := ""
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.ContainsFunc(label, notInLabel) {
			return "", netip.Addr{}, errors.New("has a host name with other characters than letters, digits and hyphens between dots")
		}
		last = label
	}
	if looksNumeric(last) {
		return "", netip.Addr{}, errors.New("has a host that is neither a name nor an address as usually written")
	}
	return name, netip.Addr{}, nil
}

func notInLabel(c rune) bool {
	return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_'
}

// looksNumeric reports whether the last label of a name is a number, decimal or
// hexadecimal, so that some resolvers take the name for an IPv4 address.
func looksNumeric(label string) bool {
	if digits, ok := strings.CutPrefix(label, "0x"); ok {
		return strings.Trim(digits, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}

func (r rule) onPort(port uint16) bool { return r.port == 0 || r.port == port }

// fitsName reports whether the rule is for a host by its name.
func (r rule) fitsName(name string, port uint16) bool {
	if !r.onPort(port) {
		return false
	}
	return r.any || r.name != "" && r.name == name || r.below != "" && strings.HasSuffix(name, r.below)
}

// fitsAddress reports whether the rule is for a range with a plain address.
func (r rule) fitsAddress(a netip.Addr, port uint16) bool {
	return r.onPort(port) && r.net.IsValid() && r.net.Contains(a)
}
