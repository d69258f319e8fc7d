package api

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// inside trusts the addresses that the tests give to proxies.
func inside(c *Config) {
	c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("127.0.0.1/32")}
}

func TestPublicURLComesFromTrustedProxiesOnly(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, peer string
		headers    []string
		want       string
	}{
		{"no headers", "10.0.0.1:9", nil, "http://host.example"},
		{"an untrusted peer", "192.0.2.1:9", []string{"X-Forwarded-Host: evil.example", "Forwarded: host=evil.example;proto=https"}, "http://host.example"},
		{"a peer without an address", "@", []string{"X-Forwarded-Host: evil.example"}, "http://host.example"},
		{"host and proto", "10.0.0.1:9", []string{"X-Forwarded-Host: pub.example", "X-Forwarded-Proto: HTTPS"}, "https://pub.example"},
		{"proto alone", "10.0.0.1:9", []string{"X-Forwarded-Proto: https"}, "https://host.example"},
		{"a peer with IPv6", "[fd00::1]:9", []string{"X-Forwarded-Host: pub.example"}, "http://pub.example"},
		{"IPv4 in IPv6", "[::ffff:10.0.0.1]:9", []string{"X-Forwarded-Host: pub.example"}, "http://pub.example"},
		{"host with a port", "10.0.0.1:9", []string{"X-Forwarded-Host: pub.example:8443", "X-Forwarded-Port: 9"}, "http://pub.example:8443"},
		{"port", "10.0.0.1:9", []string{"X-Forwarded-Host: pub.example", "X-Forwarded-Port: 8443"}, "http://pub.example:8443"},
		{"port of an address", "10.0.0.1:9", []string{"X-Forwarded-Host: [2001:db8::1]", "X-Forwarded-Port: 81"}, "http://[2001:db8::1]:81"},
		{"the default port", "10.0.0.1:9", []string{"X-Forwarded-Proto: https", "X-Forwarded-Port: 443"}, "https://host.example"},
		{"no port", "10.0.0.1:9", []string{"X-Forwarded-Port: 99999"}, "http://host.example"},
		{"prefix", "10.0.0.1:9", []string{"X-Forwarded-Prefix: /ogc/v1/"}, "http://host.example/ogc/v1"},
		{"prefix with dots", "10.0.0.1:9", []string{"X-Forwarded-Prefix: /a/../b"}, "http://host.example"},
		{"prefix of a host", "10.0.0.1:9", []string{"X-Forwarded-Prefix: //evil.example"}, "http://host.example"},
		{"prefix with markup", "10.0.0.1:9", []string{"X-Forwarded-Prefix: /<script>"}, "http://host.example"},
		{"host with markup", "10.0.0.1:9", []string{`X-Forwarded-Host: a"><b`}, "http://host.example"},
		{"host with a path", "10.0.0.1:9", []string{"X-Forwarded-Host: evil.example/x"}, "http://host.example"},
		{"host with a user", "10.0.0.1:9", []string{"X-Forwarded-Host: me@evil.example"}, "http://host.example"},
		{"another scheme", "10.0.0.1:9", []string{"X-Forwarded-Proto: javascript"}, "http://host.example"},
		{"a client's own element before the proxy's", "10.0.0.1:9", []string{"X-Forwarded-Host: evil.example, pub.example", "X-Forwarded-For: 1.2.3.4, 192.0.2.7"}, "http://pub.example"},
		{"two proxies", "10.0.0.1:9", []string{"X-Forwarded-Host: evil.example, pub.example, inner", "X-Forwarded-For: 192.0.2.7, 10.0.0.2"}, "http://pub.example"},
		{"two proxies, the inner adds nothing", "10.0.0.1:9", []string{"X-Forwarded-Host: pub.example", "X-Forwarded-For: 192.0.2.7, 10.0.0.2"}, "http://pub.example"},
		{"standard header", "10.0.0.1:9", []string{`Forwarded: for=192.0.2.7;proto=https;host="pub.example:8443"`}, "https://pub.example:8443"},
		{"standard header of a client before it", "10.0.0.1:9", []string{"Forwarded: host=evil.example", "Forwarded: for=192.0.2.7;host=pub.example"}, "http://pub.example"},
		{"standard header of two proxies", "10.0.0.1:9", []string{`Forwarded: host=evil.example, for=192.0.2.7;host=pub.example, for="[fd00::7]:1";host=inner;proto=https`}, "https://pub.example"},
		{"obfuscated nodes", "10.0.0.1:9", []string{"Forwarded: for=unknown;host=evil.example, for=_secret;host=pub.example"}, "http://pub.example"},
		{"standard header, not well formed", "10.0.0.1:9", []string{`Forwarded: host=pub.example;proto="https`}, "http://host.example"},
		{"standard header with a wrong host", "10.0.0.1:9", []string{`Forwarded: host="a b";proto=https`}, "https://host.example"},
		{"twice the same name", "10.0.0.1:9", []string{"Forwarded: host=a;host=b"}, "http://host.example"},
		{"both kinds agree", "10.0.0.1:9", []string{"Forwarded: host=pub.example", "X-Forwarded-Host: PUB.example"}, "http://PUB.example"},
		{"both kinds, of which one is a client's", "10.0.0.1:9", []string{"Forwarded: host=evil.example", "X-Forwarded-Host: pub.example"}, "http://host.example"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest("GET", "http://host.example/", nil)
			r.RemoteAddr = c.peer
			for _, line := range c.headers {
				name, value, _ := strings.Cut(line, ": ")
				r.Header.Add(name, value)
			}
			if got := newAPI(t, hello(t), inside).base(r); got != c.want {
				t.Errorf("base %s, want %s", got, c.want)
			}
		})
	}
}

