package remote

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"geomill/host/internal/job"
)

func TestRulesAreRead(t *testing.T) {
	t.Parallel()
	prefix := netip.MustParsePrefix
	for text, want := range map[string]rule{
		"*": {any: true}, "*:8080": {any: true, port: 8080},
		"example.org": {name: "example.org"}, " Example.ORG. ": {name: "example.org"}, "example.org:443": {name: "example.org", port: 443},
		"localhost": {name: "localhost"}, "a_b-c.d": {name: "a_b-c.d"}, "xn--bcher-kva.example": {name: "xn--bcher-kva.example"},
		"*.example.org": {below: ".example.org"}, "*.example.org:80": {below: ".example.org", port: 80},
		"10.0.0.1": {net: prefix("10.0.0.1/32")}, "10.0.0.1:80": {net: prefix("10.0.0.1/32"), port: 80},
		"10.1.2.3/8": {net: prefix("10.0.0.0/8")}, "10.0.0.0/8:8080": {net: prefix("10.0.0.0/8"), port: 8080},
		"::1": {net: prefix("::1/128")}, "[::1]": {net: prefix("::1/128")}, "[::1]:80": {net: prefix("::1/128"), port: 80},
		"fd00::/8": {net: prefix("fd00::/8")}, "[fd00::/8]:80": {net: prefix("fd00::/8"), port: 80}, "0.0.0.0/0": {net: prefix("0.0.0.0/0")},
	} {
		got, err := parseRule(text)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v, want %+v", text, got, err, want)
		}
	}
}

func TestRulesThatAreNoneAreRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", " ", "*.", "*.*", "a.*", "**", "*example.org", ".example.org", "a..b", "http://a", "a/b", "a b", "a,b", "user@a", "bücher.example",
		"a:", "a:0", "a:65536", "a:x", "a:+1", "a:-1", "a:1:2", ":80", "[::1", "[::1]80", "[::1]:", "[]", "[a]:80", "[10.0.0.1]:80", "[a:b]",
		"10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "1.2.3", "127.1", "0x7f.1", "0177.0.0.1", "2130706433", "256.1.1.1", "fe80::1%eth0",
		"::ffff:10.0.0.1", "::ffff:10.0.0.0/104", "*.10.0.0.1", "*.10", strings.Repeat("a", 64), strings.Repeat("a.", 130) + "b",
	} {
		if r, err := parseRule(text); err == nil {
			t.Errorf("%q is read as %+v", text, r)
		}
	}
}

// FuzzParseRule looks for rules that are read as more or less than one thing,
// or that differ from what their normal spelling means.
func FuzzParseRule(f *testing.F) {
	for _, seed := range []string{"*", "*.a:1", "a", "10.0.0.0/8:80", "[fd00::/8]:80", "[::1]", "1.2.3.4", "0x7f", "a:99999", "[", "*:"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := parseRule(text)
		if err != nil {
			return
		}
		kinds := 0
		for _, set := range []bool{r.any, r.name != "", r.below != "", r.net.IsValid()} {
			if set {
				kinds++
			}
		}
		if kinds != 1 {
			t.Fatalf("%q is read as %+v", text, r)
		}
		port := max(r.port, 1)
		switch {
		case r.net.IsValid():
			if a := r.net.Addr(); a != plain(a) && !nat64.Contains(a) || !r.fitsAddress(a, port) || r.fitsName("a.example", port) {
				t.Errorf("%q, read as %+v, does not fit itself", text, r)
			}
		case r.name != "":
			if _, _, err := parseHost(r.name); err != nil || !r.fitsName(r.name, port) || r.fitsName("x"+r.name, port) {
				t.Errorf("%q, read as %+v, does not fit itself only: %v", text, r, err)
			}
		case r.below != "":
			if r.fitsName(r.below[1:], port) || !r.fitsName("x"+r.below, port) || r.fitsName("x"+r.below[1:], port) {
				t.Errorf("%q, read as %+v, does not fit what is below it only", text, r)
			}
		}
		if r.port != 0 && (r.fitsName(r.name+"x", r.port+1) || r.fitsAddress(r.net.Addr(), r.port+1)) {
			t.Errorf("%q fits another port", text)
		}
	})
}

