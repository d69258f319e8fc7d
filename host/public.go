package host

import (
	"fmt"
	"net/netip"
	"slices"
)

// proxies returns the networks of TrustedProxies.
func (c Config) proxies() ([]netip.Prefix, error) {
	list := make([]netip.Prefix, 0, len(c.TrustedProxies))
	for _, s := range c.TrustedProxies {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			a, e := netip.ParseAddr(s)
			if e != nil || a.Zone() != "" {
				return nil, fmt.Errorf("%q is not an IP address or a network such as 10.0.0.0/8", s)
			}
			p = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen())
		}
		list = append(list, p)
	}
	return list, nil
}

// noOrigins turns CORS off where a list cannot be empty, as in a flag.
const noOrigins = "none"

// origins returns CORSOrigins as the api takes them.
func (c Config) origins() []string {
	if slices.Equal(c.CORSOrigins, []string{noOrigins}) {
		return nil
	}
	return c.CORSOrigins
}
