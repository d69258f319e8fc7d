package api

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// parseFilter reads the filters of the job list (1.0 /req/job-list/type-definition,
// processID-definition, status-definition, datetime-definition,
// duration-definition). some is false when no job of this server can match.
func parseFilter(q url.Values, now time.Time) (f job.Filter, some bool, err error) {
	f.Now = now
	var errs [6]error
	var types, statuses []string
	types, errs[0] = listParameter(q, "type")
	some = len(types) == 0 || slices.Contains(types, "process")
	f.ProcessIDs, errs[1] = listParameter(q, "processID")
	statuses, errs[2] = listParameter(q, "status")
	for _, s := range statuses {
		if !ogc.Status(s).Valid() {
			errs[2] = badParameter("status", "must be accepted, running, successful, failed or dismissed")
		}
		f.Statuses = append(f.Statuses, ogc.Status(s))
	}
	if v, given := q["datetime"]; given {
		f.CreatedFrom, f.CreatedTo, errs[3] = parseInterval(v[0])
	}
	f.MinDuration, errs[4] = durationParameter(q, "minDuration")
	f.MaxDuration, errs[5] = durationParameter(q, "maxDuration")
	if err := badParameters(errs[:]...); err != nil {
		return job.Filter{}, false, err
	}
	if (f.MinDuration != nil || f.MaxDuration != nil) && len(statuses) == 0 {
		// An accepted job may have been started before: it waits for another attempt.
		f.Statuses = []ogc.Status{ogc.Running, ogc.Successful, ogc.Failed, ogc.Dismissed}
	}
	return f, some, nil
}

// listParameter reads an array: repeated parameters, comma lists, or both.
func listParameter(q url.Values, name string) ([]string, error) {
	var list []string
	for _, v := range q[name] {
		for element := range strings.SplitSeq(v, ",") {
			if element = strings.TrimSpace(element); element == "" {
				return nil, badParameter(name, "has an empty element")
			}
			list = append(list, element)
		}
	}
	return list, nil
}

// durationParameter reads whole seconds. Of several values the first counts.
func durationParameter(q url.Values, name string) (*time.Duration, error) {
	v, given := q[name]
	if !given {
		return nil, nil
	}
	d, ok := parseSeconds(v[0])
	if !ok {
		return nil, badParameter(name, "must be a whole number of seconds from 0")
	}
	return &d, nil
}

// parseInterval reads the parameter datetime: an instant, or two with a slash
// between, of which one may be open ("" or ".."). Zero is open.
func parseInterval(s string) (from, to time.Time, err error) {
	first, second, two := strings.Cut(s, "/")
	if !two {
		t, ok := parseInstant(s)
		if !ok {
			return from, to, badParameter("datetime", "must be an RFC 3339 date-time, or two with a slash between")
		}
		return t, t, nil
	}
	openFrom, openTo := first == "" || first == "..", second == "" || second == ".."
	if openFrom && openTo {
		return from, to, badParameter("datetime", "one end of the interval must be given")
	}
	var ok bool
	if !openFrom {
		if from, ok = parseInstant(first); !ok {
			return from, to, badParameter("datetime", "the start must be an RFC 3339 date-time or ..")
		}
	}
	if !openTo {
		if to, ok = parseInstant(second); !ok {
			return from, to, badParameter("datetime", "the end must be an RFC 3339 date-time or ..")
		}
	}
	if !openFrom && !openTo && to.Before(from) {
		return from, to, badParameter("datetime", "the interval ends before it starts")
	}
	return from, to, nil
}

// parseInstant reads an RFC 3339 date-time. A blank stands for the plus sign
// that it was before the query was decoded.
func parseInstant(s string) (time.Time, bool) {
	s = strings.ReplaceAll(strings.ToUpper(s), " ", "+")
	t, err := time.Parse(time.RFC3339Nano, s)
	return t, err == nil && !t.IsZero()
}
