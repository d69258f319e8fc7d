package api

import (
	"strings"
	"testing"
)

func TestAcceptChoosesTheMostWelcomeOffer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, header, offers, want string
	}{
		{"nothing said", "", "application/json", "application/json"},
		{"anything", "*/*", "application/json text/plain", "application/json"},
		{"exact", "text/plain", "application/json text/plain", "text/plain"},
		{"a list of four, as clients of the standard send", "application/json, application/javascript, text/javascript, text/json", "application/json", "application/json"},
		{"quality", "application/json;q=0.2, text/plain;q=0.8", "application/json text/plain", "text/plain"},
		{"three decimals", "application/json;q=0.001, text/plain;q=0", "text/plain application/json", "application/json"},
		{"refused", "application/json;q=0, */*", "application/json text/plain", "text/plain"},
		{"nothing fits", "image/png", "application/json", ""},
		{"half a wildcard", "application/*", "text/plain application/json", "application/json"},
		{"case and blanks", " APPLICATION/JSON ; Q=1 ", "application/json", "application/json"},
		{"parameters are no obstacle", "application/json; charset=utf-8", "application/json", "application/json"},
		{"a quoted comma", `text/html;x="a,b";q=0.1, application/json`, "text/html application/json", "application/json"},
		{"a browser", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/json", "application/json"},
		{"specific before general", "text/*, text/plain;q=0", "text/plain", ""},
		{"all malformed: everything", "nonsense, /, a/, q=1", "application/json", "application/json"},
		{"a malformed quality drops its range", "application/json;q=2, text/plain;q=0.1", "application/json text/plain", "text/plain"},
		{"OpenAPI", "application/vnd.oai.openapi+json", mediaOpenAPI, mediaOpenAPI},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := parseAccept([]string{c.header}).choose(strings.Fields(c.offers)...); got != c.want {
				t.Errorf("%q chooses %q, want %q", c.header, got, c.want)
			}
		})
	}
}

func TestAcceptJoinsSeveralHeaders(t *testing.T) {
	t.Parallel()
	a := parseAccept([]string{"text/plain;q=0.5", "image/png"})
	if got := a.choose("text/plain", "image/png"); got != "image/png" {
		t.Errorf("chose %q", got)
	}
}

func FuzzAccept(f *testing.F) {
	for _, s := range []string{"", "*/*", "a/b;q=0.5, c/*", `x/y;p="\",";q=1.000`, ";;,,", "*/b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		a := parseAccept([]string{header})
		for _, r := range a {
			if r.q < 0 || r.q > 1000 || r.main == "" || r.sub == "" {
				t.Fatalf("%q: range %+v", header, r)
			}
			if r.q == 0 || strings.Contains(r.main+r.sub, "*") {
				continue
			}
			// A range that is named is admitted.
			if !a.admits(r.main + "/" + r.sub) {
				t.Fatalf("%q names but does not admit %+v", header, r)
			}
		}
	})
}

func TestMediaTypesOfJSONAndText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		mediaType  string
		json, text bool
	}{
		{"", true, false},
		{"application/json; charset=utf-8", true, false},
		{"application/geo+json", true, false},
		{"text/plain", false, true},
		{"text/csv; charset=UTF-8", false, true},
		{"text/csv; charset=latin1", false, false},
		{"application/gml+xml; version=3.2", false, true},
		{"image/tiff; application=geotiff", false, false},
	} {
		if isJSON(c.mediaType) != c.json || isText(c.mediaType) != c.text {
			t.Errorf("%q: JSON %t, text %t", c.mediaType, isJSON(c.mediaType), isText(c.mediaType))
		}
	}
}
