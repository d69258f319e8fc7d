package api

import (
	"encoding/base64"
	"errors"
	"net/url"
	"strconv"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

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

// maxCursor bounds the parameter cursor, in bytes. Ids have at most 200.
const maxCursor = 512

// parseCursor reads the parameter cursor, which only links of ours carry.
func parseCursor(q url.Values) (job.Cursor, error) {
	values, given := q["cursor"]
	if !given {
		return job.Cursor{}, nil
	}
	bad := badParameter("cursor", "is not one that this server gave out")
	if len(values[0]) > maxCursor {
		return job.Cursor{}, bad
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(values[0])
	if err != nil || len(b) < 2 || b[0] != 'o' && b[0] != 'n' || !saneID(string(b[1:])) {
		return job.Cursor{}, bad
	}
	return job.Cursor{After: string(b[1:]), Newer: b[0] == 'n'}, nil
}

func formatCursor(c job.Cursor) string {
	direction := "o"
	if c.Newer {
		direction = "n"
	}
	return base64.RawURLEncoding.EncodeToString([]byte(direction + c.After))
}

// pageLinks returns the links of a page of a list: self, next and prev. first
// and last are the ids at its ends. Links keep the other parameters.
func pageLinks(address string, q url.Values, next, prev bool, first, last string) []ogc.Link {
	at := func(rel string, c job.Cursor) ogc.Link {
		p := url.Values{}
		for name, values := range q {
			p[name] = values
		}
		if c.After != "" {
			p["cursor"] = []string{formatCursor(c)}
		}
		href := address
		if len(p) > 0 {
			href += "?" + p.Encode()
		}
		return ogc.Link{Href: href, Rel: rel, Type: mediaJSON}
	}
	links := []ogc.Link{at("self", job.Cursor{})}
	if next {
		links = append(links, at("next", job.Cursor{After: last}))
	}
	if prev {
		links = append(links, at("prev", job.Cursor{After: first, Newer: true}))
	}
	return links
}