func TestConfiguredURLStandsOverForwardedHeaders(t *testing.T) {
	t.Parallel()
	a := newAPI(t, hello(t), inside, func(c *Config) { c.BaseURL = "https://pub.example/ogc" })
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = "10.0.0.1:9"
	r.Header.Set("X-Forwarded-Host", "other.example")
	if got := a.base(r); got != "https://pub.example/ogc" {
		t.Errorf("base %s", got)
	}
}

func TestHostHeadersThatAreNoneAreRefused(t *testing.T) {
	t.Parallel()
	a := newAPI(t, hello(t))
	for host, good := range map[string]bool{
		"example.org": true, "EXAMPLE.org:8080": true, "127.0.0.1:5000": true, "[::1]:5000": true, "[::1]": true, "a_b": true, "localhost:": true, "example.org.": true,
		`a"><script>`: false, "a b": false, "evil.example/path": false, "me@evil.example": false, "a:b": false, "a:70000": false, "a..b": false,
		"[::1": false, "[::1%25eth0]": false, "[1.2.3.4]": false, "::1": false, "ä.example": false, ":80": false, "a'b": false, strings.Repeat("a", 254): false,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = host
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		if !good {
			wantProblem(t, w, 400, blank)
		} else if self := href(decode[ogc.LandingPage](t, w).Links, "self"); self != "http://"+strings.TrimSuffix(host, ":")+"/" {
			t.Errorf("%s: self is %s", host, self)
		}
	}
	none := httptest.NewRequest("GET", "/", nil)
	none.Host = "" // as HTTP/1.0 allows
	if got := a.base(none); got != "http://localhost" {
		t.Errorf("no host: %s", got)
	}
	local := context.WithValue(t.Context(), http.LocalAddrContextKey, &net.TCPAddr{IP: net.IPv6loopback, Port: 5000})
	if got := a.base(none.WithContext(local)); got != "http://[::1]:5000" {
		t.Errorf("no host, to an address: %s", got)
	}
	configured := newAPI(t, hello(t), func(c *Config) { c.BaseURL = "https://pub.example" })
	r := httptest.NewRequest("GET", "/", nil)
	r.Host = "a'b" // is not used
	w := httptest.NewRecorder()
	if configured.ServeHTTP(w, r); w.Code != 200 || strings.Contains(w.Body.String(), "a'b") {
		t.Errorf("%d: %s", w.Code, w.Body)
	}
}

func TestPathPrefixesAreRemovedWhereTheProxyDoesNot(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		base, path string
		status     int
		instance   string
	}{
		{"http://x/ogc", "/ogc", 200, ""},
		{"http://x/ogc", "/ogc/", 200, ""},
		{"http://x/ogc", "/", 200, ""},
		{"http://x/ogc", "/ogc/processes", 200, ""},
		{"http://x/ogc", "/processes/", 200, ""},
		{"http://x/ogc", "/ogcprocesses", 404, "/ogc/ogcprocesses"},
		{"http://x/ogc", "/ogc/ogc/processes", 404, "/ogc/ogc/processes"},
		{"http://x/ogc", "/ogc/jobs/none", 404, "/ogc/jobs/none"},
		{"http://x/ogc", "/jobs/none", 404, "/ogc/jobs/none"},
		{"http://x/a/b/", "/a/b/processes", 200, ""},
		{"http://x/a/b", "/a/processes", 404, "/a/b/a/processes"},
		{"http://x/processes", "/processes", 200, ""},
		{"http://x/processes", "/processes/processes", 404, "/processes/processes/processes"},
	} {
		a := newAPI(t, hello(t), func(cfg *Config) { cfg.BaseURL = c.base })
		w := do(t, a, "GET", c.path, "")
		if w.Code != c.status {
			t.Errorf("%s at %s: %d", c.path, c.base, w.Code)
		}
		if c.status != 200 {
			if e := decode[ogc.Exception](t, w); e.Instance != c.instance {
				t.Errorf("%s at %s: instance %s", c.path, c.base, e.Instance)
			}
		}
	}
}

