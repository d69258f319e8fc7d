package api

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"geomill/host/internal/job"
)

// parseCacheControl reads what a client says about reused results (RFC 9111,
// section 5.2.1). The first of several equal names counts.
func parseCacheControl(headers []string) (c job.CacheControl) {
	for _, h := range headers {
		for h != "" {
			var element string
			element, h = cutList(h, ',')
			name, value, _ := strings.Cut(element, "=")
			name = strings.TrimSpace(name)
			switch {
			case strings.EqualFold(name, "no-cache"):
				c.NoCache = true
			case strings.EqualFold(name, "no-store"):
				c.NoStore = true
			case strings.EqualFold(name, "max-age") && c.MaxAge == nil:
				if age, ok := parseSeconds(unquote(strings.TrimSpace(value))); ok {
					c.MaxAge = &age
				}
			}
		}
	}
	return c
}

// announceReuse tells that a reply has the results of an earlier execution, and,
// if they are in it, how old they are (RFC 9211; RFC 9111, section 5.1).
func (a *API) announceReuse(h http.Header, x *job.Execution) {
	h.Set("Cache-Status", "geomill; hit")
	if x.Results != nil {
		age := max(a.config.Now().Sub(x.ResultsOf), 0)
		h.Set("Age", strconv.FormatInt(int64(age/time.Second), 10))
	}
}
