package api

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// profileBase begins the URIs of the profiles of version 2.0.
const profileBase = "https://www.opengis.net/def/profile/OGC/0/"

// Profiles besides those of descriptions and results.
const (
	profileProcessList = profileBase + "ogc-process-list"
	profileJobList     = profileBase + "jobs-list"
	profileJob         = profileBase + "job-description"
)

// profileOf returns the URI of the profile that a client wants of those offered
// (2.0 class query-param-profile; spec 2.4). It may be named by the parameter
// profile, an Accept-Profile header, the preference profile, a Link header or a
// parameter of the Accept header, the former counting more; as a URI, a safe
// CURIE or a bare identifier. That none is named or none fits is no error: the
// profile is then "".
func profileOf(r *http.Request, q url.Values, offered ...string) string {
	uri, _ := negotiateProfile(r, q, offered)
	return uri
}

// announceProfile says in the header of the reply which of the profiles offered
// it has: the one that the client wants, or else the first.
func announceProfile(h http.Header, r *http.Request, q url.Values, offered ...string) {
	uri, preferred := negotiateProfile(r, q, offered)
	if uri == "" {
		uri = offered[0]
	}
	h.Add("Link", "<"+uri+`>; rel="profile"`)
	if preferred {
		h.Add("Preference-Applied", `profile="`+uri+`"`)
	}
}

// asksForResults reports whether an execute request names the profile of results
// documents (spec 4.6).
func asksForResults(r *http.Request) bool {
	var q url.Values
	if r.URL.RawQuery != "" {
		q = r.URL.Query() // execute has no other parameter: what is malformed is skipped
	}
	return profileOf(r, q, profileResults) != ""
}

// negotiateProfile is profileOf. preferred says that the Prefer header decided.
func negotiateProfile(r *http.Request, q url.Values, offered []string) (uri string, preferred bool) {
	fitting := func(names []string) string {
		for _, name := range names {
			for _, uri := range offered {
				if namesProfile(name, uri) {
					return uri
				}
			}
		}
		return ""
	}
	for _, list := range q["profile"] {
		if uri := fitting(strings.Split(list, ",")); uri != "" {
			return uri, false
		}
	}
	if uri := fitting(acceptedProfiles(r.Header["Accept-Profile"])); uri != "" {
		return uri, false
	}
	if uri := fitting(preferredProfiles(r.Header["Prefer"])); uri != "" {
		return uri, true
	}
	if uri := fitting(linkedProfiles(r.Header["Link"])); uri != "" {
		return uri, false
	}
	return fitting(typeProfiles(r.Header["Accept"])), false
}

// namesProfile reports whether a name means the profile of a URI.
func namesProfile(name, uri string) bool {
	name = strings.Trim(strings.TrimSpace(name), "<>")
	id := strings.TrimPrefix(uri, profileBase)
	if curie, ok := strings.CutPrefix(name, "[ogc-profile:"); ok {
		return curie == id+"]"
	}
	return name == id || name == uri || name == "http"+strings.TrimPrefix(uri, "https")
}

// acceptedProfiles reads Accept-Profile headers (the draft "Indicating,
// Discovering, Negotiating, and Writing Profiled Representations"): URIs in angle
// brackets, the most welcome first.
func acceptedProfiles(lines []string) []string {
	type wish struct {
		name string
		q    int
	}
	var wishes []wish
	for element := range elements(lines, ',') {
		name, params := cutList(element, ';')
		w := wish{name, 1000}
		for param := range elements([]string{params}, ';') {
			if key, value, _ := strings.Cut(param, "="); strings.EqualFold(strings.TrimSpace(key), "q") {
				w.q, _ = parseQuality(strings.TrimSpace(value)) // malformed: refused
			}
		}
		if w.q > 0 {
			wishes = append(wishes, w)
		}
	}
	slices.SortStableFunc(wishes, func(a, b wish) int { return cmp.Compare(b.q, a.q) })
	names := make([]string, len(wishes))
	for i, w := range wishes {
		names[i] = w.name
	}
	return names
}

// preferredProfiles reads the preference profile, a list in quotes or one name.
func preferredProfiles(lines []string) (names []string) {
	for element := range elements(lines, ',') {
		element, _ = cutList(element, ';')
		if key, value, ok := strings.Cut(element, "="); ok && strings.EqualFold(strings.TrimSpace(key), "profile") {
			names = append(names, strings.Split(unquote(strings.TrimSpace(value)), ",")...)
		}
	}
	return names
}

// linkedProfiles reads the targets of Link headers (RFC 8288) of relation
// profile.
func linkedProfiles(lines []string) (names []string) {
	for element := range elements(lines, ',') {
		target, params := cutList(element, ';')
		for param := range elements([]string{params}, ';') {
			key, value, _ := strings.Cut(param, "=")
			if strings.EqualFold(strings.TrimSpace(key), "rel") && strings.EqualFold(unquote(strings.TrimSpace(value)), "profile") {
				names = append(names, target)
			}
		}
	}
	return names
}

// typeProfiles reads the parameter profile of the media types of Accept headers:
// URIs with blanks between (RFC 6906, section 3.1).
func typeProfiles(lines []string) (names []string) {
	for element := range elements(lines, ',') {
		_, params := cutList(element, ';')
		for param := range elements([]string{params}, ';') {
			if key, value, _ := strings.Cut(param, "="); strings.EqualFold(strings.TrimSpace(key), "profile") {
				names = append(names, strings.Fields(unquote(strings.TrimSpace(value)))...)
			}
		}
	}
	return names
}

// elements yields the elements of lists, as cutList separates them.
func elements(lines []string, separator byte) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, rest := range lines {
			for rest != "" {
				var element string
				element, rest = cutList(rest, separator)
				if !yield(element) {
					return
				}
			}
		}
	}
}