// FuzzCheckURL looks for URLs that are let through although they are not plain
// http to a name, or to a public address.
func FuzzCheckURL(f *testing.F) {
	for _, seed := range hostile {
		f.Add(seed)
	}
	f.Add("https://example.org/a?b#c")
	f.Add("http://8.8.8.8:80")
	c, err := New(Policy{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, href string) {
		u, err := c.locate(job.Reference{Href: href})
		if err != nil {
			if r, ok := errors.AsType[*job.RemoteError](err); !ok || r.Kind != job.RemoteRefused {
				t.Errorf("%q: %v is not a refusal", href, err)
			}
			return
		}
		if u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.Host == "" || strings.ContainsAny(u.String(), "\r\n\x00 ") {
			t.Errorf("%q is let through as %+v", href, u)
		}
		name, addr, err := parseHost(u.Hostname())
		if err != nil || name == "" && classOf(plain(addr)) != public {
			t.Errorf("%q is let through to %q %v: %v", href, name, addr, err)
		}
		if _, err := url.Parse(u.String()); err != nil {
			t.Errorf("%q is let through as %s: %v", href, u, err)
		}
	})
}

// hostile are URLs that the default policy refuses without asking anyone.
var hostile = []string{
	"", "/etc/passwd", "data.json", "//example.org/a", "?", "#a", "http:", "http://", "http:///a", "http:example.org", "http://:80/", "https://?a", "http://a? ",
	"file:///etc/passwd", "file://localhost/etc/passwd", "FILE:///etc/passwd", "ftp://example.org/a", "gopher://example.org:70/1", "data:application/json,1",
	"javascript:alert(1)", "jar:http://example.org!/a", "unix:/run/x.sock", "ldap://example.org", "dict://example.org:11211/stat", "ws://example.org", "s3://bucket/key",
	"http://user:pass@example.org/", "http://user@example.org/", "http://@example.org/", "http://:@example.org", "http://example.org@127.0.0.1/",
	"http://127.0.0.1/", "http://127.0.0.1:22", "http://127.255.0.1", "http://10.0.0.1/", "http://192.168.1.1/", "http://172.16.0.1", "http://100.64.0.1",
	"http://169.254.169.254/latest/meta-data/", "http://0.0.0.0/", "http://255.255.255.255", "http://224.0.0.1/", "http://[::1]/", "http://[::]/", "http://[0:0:0:0:0:0:0:1]",
	"http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "http://[::127.0.0.1]/", "http://[64:ff9b::7f00:1]/", "http://[64:ff9b::169.254.169.254]/", "http://[2002:7f00:1::]/",
	"http://[2001:0:7f00:1::]/", "http://[fe80::1]/", "http://[fe80::1%25eth0]/", "http://[fd00:ec2::254]/", "http://[ff02::1]/",
	"http://2130706433/", "http://0x7f000001/", "http://017700000001/", "http://0177.0.0.1/", "http://127.1/", "http://0x7f.0.0.1", "http://127.0.0.1./", "http://127.0.0.0x1/",
	"http://256.256.256.256", "http://1.2.3.4.5", "http://①②⑦.0.0.1/", "http://example。org/", "http://%31%32%37.0.0.1/", "http://bücher.example/", "http://a..b/", "http://.a/", "http://a b/",
	"http://example.org:0/", "http://example.org:65536/", "http://example.org:/", "http://example.org:http/", "http://example.org:-1/",
	"http://example.org/\r\nX: y", "http://example.org/\x00", "http://exam\tple.org/", "http://example.org\\@127.0.0.1/", "\x01http://example.org", "http://[::1", "http://::1/", "%zz",
	"http://example.org/" + strings.Repeat("a", maxURL), "http://" + strings.Repeat("a.", 200) + "org/",
}

func TestHostileURLsAreRefusedWithoutAskingAnyone(t *testing.T) {
	t.Parallel()
	c, err := New(Policy{})
	if err != nil {
		t.Fatal(err)
	}
	for _, href := range hostile {
		err := c.Check(job.Reference{Href: href})
		if r, ok := errors.AsType[*job.RemoteError](err); !ok || r.Kind != job.RemoteRefused || r.Detail == "" {
			t.Errorf("%.80q: %v", href, err)
		}
	}
	for _, href := range []string{
		"http://example.org", "HTTPS://Example.ORG./a?b=c#d", "http://example.org:8080/%00", "http://8.8.8.8/", "http://[2606:2800:220:1::1]:80/",
		"http://[::ffff:8.8.8.8]/", "http://localhost.example/", "http://7.example.org", "http://a_b.example/", "http://0x7g.example/",
	} {
		if err := c.Check(job.Reference{Href: href}); err != nil {
			t.Errorf("%q: %v", href, err)
		}
	}
}
