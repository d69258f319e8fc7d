package host

import (
	"fmt"
	"testing"
)

func TestTrustedProxiesAreAddressesOrNetworks(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"10.0.0.0/8": "10.0.0.0/8", "192.0.2.1": "192.0.2.1/32", "::1": "::1/128", "::ffff:192.0.2.1": "192.0.2.1/32",
		"10.0.0.0/33": "", "proxy.example": "", "10.0.0.1:80": "", "fe80::1%eth0": "", "": "",
	} {
		got, err := Config{TrustedProxies: []string{given}}.proxies()
		if (err == nil) != (want != "") || err == nil && fmt.Sprint(got) != "["+want+"]" {
			t.Errorf("%q: %v, %v", given, got, err)
		}
	}
}

func TestNoneTurnsOriginsOff(t *testing.T) {
	t.Parallel()
	for _, c := range []Config{{CORSOrigins: []string{"none"}}, {CORSOrigins: []string{}}, {}} {
		if got := c.origins(); len(got) != 0 {
			t.Errorf("%v: %v", c.CORSOrigins, got)
		}
	}
	if got := Default().origins(); len(got) != 1 || got[0] != "*" {
		t.Errorf("by default %v", got)
	}
}
