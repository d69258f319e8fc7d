package api

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// listing is a request for a page of a list.
type listing struct {
	path   string // of the list
	query  url.Values
	limit  int
	cursor job.Cursor
}

// listing reads what the lists have in common: the query, the size and the place
// of the page, and whether the client can read it.
func (a *API) listing(r *http.Request, path string) (l listing, err error) {
	l.path = path
	if l.query, err = query(r); err != nil {
		return l, err
	}
	var limit, cursor error
	l.limit, limit = a.pageLimit(l.query)
	l.cursor, cursor = a.parseCursor(path, l.query)
	return l, badParameters(limit, cursor, jsonOnly(r, l.query))
}

// pageLimit reads the parameter limit: larger values are lowered to the largest
// page (1.0 /req/job-list/limit-response), others than whole numbers from 1 are
// refused.
func (a *API) pageLimit(q url.Values) (int, error) {
	values, given := q["limit"]
	if !given {
		return a.config.PageLimit, nil
	}
	n, err := strconv.Atoi(values[0])
	if errors.Is(err, strconv.ErrRange) && n > 0 {
		return a.config.MaxPageLimit, nil
	}
	if err != nil || n < 1 {
		return 0, badParameter("limit", "must be a whole number from 1")
	}
	return min(n, a.config.MaxPageLimit), nil
}

const (
	// maxCursor bounds the parameter cursor, in bytes. Ids have at most 200.
	maxCursor = 512
	// cursorTag is the length of the code that proves whose a cursor is.
	cursorTag = 9
)

// parseCursor reads the parameter cursor, which only links of this server and of
// the same list carry.
func (a *API) parseCursor(path string, q url.Values) (job.Cursor, error) {
	values, given := q["cursor"]
	if !given {
		return job.Cursor{}, nil
	}
	bad := badParameter("cursor", "is not one that this server gave out for this list")
	if len(values[0]) > maxCursor {
		return job.Cursor{}, bad
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(values[0])
	if err != nil || len(b) < cursorTag+2 {
		return job.Cursor{}, bad
	}
	tag, place := b[:cursorTag], b[cursorTag:]
	if !hmac.Equal(tag, a.cursorTag(path, place)) {
		return job.Cursor{}, bad
	}
	return job.Cursor{After: string(place[1:]), Newer: place[0] == 'n'}, nil
}

func (a *API) formatCursor(path string, c job.Cursor) string {
	place := []byte("o" + c.After)
	if c.Newer {
		place[0] = 'n'
	}
	return base64.RawURLEncoding.EncodeToString(append(a.cursorTag(path, place), place...))
}

func (a *API) cursorTag(path string, place []byte) []byte {
	m := hmac.New(sha256.New, a.config.CursorKey)
	m.Write([]byte(path))
	m.Write([]byte{0})
	m.Write(place)
	return m.Sum(nil)[:cursorTag]
}

// links returns the links of a page of a list: self, next, prev and up (1.0
// /req/core/pl-links, /req/job-list/links). first and last are the ids at its
// ends, older and newer whether the list goes on there. Links keep the other
// parameters of the request.
func (a *API) links(l listing, base string, older, newer bool, first, last string) []ogc.Link {
	at := func(rel, title string, c job.Cursor) ogc.Link {
		p := url.Values{}
		for name, values := range l.query {
			p[name] = values
		}
		if c.After != "" {
			p["cursor"] = []string{a.formatCursor(l.path, c)}
		}
		href := base + l.path
		if len(p) > 0 {
			href += "?" + p.Encode()
		}
		return ogc.Link{Href: href, Rel: rel, Type: mediaJSON, Title: title}
	}
	links := []ogc.Link{at("self", "This page", job.Cursor{})}
	if older && last != "" {
		links = append(links, at("next", "The next page", job.Cursor{After: last}))
	}
	if newer && first != "" {
		links = append(links, at("prev", "The previous page", job.Cursor{After: first, Newer: true}))
	}
	return append(links, ogc.Link{Href: base + "/", Rel: "up", Type: mediaJSON, Title: "The landing page"})
}
