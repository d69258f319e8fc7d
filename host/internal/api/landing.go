package api

import (
	"net/http"
	"strings"

	"github.com/julienschmidt/httprouter"

	"geomill/sdk/ogc"
)

// landingPage answers GET / (1.0 /req/core/landingpage-op, landingpage-success).
func (a *API) landingPage(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	base := a.base(r)
	page := ogc.LandingPage{
		Title:       a.config.Title,
		Description: a.config.Description,
		Links: []ogc.Link{
			{Href: base + "/", Rel: "self", Type: mediaJSON, Title: "This document"},
			{Href: base + "/api", Rel: "service-desc", Type: mediaOpenAPI, Title: "The API, described in OpenAPI 3.0"},
			{Href: base + "/api?f=oas31", Rel: "service-desc", Type: mediaOpenAPI31, Title: "The API, described in OpenAPI 3.1"},
			{Href: base + "/api?f=html", Rel: "service-doc", Type: mediaHTML, Title: "The API, described for people"},
		},
	}
	for _, l := range []ogc.Link{
		{Href: base + "/conformance", Rel: ogc.RelConformance, Type: mediaJSON, Title: "The conformance classes of this server"},
		{Href: base + "/processes", Rel: ogc.RelProcesses, Type: mediaJSON, Title: "The processes"},
		{Href: base + "/jobs", Rel: ogc.RelJobList, Type: mediaJSON, Title: "The jobs"},
	} {
		// Version 2.0 spells its relations with https.
		twin := l
		twin.Rel = "https" + strings.TrimPrefix(l.Rel, "http")
		page.Links = append(page.Links, l, twin)
	}
	return document(w, r, page)
}

// conformance answers GET /conformance (1.0 /req/core/conformance-op,
// conformance-success).
func (a *API) conformance(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	doc := ogc.Conformance{
		ConformsTo: make([]string, len(classes)),
		Links:      []ogc.Link{{Href: a.base(r) + "/conformance", Rel: "self", Type: mediaJSON}},
	}
	for i, c := range classes {
		doc.ConformsTo[i] = c.uri
	}
	return document(w, r, doc)
}
