package api

import (
	"context"
	"net/http"
	"time"

	"github.com/julienschmidt/httprouter"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// jobList answers GET /jobs (1.0 /req/job-list/job-list-op, job-list-success).
func (a *API) jobList(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	if wantsEvents(r) {
		return a.jobListEvents(w, r)
	}
	w.Header()["Vary"] = varyAccept
	l, err := a.listing(r, "/jobs")
	filter, some, wrong := parseFilter(l.query, a.config.Now())
	if err := badParameters(err, wrong); err != nil {
		return orEvents(err)
	}
	var page job.Page
	if some {
		if page, err = a.service.Jobs(r.Context(), filter, l.cursor, l.limit); err != nil {
			return err
		}
	}
	base := a.base(r)
	list := ogc.JobList{Jobs: make([]ogc.StatusInfo, len(page.Jobs)), NumberReturned: len(page.Jobs)}
	if !page.Older && !page.Newer { // more would have to be counted
		list.NumberMatched = &list.NumberReturned
	}
	for i, j := range page.Jobs {
		list.Jobs[i] = statusInfo(j, base)
	}
	var first, last string
	if n := len(page.Jobs); n > 0 {
		first, last = page.Jobs[0].ID, page.Jobs[n-1].ID
	}
	list.Links = a.links(l, base, page.Older, page.Newer, first, last)
	linkHeaders(w.Header(), list.Links)
	announceProfile(w.Header(), r, l.query, profileJobList)
	return writeJSON(w, http.StatusOK, mediaJSON, list)
}

// jobStatus answers GET /jobs/{jobID} (1.0 /req/core/job-op, job-success).
func (a *API) jobStatus(w http.ResponseWriter, r *http.Request, params httprouter.Params) error {
	if wantsEvents(r) {
		return a.jobEvents(w, r, params)
	}
	w.Header()["Vary"] = varyAccept
	j, err := a.service.Job(r.Context(), params.ByName("jobID"))
	if err != nil {
		return err
	}
	s, err := a.statusDocument(r.Context(), j, a.base(r))
	if err != nil {
		return err
	}
	return orEvents(linked(w, r, s, s.Links, profileJob))
}

// statusDocument is the document of a single job.
func (a *API) statusDocument(ctx context.Context, j job.Job, base string) (s ogc.StatusInfo, err error) {
	s = statusInfo(j, base)
	if j.Callback {
		s.Callbacks, err = a.callbackLog(ctx, j.ID)
	}
	return s, err
}

// dismiss answers DELETE /jobs/{jobID} (1.0 /req/dismiss/job-dismiss-op,
// job-dismiss-success).
func (a *API) dismiss(w http.ResponseWriter, r *http.Request, params httprouter.Params) error {
	q, err := query(r)
	if err != nil {
		return err
	}
	if err := jsonOnly(r, q); err != nil {
		return err
	}
	j, err := a.service.Dismiss(r.Context(), params.ByName("jobID"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, mediaJSON, statusInfo(j, a.base(r)))
}

// statusInfo is the status document of a job: the members of version 1.0 and
// those of 2.0 (1.0 /req/core/job-success, 2.0 statusInfo.yaml).
func statusInfo(j job.Job, base string) ogc.StatusInfo {
	progress := j.Progress
	if j.Status == ogc.Successful {
		progress = 100
	}
	self := base + "/jobs/" + j.ID
	s := ogc.StatusInfo{
		JobID: j.ID, ID: j.ID,
		Type: "process", ProcessingEntityType: "ogc-api-processes",
		ProcessID: j.ProcessID,
		Status:    j.Status, Message: j.Message, Exception: j.Exception, ReusedFrom: j.ReusedFrom,
		Created: instant(j.Created), Started: instant(j.Started),
		Finished: instant(j.Finished), Updated: instant(j.Updated), Expires: instant(j.Expires),
		Progress: &progress, EstimatedCompletion: instant(j.Estimated),
		Links: []ogc.Link{
			{Href: self, Rel: "self", Type: mediaJSON, Title: "This document"},
			{Href: self, Rel: "monitor", Type: mediaJSON, Title: "The status of the job"},
			{Href: self, Rel: "status", Type: mediaJSON, Title: "The status of the job"},
			{Href: base + "/jobs", Rel: "up", Type: mediaJSON, Title: "The jobs"},
			{Href: base + "/processes/" + j.ProcessID, Rel: "describedby", Type: mediaJSON, Title: "The description of the process"},
		},
	}
	switch {
	case j.Status == ogc.Successful && len(j.Outputs) > 0:
		s.Links = append(s.Links, ogc.Link{Href: self + "/results", Rel: ogc.RelResults, Type: mediaJSON, Title: "The results"})
	case j.Status == ogc.Failed:
		s.Links = append(s.Links, ogc.Link{Href: self + "/results", Rel: ogc.RelExceptions, Type: mediaJSON, Title: "Why the job failed"})
	}
	s.Links = append(s.Links,
		ogc.Link{Href: self + "/logs", Rel: ogc.RelLog, Type: mediaText, Title: "The log of the job"},
		ogc.Link{Href: self + "/logs?f=json", Rel: ogc.RelLog, Type: mediaJSON, Title: "The log of the job"})
	return s
}

// instant returns nil for a time that has not come.
func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
