package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"geomill/sdk/ogc"
)

// Header values that never change; net/http only reads them.
var (
	headerJSON = []string{mediaJSON}
	headerText = []string{mediaText + "; charset=utf-8"}
)

// writeJSON sends v, with its length, so that HEAD tells it too.
func writeJSON(w http.ResponseWriter, status int, mediaType string, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("encode reply: %w", err)
	}
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	_, err := w.Write(b.Bytes())
	return err
}

// query returns the query parameters of a request.
func query(r *http.Request) (url.Values, error) {
	if r.URL.RawQuery == "" {
		return nil, nil
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badQuery(err)
	}
	return q, nil
}

// negotiate returns what the client accepts. The query parameter f overrides the
// Accept header.
func negotiate(r *http.Request, q url.Values) (accept, error) {
	f, given := q["f"]
	if !given {
		return parseAccept(r.Header["Accept"]), nil
	}
	switch f[0] {
	case "json":
		return accept{{main: "application", sub: "json", q: 1000}}, nil
	case "html":
		return nil, notAcceptable(mediaJSON)
	}
	return nil, badParameter("f", "names no format of this resource; json is one")
}

// jsonOnly is the negotiation of resources that are JSON documents
// (1.0 /req/json/definition).
func jsonOnly(r *http.Request, q url.Values) error {
	a, err := negotiate(r, q)
	if err != nil {
		return err
	}
	if !a.admits(mediaJSON) {
		return notAcceptable(mediaJSON)
	}
	return nil
}

// linked answers with a JSON document, if the client can read one, and repeats as
// headers its links and, if there are profiles to choose from, its profile.
func linked(w http.ResponseWriter, r *http.Request, v any, links []ogc.Link, profiles ...string) error {
	q, err := query(r)
	if err != nil {
		return err
	}
	if err := jsonOnly(r, q); err != nil {
		return err
	}
	linkHeaders(w.Header(), links)
	if len(profiles) > 0 {
		announceProfile(w.Header(), r, q, profiles...)
	}
	return writeJSON(w, http.StatusOK, mediaJSON, v)
}
