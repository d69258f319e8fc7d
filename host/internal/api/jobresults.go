package api

import (
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"strconv"

	"github.com/julienschmidt/httprouter"

	"geomill/host/internal/job"
)

// jobResults answers GET /jobs/{jobID}/results (1.0 /req/core/job-results,
// job-results-*; 2.0 likewise, with the parameter outputs).
func (a *API) jobResults(w http.ResponseWriter, r *http.Request, params httprouter.Params) error {
	q, err := query(r)
	if err != nil {
		return err
	}
	wanted, err := outputsParameter(q)
	if err != nil {
		return err
	}
	accepted, err := negotiate(r, q)
	if err != nil {
		return err
	}
	res, err := a.service.Results(r.Context(), params.ByName("jobID"))
	if err != nil {
		return err
	}
	defer res.Close()
	v := view{
		accept:    accepted,
		stored:    r,
		address:   a.base(r) + "/jobs/" + res.Job.ID + "/results/",
		inlineMax: a.config.InlineLimit,
		preferred: parsePrefer(r.Header["Prefer"]).Return,
		profile:   true,
		pygeoapi:  a.config.Pygeoapi && res.Order.Response == "document",
	}
	if res.Order.Response == "raw" {
		v.response = "raw"
	}
	if wanted != nil {
		if v.only, err = narrow(res, wanted); err != nil {
			return err
		}
	}
	w.Header().Set("Vary", "Accept, Prefer")
	return a.orRemoved(r, res.Job.ID, v.write(w, res))
}

// orRemoved returns why a job is not there any more, if that is why a file of
// its outputs is missing, else err.
func (a *API) orRemoved(r *http.Request, id string, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, gone := a.service.Job(r.Context(), id); gone != nil {
		return gone
	}
	return err
}

// outputsParameter reads the parameter outputs: ids with commas between.
func outputsParameter(q url.Values) ([]string, error) {
	return listParameter(q, "outputs")
}

// headerCount tells how many values an output has.
const headerCount = "OGC-Output-Values-Count"

// jobOutput answers GET /jobs/{jobID}/results/{outputID} with the bare value, or
// the array of them (2.0 /req/core/job-result-op, job-result-success).
func (a *API) jobOutput(w http.ResponseWriter, r *http.Request, params httprouter.Params) error {
	res, accepted, err := a.storedOutput(r, params)
	if err != nil {
		return err
	}
	defer res.Close()
	w.Header().Set("Vary", "Accept")
	return a.orRemoved(r, res.Job.ID, writeOutput(w, r, res, params.ByName("outputID"), accepted))
}

func writeOutput(w http.ResponseWriter, r *http.Request, res *job.Results, id string, accepted accept) error {
	shown, err := render(res.Outputs[id], res.Order.Outputs[id].Format, accepted)
	if err != nil {
		return err
	}
	several, err := hasSeveral(res, id)
	if err != nil {
		return err
	}
	if several {
		w.Header().Set("Link", "<"+profileValues+`>; rel="profile"`)
	}
	if several && r.Header.Get("Range") == "" { // who asks for a range has read the number before
		e, err := findElement(res.Outputs[id], -1)
		if err != nil {
			return err
		}
		w.Header().Set(headerCount, strconv.Itoa(e.count))
	}
	return serve(w, r, res.Job, id, "", shown)
}

// storedOutput returns the results of a job that have the output of the path, and
// what the client accepts. The caller closes them.
func (a *API) storedOutput(r *http.Request, params httprouter.Params) (*job.Results, accept, error) {
	q, err := query(r)
	if err != nil {
		return nil, nil, err
	}
	accepted, err := negotiate(r, q)
	if err != nil {
		return nil, nil, err
	}
	res, err := a.service.Results(r.Context(), params.ByName("jobID"))
	if err != nil {
		return nil, nil, err
	}
	if _, err := narrow(res, []string{params.ByName("outputID")}); err != nil {
		res.Close()
		return nil, nil, err
	}
	return res, accepted, nil
}
