package api

import (
	"net/http"
	"sort"

	"github.com/julienschmidt/httprouter"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// profileDescription, profileResults and profileValues are profiles of version 2.0.
const (
	profileDescription = "https://www.opengis.net/def/profile/OGC/0/ogc-process-description"
	profileResults     = "https://www.opengis.net/def/profile/OGC/0/ogc-results"
	profileValues      = "https://www.opengis.net/def/profile/OGC/0/ogc-values"
)

// processList answers GET /processes (1.0 /req/core/process-list,
// process-list-success, pl-limit-response, pl-links).
func (a *API) processList(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	l, err := a.listing(r, "/processes")
	if err != nil {
		return err
	}
	wanted, err := wantedLanguages(r, l.query)
	if err != nil {
		return err
	}
	if err := a.service.Await(r.Context(), ""); err != nil {
		return err
	}
	all := a.service.Processes()
	from, to := section(all, l.cursor, l.limit)
	base := a.base(r)
	list := ogc.ProcessList{Processes: make([]ogc.ProcessSummary, 0, to-from), NumberMatched: len(all), NumberReturned: to - from}
	languages, translated := make([]string, 0, to-from), false
	for _, p := range all[from:to] {
		lang, choice := p.Language(wanted...)
		languages, translated = append(languages, lang), translated || choice
		list.Processes = append(list.Processes, summary(p, lang, base))
	}
	if len(languages) > 0 {
		sayLanguages(w.Header(), languages, translated)
	}
	var first, last string
	if from < to {
		first, last = all[from].ID, all[to-1].ID
	}
	list.Links = a.links(l, base, to < len(all), from > 0, first, last)
	linkHeaders(w.Header(), list.Links)
	announceProfile(w.Header(), r, l.query, profileProcessList)
	return writeJSON(w, http.StatusOK, mediaJSON, list)
}

// section returns the bounds of one page of processes sorted by id.
func section(all []*job.Process, c job.Cursor, limit int) (from, to int) {
	if c.Newer {
		to = sort.Search(len(all), func(i int) bool { return all[i].ID >= c.After })
		return max(0, to-limit), to
	}
	if c.After != "" {
		from = sort.Search(len(all), func(i int) bool { return all[i].ID > c.After })
	}
	return from, min(len(all), from+limit)
}

// summary is the entry of a process in the list, in one of its languages.
func summary(p *job.Process, lang, base string) ogc.ProcessSummary {
	return complete(p.Summary(lang), base)
}

// complete adds what the standard wants said even when the plugin does not say
// it.
func complete(s ogc.ProcessSummary, base string) ogc.ProcessSummary {
	if s.Mutable == nil {
		s.Mutable = new(bool) // processes cannot be replaced through the API
	}
	if len(s.OutputTransmission) == 0 {
		s.OutputTransmission = []string{"value", "reference"}
	}
	self := base + "/processes/" + s.ID
	s.Links = append(s.Links[:len(s.Links):len(s.Links)],
		ogc.Link{Href: self, Rel: "self", Type: mediaJSON, Title: "The description of the process"},
		ogc.Link{Href: self + "/execution", Rel: ogc.RelExecute, Type: mediaJSON, Title: "Executes the process"})
	return s
}

// processDescription answers GET /processes/{processID} (1.0 /req/core/process,
// process-success; /req/ogc-process-description/json-encoding). Schemas are in
// the closed dialect of version 1.0, in the profile ogc-process-description as
// the plugin declares them.
func (a *API) processDescription(w http.ResponseWriter, r *http.Request, params httprouter.Params) error {
	p, err := a.process(r, params)
	if err != nil && p == nil { // one that cannot run now is described all the same
		return err
	}
	q, err := query(r)
	if err != nil {
		return err
	}
	wanted, err := wantedLanguages(r, q)
	if err != nil {
		return err
	}
	lang, translated := p.Language(wanted...)
	base := a.base(r)
	w.Header().Add("Vary", "Accept-Profile, Prefer")
	d := p.Description(lang, profileOf(r, q, profileDescription) != "")
	d.ProcessSummary = complete(d.ProcessSummary, base)
	d.Links = append(d.Links,
		ogc.Link{Href: base + "/processes/" + p.ID + "/validation", Rel: "related", Type: mediaJSON, Title: "Checks an execute request without executing it"},
		ogc.Link{Href: base + "/processes", Rel: "up", Type: mediaJSON, Title: "The processes"},
		ogc.Link{Href: base + "/", Rel: "service", Type: mediaJSON, Title: "The landing page"},
		ogc.Link{Href: base + "/jobs?processID=" + p.ID, Rel: ogc.RelJobList, Type: mediaJSON, Title: "The jobs of the process"},
		ogc.Link{Href: profileDescription, Rel: "profile"})
	sayLanguages(w.Header(), []string{lang}, translated)
	return linked(w, r, d, d.Links[:len(d.Links)-1], profileDescription)
}
