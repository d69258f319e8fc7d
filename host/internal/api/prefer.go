package api

import (
	"math"
	"strconv"
	"strings"
	"time"

	"geomill/host/internal/job"
)

// preferences is what the Prefer headers of a request say.
type preferences struct {
	Async, Sync bool
	Wait        *time.Duration
	Timeout     time.Duration // of an attempt; 0: not said
	Return      string        // "minimal", "representation" or empty
	Priority    job.Priority
	NotBefore   time.Time
}

// parsePrefer reads Prefer headers (RFC 7240). The first of several equal names
// counts; unknown names, parameters and malformed elements are skipped.
func parsePrefer(headers []string) preferences {
	var p preferences
	for _, h := range headers {
		for h != "" {
			var element string
			element, h = cutList(h, ',')
			p.add(element)
		}
	}
	return p
}

// add takes in one element: name [= value] *(; parameter).
func (p *preferences) add(element string) {
	element, _ = cutList(element, ';')
	name, value, _ := strings.Cut(element, "=")
	name = strings.TrimSpace(name)
	value = unquote(strings.TrimSpace(value))
	switch {
	case strings.EqualFold(name, "respond-async"):
		p.Async = true
	case strings.EqualFold(name, "respond-sync"):
		p.Sync = true
	case strings.EqualFold(name, "wait") && p.Wait == nil:
		if seconds, ok := parseSeconds(value); ok {
			p.Wait = &seconds
		}
	case strings.EqualFold(name, "timeout") && p.Timeout == 0:
		p.Timeout, _ = parseSeconds(value) // no attempt takes no time: 0 is not heard
	case strings.EqualFold(name, "return") && p.Return == "":
		for _, known := range []string{"minimal", "representation"} {
			if strings.EqualFold(value, known) {
				p.Return = known
			}
		}
	default:
		p.addQueue(name, value)
	}
}

// job returns the preferences that package job decides by. mode is the member of
// old execute requests; it counts only when Prefer says nothing about the mode.
func (p preferences) job(mode string) job.Preference {
	out := job.Preference{
		Async: p.Async, Sync: p.Sync, Wait: p.Wait, Timeout: p.Timeout,
		Priority: p.Priority, NotBefore: p.NotBefore,
	}
	if p.Async || p.Sync || p.Wait != nil {
		return out
	}
	out.Async, out.Sync, out.Auto = mode == "async", mode == "sync", mode == "auto"
	return out
}

// unquote returns the content of a quoted string, or s when it is not one.
func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	s = s[1 : len(s)-1]
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// maxSeconds is the longest duration that fits into a time.Duration.
const maxSeconds = math.MaxInt64 / int64(time.Second)

// parseSeconds reads a whole number of seconds. Numbers too large for a
// time.Duration become the largest one.
func parseSeconds(s string) (time.Duration, bool) {
	if s == "" {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n > maxSeconds {
		n = maxSeconds
	}
	return time.Duration(n) * time.Second, true
}
