package remote

import (
	"net/netip"
	"strings"
	"testing"

	"geomill/host/internal/job"
)

func TestPoliciesAreChecked(t *testing.T) {
	t.Parallel()
	_, err := New(Policy{Schemes: []string{"http", "file"}, Allow: []string{"a", "b/c"}, Deny: []string{"10.0.0.0/99"}, MaxBytes: -1})
	for _, part := range []string{`schemes: "file"`, `allow: "b/c"`, `deny: "10.0.0.0/99"`, "negative"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error %v lacks %s", err, part)
		}
	}
}

// What the policy says of URLs that need no look-up.
func TestServersAreAllowedAndDenied(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		policy   Policy
		fine, no string // URLs
	}{
		"https only": {Policy{Schemes: []string{"https"}}, "https://a.example", "http://a.example"},
		"private":    {Policy{Private: true}, "http://127.0.0.1 http://10.0.0.1:99 http://[::1] http://192.168.0.1 http://[::ffff:127.0.0.1]", "http://169.254.169.254 http://0.0.0.0 http://[fe80::1] http://224.0.0.1"},
		"one name":   {Policy{Allow: []string{"a.example"}}, "http://a.example http://A.example.:81", "http://b.example http://x.a.example http://8.8.8.8"},
		"names below": {Policy{Allow: []string{"*.a.example"}}, "http://x.a.example http://y.x.a.example",
			"http://a.example http://xa.example http://a.example.evil.example"},
		"one port":              {Policy{Allow: []string{"a.example:8080"}}, "http://a.example:8080", "http://a.example http://a.example:80 https://a.example"},
		"deny stands above":     {Policy{Allow: []string{"*.a.example"}, Deny: []string{"x.a.example", "y.a.example:81"}}, "http://z.a.example http://y.a.example", "http://x.a.example http://y.a.example:81"},
		"deny a range":          {Policy{Deny: []string{"8.8.0.0/16"}}, "http://8.9.0.1", "http://8.8.8.8 http://[::ffff:8.8.8.8] http://[64:ff9b::808:808]"},
		"deny all":              {Policy{Deny: []string{"*"}}, "", "http://a.example http://8.8.8.8"},
		"deny within private":   {Policy{Private: true, Deny: []string{"10.0.0.0/8"}}, "http://192.168.0.1", "http://10.0.0.1"},
		"a private range":       {Policy{Allow: []string{"10.1.0.0/16"}}, "http://10.1.2.3 http://maybe.example", "http://10.2.0.1 http://8.8.8.8 http://127.0.0.1"},
		"any, and a range":      {Policy{Allow: []string{"*", "10.1.0.0/16:80"}}, "http://8.8.8.8 http://a.example http://10.1.0.1", "http://10.1.0.1:81 http://10.2.0.1 http://127.0.0.1"},
		"link-local on request": {Policy{Allow: []string{"169.254.169.254"}}, "http://169.254.169.254", "http://169.254.169.253"},
		"all of IPv4 is not private": {Policy{Allow: []string{"0.0.0.0/0"}}, "http://8.8.8.8",
			"http://127.0.0.1 http://10.0.0.1 http://169.254.169.254 http://[2606::1]"},
		"a name is no address": {Policy{Allow: []string{"*"}}, "http://8.8.8.8", "http://127.0.0.1 http://[::1]"},
	} {
		client, err := New(c.policy)
		if err != nil {
			t.Fatal(name, err)
		}
		for _, u := range strings.Fields(c.fine) {
			if err := client.Check(job.Reference{Href: u}); err != nil {
				t.Errorf("%s: %s: %v", name, u, err)
			}
		}
		for _, u := range strings.Fields(c.no) {
			if client.Check(job.Reference{Href: u}) == nil {
				t.Errorf("%s: %s is allowed", name, u)
			}
		}
	}
}

func TestARangeMeansReservedAddressesOnlyIfItHasNoOthers(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"10.0.0.0/8": true, "10.1.0.0/16": true, "127.0.0.1/32": true, "169.254.169.254/32": true, "fd00::/8": true, "::1/128": true, "fe80::/10": true,
		"0.0.0.0/0": false, "10.0.0.0/7": false, "8.8.8.8/32": false, "::/0": false, "2000::/3": false, "2001:db8::/32": true,
	} {
		if got := reserved(netip.MustParsePrefix(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}
