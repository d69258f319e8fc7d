package api

import (
	"net/http"
	"strings"
	"time"

	"geomill/host/internal/job"
)

// addQueue takes in the preferences about how a job waits.
func (p *preferences) addQueue(name, value string) {
	switch {
	case strings.EqualFold(name, "priority") && p.Priority == "":
		if v := job.Priority(strings.ToLower(value)); v.Valid() {
			p.Priority = v
		}
	case strings.EqualFold(name, "not-before") && p.NotBefore.IsZero():
		if t, err := time.Parse(time.RFC3339, value); err == nil {
			p.NotBefore = t
		}
	}
}

// appliedToQueue tells which preferences about its waiting a job has.
func appliedToQueue(h http.Header, j job.Job, p preferences) {
	if p.Priority != "" && j.Priority == p.Priority {
		h.Add("Preference-Applied", "priority="+string(p.Priority))
	}
	if !p.NotBefore.IsZero() && j.NotBefore.Equal(p.NotBefore) {
		h.Add("Preference-Applied", `not-before="`+p.NotBefore.Format(time.RFC3339Nano)+`"`)
	}
}

// busy is the problem of a job that finds no place: 503 when there is none, 429
// when the caller has as many as one may have.
func busy(e *job.BusyError) *problem {
	p := newProblem(http.StatusServiceUnavailable, "Too many jobs are waiting. Try again later.")
	if e.Caller {
		p = newProblem(http.StatusTooManyRequests, "Too many of your jobs are waiting. Try again when some of them have started.")
	}
	p.retryAfter = e.RetryAfter
	return p
}
