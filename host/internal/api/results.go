package api

import (
	"maps"
	"net/http"
	"slices"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// view is how a client sees results. One function writes them, for synchronous
// executions and for /jobs/{jobID}/results (1.0 table 11,
// /req/core/process-execute-sync-*, job-results-*; 2.0 likewise).
type view struct {
	accept   accept
	response string // of the execute request: "raw", "document" or ""
	// stored is the request for /jobs/{jobID}/results, nil for the reply to an
	// execution. There one output makes a document too, and what is sent is
	// named by an entity tag.
	stored *http.Request
	only   []string // the outputs to show; nil for what was requested
	// address is the URL of an output but for its id; empty when the job has
	// no record, so that nothing can be given by reference.
	address   string
	inlineMax int64  // larger outputs in documents become links; negative: none
	preferred string // Prefer: return
	profile   bool   // link the profile of results documents
	pygeoapi  bool   // documents have the shape that pygeoapi gives them
	announced bool   // the profile was asked for: one output makes a document too
}

// write answers with results.
//
//	outputs  response  reply
//	0        any       204
//	1        none      the value itself, or a link to it
//	1        raw       the value itself, or 204 and its Link
//	more     raw       multipart/related, or 204 and Links if all are references
//	any      else      the results document
//
// Where Accept admits JSON but not multipart/related, or the other way round,
// several outputs take the form that it admits.
func (v view) write(w http.ResponseWriter, res *job.Results) error {
	ids, n := v.selected(res)
	if len(ids) == 0 && (n < 2 || v.response == "raw" || !v.accept.admits(mediaJSON)) {
		if v.stored != nil {
			return job.ErrNotAvailable
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	alone := v.response == "" && n == 1 && v.stored == nil && !v.announced
	switch {
	case v.response == "raw":
		return v.raw(w, res, ids, n)
	case alone && !v.askedFor(res, ids[0]):
		return v.one(w, res, ids[0])
	case v.accept.admits(mediaJSON):
		return v.document(w, res, ids, n)
	case alone:
		w.Header().Set("Location", v.address+ids[0])
		w.WriteHeader(http.StatusSeeOther)
		return nil
	case v.response == "" && v.accept.admits(mediaMultipart):
		return v.multipart(w, res, ids)
	case v.response == "":
		return notAcceptable(mediaJSON, mediaMultipart)
	}
	return notAcceptable(mediaJSON)
}

// selected returns the ids of the outputs to show, sorted, and how many were
// asked for: an optional output may have no value.
func (v view) selected(res *job.Results) (ids []string, n int) {
	wanted := res.Order.Outputs
	switch {
	case v.only != nil:
		return v.only, len(v.only)
	case wanted != nil:
		n = len(wanted)
	case res.Process != nil:
		n = max(len(res.Process.Outputs), len(res.Outputs)) // the process may have been replaced since
	default:
		n = len(res.Outputs)
	}
	ids = make([]string, 0, len(res.Outputs))
	for id := range res.Outputs {
		if _, ok := wanted[id]; ok || wanted == nil {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, n
}

// askedFor reports whether the request wants a link to the output, and can have
// it.
func (v view) askedFor(res *job.Results, id string) bool {
	return v.address != "" && res.Order.Outputs[id].TransmissionMode == "reference"
}

// byReference decides between a value and a link to it: what the request said of
// the output, then Prefer: return, then, but for raw replies, the size (spec 4.6).
func (v view) byReference(res *job.Results, id string) bool {
	if v.address == "" || v.askedFor(res, id) {
		return v.address != ""
	}
	if res.Order.Outputs[id].TransmissionMode == "value" || v.response == "raw" || v.preferred == "representation" {
		return false
	}
	return v.inlineMax >= 0 && res.Outputs[id].Len() > v.inlineMax
}

// raw answers a request with response "raw".
func (v view) raw(w http.ResponseWriter, res *job.Results, ids []string, n int) error {
	references := 0
	for _, id := range ids {
		if v.byReference(res, id) {
			references++
		}
	}
	switch {
	case references == len(ids):
		for _, id := range ids {
			w.Header().Add("Link", "<"+v.address+id+`>; rel="`+ogc.RelResults+`"; title="`+id+`"; type=`+
				quoteParameter(headerType(undisguise(res.Outputs[id]))))
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	case n == 1:
		return v.one(w, res, ids[0])
	case v.accept.admits(mediaMultipart):
		return v.multipart(w, res, ids)
	case v.accept.admits(mediaJSON):
		return v.document(w, res, ids, n)
	}
	return notAcceptable(mediaMultipart, mediaJSON)
}

// document answers with the results document (1.0 results.yaml).
func (v view) document(w http.ResponseWriter, res *job.Results, ids []string, n int) error {
	v.documentHeader(w.Header(), n)
	if v.stored != nil && v.unchanged(w, res, ids) {
		return nil
	}
	c, err := v.compose(res, ids)
	if err != nil {
		return err
	}
	return c.send(w, mediaJSON)
}

// compose makes a results document.
func (v view) compose(res *job.Results, ids []string) (*content, error) {
	var c content
	write := c.document
	if v.pygeoapi {
		write = c.documentOfPygeoapi
	}
	if err := write(v, res, ids); err != nil {
		return nil, err
	}
	return &c, nil
}

func (v view) documentHeader(h http.Header, n int) {
	if v.profile && !v.announced && v.response == "" && !v.pygeoapi && (n > 1 || v.stored != nil) {
		h.Add("Link", "<"+profileResults+`>; rel="profile"`)
	}
	// Without a record everything is inline, which is what representation asks.
	if v.preferred != "" && v.address != "" || v.preferred == "representation" {
		h.Add("Preference-Applied", "return="+v.preferred)
	}
}

// document adds the results document.
func (c *content) document(v view, res *job.Results, ids []string) (err error) {
	c.text("{")
	for i, id := range ids {
		if i > 0 {
			c.text(",")
		}
		c.string(id)
		c.text(":")
		switch val := res.Outputs[id]; {
		case v.byReference(res, id):
			err = c.link(v.address, id, val)
		default:
			err = c.output(res, id)
		}
		if err != nil {
			return err
		}
	}
	c.text("}")
	return nil
}

// output adds an output as results documents have it: one with several values
// as the array of them.
func (c *content) output(res *job.Results, id string) error {
	several, err := hasSeveral(res, id)
	if err != nil {
		return err
	}
	if several {
		return c.occurrences(res, id)
	}
	return c.qualified(res.Outputs[id])
}

// narrow returns the outputs that a list of ids names. It fails with
// ErrNoSuchOutput for an id that the process does not define and with
// ErrNotAvailable for one that was not requested or has no value.
func narrow(res *job.Results, wanted []string) ([]string, error) {
	set := make(map[string]bool, len(wanted))
	for _, id := range wanted {
		if _, ok := res.Outputs[id]; !ok {
			if res.Process != nil {
				if _, defined := res.Process.Outputs[id]; !defined {
					return nil, job.ErrNoSuchOutput
				}
			}
			return nil, job.ErrNotAvailable
		}
		set[id] = true
	}
	return slices.Sorted(maps.Keys(set)), nil
}
