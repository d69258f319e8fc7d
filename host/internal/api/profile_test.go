package api

import (
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"geomill/sdk/ogc"
)

func TestProfilesAreNegotiated(t *testing.T) {
	t.Parallel()
	const d, r = profileDescription, profileResults
	for _, c := range []struct {
		name, query string
		headers     []string
		want        string
	}{
		{"nothing said", "", nil, ""},
		{"a bare identifier", "profile=ogc-results", nil, r},
		{"a safe CURIE", "profile=%5Bogc-profile:ogc-results%5D", nil, r},
		{"a URI", "profile=https://www.opengis.net/def/profile/OGC/0/ogc-results", nil, r},
		{"a URI with http", "profile=http%3A%2F%2Fwww.opengis.net%2Fdef%2Fprofile%2FOGC%2F0%2Fogc-results", nil, r},
		{"a list of which the second fits", "profile=other,ogc-results,ogc-process-description", nil, r},
		{"repeated", "profile=other&profile=ogc-process-description", nil, d},
		{"none that fits", "profile=other,results,[ogc-profile:ogc-results,", nil, ""},
		{"empty", "profile=", nil, ""},
		{"Accept-Profile", "", []string{"Accept-Profile: <" + r + ">"}, r},
		{"Accept-Profile by welcome", "", []string{"Accept-Profile: <" + d + ">;q=0.5, <" + r + "> ; q=0.9"}, r},
		{"Accept-Profile refused", "", []string{"Accept-Profile: <" + d + ">;q=0"}, ""},
		{"Prefer", "", []string{"Prefer: respond-async, PROFILE=\"" + d + "\"; x=1"}, d},
		{"Prefer, a list", "", []string{`Prefer: profile="other,ogc-results"`}, r},
		{"Link", "", []string{"Link: <https://x>; rel=profile, <" + r + `>; rel="profile"`}, r},
		{"Link of another relation", "", []string{"Link: <" + r + `>; rel="self"`}, ""},
		{"a parameter of the media type", "", []string{`Accept: application/json;profile="` + r + `"`}, r},
		{"the query counts most", "profile=ogc-results", []string{"Prefer: profile=ogc-process-description"}, r},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			req := httptest.NewRequest("GET", "/?"+c.query, nil)
			for _, line := range c.headers {
				name, value, _ := strings.Cut(line, ": ")
				req.Header.Add(name, value)
			}
			if got := profileOf(req, req.URL.Query(), d, r); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestRepliesTellTheirProfile(t *testing.T) {
	t.Parallel()
	a := newAPI(t, oneJob(t, ogc.Successful))
	for path, uri := range map[string]string{
		"/processes": profileProcessList, "/processes/hello-world": profileDescription, "/jobs": profileJobList, "/jobs/j1": profileJob,
	} {
		id := strings.TrimPrefix(uri, profileBase)
		for _, query := range []string{"", "?profile=nonsense,%22%0d%0a", "?profile=" + id} {
			w := do(t, a, "GET", path+query, "")
			if links := w.Header()["Link"]; w.Code != 200 || !slices.Contains(links, "<"+uri+`>; rel="profile"`) || w.Header()["Preference-Applied"] != nil {
				t.Errorf("%s%s: %d, %q", path, query, w.Code, links)
			}
		}
		w := do(t, a, "GET", path, "", "Prefer: profile="+id)
		if got := w.Header().Get("Preference-Applied"); got != `profile="`+uri+`"` {
			t.Errorf("%s: applied %q", path, got)
		}
	}
}

func FuzzProfile(f *testing.F) {
	f.Add("ogc-results,[ogc-profile:x]", "<a>;q=1, <b>", `profile="a,b"`)
	f.Fuzz(func(t *testing.T, query, accept, prefer string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header["Accept-Profile"], r.Header["Prefer"], r.Header["Link"], r.Header["Accept"] = []string{accept}, []string{prefer}, []string{accept}, []string{prefer}
		if got := profileOf(r, map[string][]string{"profile": {query}}, profileResults); got != "" && got != profileResults {
			t.Fatalf("%q was not offered", got)
		}
	})
}

func TestLinksOfDocumentsAreHeadersToo(t *testing.T) {
	t.Parallel()
	a := newAPI(t, oneJob(t, ogc.Successful))
	for path, want := range map[string]string{
		"/":                      `<http://example.com/api?f=html>; rel="service-doc"; type="text/html"`,
		"/processes?limit=1":     `<http://example.com/processes?limit=1>; rel="self"; type="application/json"`,
		"/processes/hello-world": `<http://example.com/processes/hello-world/execution>; rel="` + ogc.RelExecute + `"; type="application/json"`,
		"/jobs":                  `<http://example.com/>; rel="up"; type="application/json"`,
		"/jobs/j1":               `<http://example.com/jobs/j1/results>; rel="` + ogc.RelResults + `"; type="application/json"`,
	} {
		if got := do(t, a, "GET", path, "").Header()["Link"]; !slices.Contains(got, want) {
			t.Errorf("%s: %q", path, got)
		}
	}
}

func TestLinksThatFitIntoNoHeaderAreLeftOut(t *testing.T) {
	t.Parallel()
	for _, l := range []ogc.Link{
		{Href: "http://a b", Rel: "x"}, {Href: "http://a>,<evil", Rel: "x"}, {Href: "http://a\r\nX: y", Rel: "x"}, {Href: "http://ä", Rel: "x"},
		{Href: "http://a", Rel: `x"; y="`}, {Href: "http://a", Rel: "x", Type: "a\nb"}, {Href: "http://a"}, {Rel: "x"},
	} {
		if v, ok := linkValue(l); ok {
			t.Errorf("%+v became %q", l, v)
		}
	}
	if v, ok := linkValue(ogc.Link{Href: "http://a/?b=c,d", Rel: "x", Hreflang: "en"}); !ok || v != `<http://a/?b=c,d>; rel="x"; hreflang="en"` {
		t.Errorf("%q", v)
	}
}

func TestLandingPageLinksEverything(t *testing.T) {
	t.Parallel()
	page := decode[ogc.LandingPage](t, do(t, newAPI(t, hello(t)), "GET", "/", ""))
	var got []string
	for _, l := range page.Links {
		got = append(got, l.Rel+" "+l.Href+" "+l.Type)
	}
	const at = " http://example.com"
	want := []string{
		"self" + at + "/ application/json",
		"service-desc" + at + "/api " + mediaOpenAPI,
		"service-desc" + at + "/api?f=oas31 " + mediaOpenAPI31,
		"service-doc" + at + "/api?f=html text/html",
		ogc.RelConformance + at + "/conformance application/json", https(ogc.RelConformance) + at + "/conformance application/json",
		ogc.RelProcesses + at + "/processes application/json", https(ogc.RelProcesses) + at + "/processes application/json",
		ogc.RelJobList + at + "/jobs application/json", https(ogc.RelJobList) + at + "/jobs application/json",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestCursorsOfOthersAreRefused(t *testing.T) {
	t.Parallel()
	s := manyJobs(t)
	for _, id := range []string{"a", "b", "c"} {
		s.processes = append(s.processes, testProcess(t, id, objectOutput))
	}
	a, other := newAPI(t, s), newAPI(t, s)
	next := href(decode[ogc.JobList](t, do(t, a, "GET", "/jobs?limit=3", "")).Links, "next")
	if w := do(t, a, "GET", next, ""); w.Code != 200 {
		t.Errorf("its own: %d", w.Code)
	}
	wantProblem(t, do(t, other, "GET", next, ""), 400, ogc.InvalidQueryParameterValue)
	wantProblem(t, do(t, a, "GET", strings.Replace(next, "/jobs", "/processes", 1), ""), 400, ogc.InvalidQueryParameterValue)
	wantProblem(t, do(t, a, "GET", next+"A", ""), 400, ogc.InvalidQueryParameterValue)
	key := func(c *Config) { c.CursorKey = []byte("one of its own") }
	restarted := newAPI(t, s, key)
	next = href(decode[ogc.JobList](t, do(t, newAPI(t, s, key), "GET", "/jobs?limit=3", "")).Links, "next")
	if w := do(t, restarted, "GET", next, ""); w.Code != 200 {
		t.Errorf("after a restart: %d", w.Code)
	}
}

func TestListsSayHowManyEntriesThereAreWhereTheyKnow(t *testing.T) {
	t.Parallel()
	a := newAPI(t, manyJobs(t))
	all := decode[ogc.JobList](t, do(t, a, "GET", "/jobs?limit=100", ""))
	if all.NumberMatched == nil || *all.NumberMatched != 30 || all.NumberReturned != 30 {
		t.Errorf("all: %+v", all)
	}
	if part := decode[ogc.JobList](t, do(t, a, "GET", "/jobs?limit=4", "")); part.NumberMatched != nil || part.NumberReturned != 4 {
		t.Errorf("a page: %v of %v", part.NumberReturned, part.NumberMatched)
	}
	if none := decode[ogc.JobList](t, do(t, a, "GET", "/jobs?type=other", "")); none.NumberMatched == nil || *none.NumberMatched != 0 {
		t.Errorf("none: %+v", none)
	}
	if list := decode[ogc.ProcessList](t, do(t, a, "GET", "/processes", "")); list.NumberMatched != 1 || list.NumberReturned != 1 {
		t.Errorf("processes: %+v", list)
	}
}