func TestOnlyOneTrailingSlashMakesNoDifference(t *testing.T) {
	t.Parallel()
	s := hello(t)
	s.list = func(job.Filter, job.Cursor, int) (job.Page, error) { return job.Page{}, nil }
	a := newAPI(t, s)
	for path, status := range map[string]int{
		"/processes/": 200, "/jobs/": 200, "/processes/hello-world/": 200, "//": 200, "/api/": 200,
		"/processes//": 404, "/processes/%2F": 404, "/processes/%2f": 404, "/processes%2F": 404, "/processes/hello-world//": 404, "///": 404,
		"/%2Fprocesses": 404, "/processes/hello-world%2Fexecution": 404, "/jobs/j1%2Fresults": 404, "/processes/hello%2Dworld": 200,
	} {
		w := do(t, a, "GET", "http://example.com"+path, "")
		if status == 404 {
			wantProblem(t, w, 404, blank)
		} else if w.Code != status {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

// TestLinksLeadBackThroughProxies walks through real reverse proxies under a path
// prefix that remove it, or do not, with and without a configured URL.
func TestLinksLeadBackThroughProxies(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name                string
		removes, configured bool
	}{
		{"removing, configured", true, true},
		{"removing, forwarded", true, false},
		{"passing on, configured", false, true},
		{"passing on, forwarded", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := oneJob(t, ogc.Successful)
			s.submit = asyncSubmit(s.jobs["j1"])
			proxied := http.NewServeMux()
			front := httptest.NewServer(proxied)
			defer front.Close()
			back := httptest.NewServer(newAPI(t, s, inside, func(cfg *Config) {
				if c.configured {
					cfg.BaseURL = front.URL + "/ogc/v1"
				}
			}))
			defer back.Close()
			to, err := url.Parse(back.URL)
			if err != nil {
				t.Fatal(err)
			}
			proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(to)
				r.SetXForwarded()
				r.Out.Header.Set("X-Forwarded-Prefix", "/ogc/v1")
			}}
			handler := http.Handler(proxy)
			if c.removes {
				handler = http.StripPrefix("/ogc/v1", proxy)
			}
			proxied.Handle("/ogc/v1/", handler)
			walk(t, front.URL+"/ogc/v1/")
		})
	}
}

// walk follows links from a landing page to the results of a job.
func walk(t *testing.T, landing string) {
	t.Helper()
	page := fetch[ogc.LandingPage](t, "GET", landing, "", 200)
	if self := href(page.Links, "self"); self != landing {
		t.Errorf("the landing page calls itself %s", self)
	}
	list := fetch[ogc.ProcessList](t, "GET", href(page.Links, ogc.RelProcesses), "", 200)
	process := fetch[ogc.Process](t, "GET", href(list.Processes[0].Links, "self"), "", 200)
	job := fetch[ogc.StatusInfo](t, "POST", href(process.Links, ogc.RelExecute), `{"inputs":{"name":"x"}}`, 201)
	fetch[map[string]any](t, "GET", href(job.Links, ogc.RelResults), "", 200)
	jobs := fetch[ogc.JobList](t, "GET", href(page.Links, ogc.RelJobList), "", 200)
	fetch[ogc.StatusInfo](t, "GET", href(jobs.Jobs[0].Links, "monitor"), "", 200)
	fetch[ogc.JobList](t, "GET", href(process.Links, ogc.RelJobList), "", 200)
}

// fetch sends a request and decodes the reply. Where it is 201, what its Location
// leads to is fetched instead.
func fetch[T any](t *testing.T, method, address, body string, status int) (v T) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	reply, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	if reply.StatusCode != status {
		t.Fatalf("%s %s: %s", method, address, reply.Status)
	}
	if location := reply.Header.Get("Location"); status == 201 {
		return fetch[T](t, "GET", location, "", 200)
	}
	if err := json.NewDecoder(reply.Body).Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func FuzzForwarded(f *testing.F) {
	f.Add("for=192.0.2.7;host=pub.example;proto=https", "pub.example, inner", "/ogc")
	f.Add(`for="[2001:db8::1]:80";host="a\"b", host=x`, "a:1", "//evil")
	f.Add(",;=", "[::1]:x", "/a/%2e%2e")
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	f.Fuzz(func(t *testing.T, standard, host, prefix string) {
		got := forwardedBy(http.Header{"Forwarded": {standard}, "X-Forwarded-Host": {host}, "X-Forwarded-Prefix": {prefix}, "X-Forwarded-For": {host}}, trusted)
		text := "http://" + got.host + got.prefix
		if got.host == "" {
			text = "http://x" + got.prefix
		}
		u, err := url.Parse(text)
		if err != nil || u.User != nil || u.String() != text || u.Path != got.prefix || got.host != "" && u.Host != got.host || strings.ContainsAny(text, "<>\"'\\ ") {
			t.Fatalf("%+v makes %q: %v", got, text, err)
		}
		if got.proto != "" && got.proto != "http" && got.proto != "https" {
			t.Fatalf("proto %q", got.proto)
		}
	})
}
