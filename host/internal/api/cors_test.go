package api

import (
	"net/http/httptest"
	"strings"
	"testing"
)

func TestPagesOfOtherOriginsMayReadReplies(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, origins, origin string
		allowed, vary         string
	}{
		{"any", "*", "https://page.example", "*", ""},
		{"any, a file", "*", "null", "*", ""},
		{"any, not a page", "*", "", "", ""},
		{"off", "", "https://page.example", "", ""},
		{"listed", "https://a.example https://page.example:8443", "https://page.example:8443", "https://page.example:8443", "Origin"},
		{"listed, not a page", "https://page.example", "", "", "Origin"},
		{"not listed", "https://page.example", "https://evil.example", "", "Origin"},
		{"another port", "https://page.example", "https://page.example:1", "", "Origin"},
		{"a longer name", "https://page.example", "https://page.example.evil.example", "", "Origin"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := newAPI(t, hello(t), func(cfg *Config) { cfg.CORSOrigins = strings.Fields(c.origins) })
			var headers []string
			if c.origin != "" {
				headers = []string{"Origin: " + c.origin}
			}
			for path, status := range map[string]int{"/processes": 200, "/processes/none": 404, "/nothing": 404} {
				w := do(t, a, "GET", path, "", headers...)
				h := w.Header()
				if w.Code != status || h.Get("Access-Control-Allow-Origin") != c.allowed || h.Get("Vary") != c.vary {
					t.Errorf("%s: %d, %v", path, w.Code, h)
				}
				if exposed := h.Get("Access-Control-Expose-Headers"); (c.allowed != "") != strings.Contains(exposed, "Location") {
					t.Errorf("%s exposes %q", path, exposed)
				}
				if h.Get("Access-Control-Allow-Credentials") != "" {
					t.Errorf("%s allows credentials", path)
				}
			}
		})
	}
}

func TestPreflightRequestsAreTold(t *testing.T) {
	t.Parallel()
	ask := func(t *testing.T, path string, headers ...string) *httptest.ResponseRecorder {
		a := newAPI(t, hello(t), func(c *Config) { c.CORSOrigins = []string{"https://page.example"} })
		return do(t, a, "OPTIONS", path, "", headers...)
	}
	w := ask(t, "/processes/hello-world/execution", "Origin: https://page.example", "Access-Control-Request-Method: POST",
		"Access-Control-Request-Headers: content-type,prefer, bad header,x\"y")
	h := w.Header()
	if w.Code != 204 || h.Get("Access-Control-Allow-Methods") != "OPTIONS, POST" || h.Get("Access-Control-Allow-Headers") != "content-type, prefer" ||
		h.Get("Access-Control-Allow-Origin") != "https://page.example" || h.Get("Access-Control-Max-Age") == "" {
		t.Errorf("%d, %v", w.Code, h)
	}
	if h := ask(t, "/jobs", "Origin: https://evil.example", "Access-Control-Request-Method: GET").Header(); h.Get("Access-Control-Allow-Methods") != "" {
		t.Errorf("told a page that may not: %v", h)
	}
	if w := ask(t, "/jobs", "Origin: https://page.example"); w.Code != 204 || w.Header().Get("Access-Control-Allow-Methods") != "" || w.Header().Get("Allow") == "" {
		t.Errorf("not preflight: %d, %v", w.Code, w.Header())
	}
	if w := ask(t, "/nothing", "Origin: https://page.example", "Access-Control-Request-Method: GET"); w.Code != 404 {
		t.Errorf("nothing: %d", w.Code)
	}
}

func TestOriginsAreChecked(t *testing.T) {
	t.Parallel()
	for origin, good := range map[string]bool{
		"*": true, "https://page.example": true, "http://localhost:3000": true, "http://[::1]:3000": true,
		"page.example": false, "https://page.example/": false, "https://": false, "https://*.example": false, "null": false, "": false, "https://a b": false,
	} {
		if err := CheckCORSOrigins([]string{origin}); (err == nil) != good {
			t.Errorf("%q: %v", origin, err)
		}
	}
}
