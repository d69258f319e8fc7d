package api

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/julienschmidt/httprouter"

	"geomill/host/internal/job"
)

// definitionForm is a form of the API definition.
type definitionForm struct {
	f         string // value of the parameter f
	mediaType string
	version   string // of OpenAPI; empty for the page
}

// definitionForms are the forms, the usual one first.
var definitionForms = []definitionForm{
	{"oas30", mediaOpenAPI, "3.0"},
	{"json", mediaJSON, "3.0"},
	{"oas31", mediaOpenAPI31, "3.1"},
	{"html", mediaHTML, ""},
}

// definition answers GET /api with the OpenAPI document, made from the routes and
// the processes as they are, or with a page about it (1.0
// /req/core/api-definition-op, api-definition-success, /req/oas30/*; 2.0
// /req/oas31/*).
func (a *API) definition(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	q, err := query(r)
	if err != nil {
		return err
	}
	form, err := chooseForm(r, q)
	if err != nil {
		return err
	}
	if err := a.service.Await(r.Context(), ""); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Vary", "Accept")
	if form.version == "" {
		return a.definitionPage(w, r)
	}
	d, err := a.definitions.get(a, form.version)
	if err != nil {
		return err
	}
	base, err := json.Marshal(a.base(r))
	if err != nil {
		return fmt.Errorf("encode definition: %w", err)
	}
	tag := d.tag(form.mediaType, base)
	h.Set("ETag", tag)
	if matchesTag(r.Header["If-None-Match"], tag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	servers := `"servers":[{"url":` + string(base) + `}],`
	h.Set("Content-Type", form.mediaType)
	h.Set("Content-Length", strconv.Itoa(len(d.head)+len(servers)+len(d.rest)))
	for _, part := range [][]byte{d.head, []byte(servers), d.rest} {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// chooseForm returns the form that a client wants: by the parameter f, or by the
// Accept header, whose parameter version tells the versions of OpenAPI apart.
func chooseForm(r *http.Request, q url.Values) (definitionForm, error) {
	if f, given := q["f"]; given {
		for _, form := range definitionForms {
			if form.f == f[0] {
				return form, nil
			}
		}
		return definitionForm{}, badParameter("f", "must be json, oas30, oas31 or html")
	}
	var best definitionForm
	quality := 0
	accepted := parseAccept(r.Header["Accept"])
	for _, form := range definitionForms {
		n := accepted.quality(form.mediaType)
		if form.mediaType == mediaOpenAPI || form.mediaType == mediaOpenAPI31 {
			n = versionQuality(r.Header["Accept"], form, n)
		}
		if n > quality {
			best, quality = form, n
		}
	}
	if quality == 0 {
		offers := make([]string, len(definitionForms))
		for i, form := range definitionForms {
			offers[i] = form.mediaType
		}
		return best, notAcceptable(offers...)
	}
	return best, nil
}

// versionQuality says how welcome a version of OpenAPI is to a client. Elements of
// the Accept header that name the media type with a version decide; otherwise it
// is the quality of the media type.
func versionQuality(lines []string, form definitionForm, otherwise int) int {
	main, sub := splitType(form.mediaType)
	named, best := false, 0
	for _, rest := range lines {
		for rest != "" {
			var element string
			element, rest = cutList(rest, ',')
			m, ok := parseRange(element)
			if !ok || m.main != main || m.sub != sub {
				continue
			}
			version := parameterOf(element, "version")
			if version == "" || version == form.version || strings.HasPrefix(version, form.version+".") {
				best = max(best, m.q)
			}
			named = true
		}
	}
	if named {
		return best
	}
	return otherwise
}

// parameterOf returns a parameter of a media type, or "".
func parameterOf(mediaType, name string) string {
	_, rest := cutList(mediaType, ';')
	for rest != "" {
		var param string
		param, rest = cutList(rest, ';')
		if key, value, _ := strings.Cut(param, "="); strings.EqualFold(strings.TrimSpace(key), name) {
			return unquote(strings.TrimSpace(value))
		}
	}
	return ""
}

// matchesTag reports whether If-None-Match names an entity tag (RFC 9110, section
// 13.1.2).
func matchesTag(lines []string, tag string) bool {
	for _, rest := range lines {
		for rest != "" {
			var element string
			element, rest = cutList(rest, ',')
			element = strings.TrimSpace(element)
			if element == "*" || strings.TrimPrefix(element, "W/") == tag {
				return true
			}
		}
	}
	return false
}

// definitions keeps the documents for as long as the processes stay the same.
type definitions struct {
	mu        sync.Mutex
	processes []*job.Process
	byVersion map[string]*definitionText
}

// definitionText is an encoded document, but for its servers, which go between
// head and rest.
type definitionText struct {
	head, rest []byte
	sum        uint64
}

// tag names the document for one media type and address.
func (d *definitionText) tag(mediaType string, base []byte) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(mediaType))
	_, _ = h.Write(base)
	return `"` + strconv.FormatUint(d.sum, 16) + "-" + strconv.FormatUint(uint64(h.Sum32()), 16) + `"`
}

// get returns the document of a version of OpenAPI.
func (s *definitions) get(a *API, version string) (*definitionText, error) {
	processes := a.service.Processes()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byVersion == nil || !sameList(s.processes, processes) {
		s.processes, s.byVersion = processes, map[string]*definitionText{}
	}
	if d := s.byVersion[version]; d != nil {
		return d, nil
	}
	doc, err := a.openAPI(processes, version)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("encode definition: %w", err)
	}
	h := fnv.New64a()
	_, _ = h.Write(text)
	d := &definitionText{head: []byte(`{"openapi":"` + version + patch[version] + `",`), rest: text[1:], sum: h.Sum64()}
	s.byVersion[version] = d
	return d, nil
}

// patch completes the versions of OpenAPI.
var patch = map[string]string{"3.0": ".3", "3.1": ".0"}

// sameList reports whether two lists are the very same one: a catalogue replaces
// its list and never changes it.
func sameList(a, b []*job.Process) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}
