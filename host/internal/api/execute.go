package api

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/julienschmidt/httprouter"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// execute answers POST /processes/{processID}/execution (1.0
// /req/core/process-execute-op, process-execute-request, process-execute-sync-*,
// process-execute-success-async; 2.0 likewise).
func (a *API) execute(w http.ResponseWriter, r *http.Request, params httprouter.Params) error {
	process, err := a.process(r, params)
	if err != nil {
		return err
	}
	order, err := a.readOrder(w, r, process)
	if err != nil {
		return err
	}
	defer order.body.close()
	x, err := a.service.Submit(r.Context(), order.Request)
	if err != nil {
		return err
	}
	if !x.ResultsOf.IsZero() {
		a.announceReuse(w.Header(), x)
	}
	if x.Results == nil {
		return a.created(w, r, x, order.prefer)
	}
	defer x.Results.Close()
	return a.replySync(w, r, x, order.prefer, order.accept, order.document)
}

// order is an execute request with what its headers say.
type order struct {
	job.Request
	body     *body // which the inputs are sections of; to be closed
	prefer   preferences
	accept   accept
	document bool // the client wants the results document by its profile
}

// readOrder reads an execute request and refuses what no execution could answer.
func (a *API) readOrder(w http.ResponseWriter, r *http.Request, process *job.Process) (_ *order, err error) {
	body, err := a.readBody(w, r)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			body.close()
		}
	}()
	outline, err := a.outline(r, body)
	if err != nil {
		return nil, notExecute(err)
	}
	prefer := parsePrefer(r.Header["Prefer"])
	request, err := decodeExecute(body, outline, prefer)
	if err != nil {
		return nil, err
	}
	request.ProcessID = process.ID
	if request.Subscriber != nil {
		request.BaseURL = a.base(r)
	}
	if process.Policy.Deterministic {
		request.Cache = parseCacheControl(r.Header["Cache-Control"])
	}
	accepted := parseAccept(r.Header["Accept"])
	document := request.Response == "" && accepted.admits(mediaJSON) && asksForResults(r)
	if !document {
		err = offerable(process, &request, accepted)
	} else {
		err = checkFormats(process, request.Outputs)
	}
	if err != nil {
		return nil, err
	}
	if mode, _ := job.Negotiate(process.JobControlOptions, request.Prefer, time.Second); mode != job.Sync {
		request.Caller = a.caller(r)
	}
	return &order{request, body, prefer, accepted, document}, nil
}

// notExecute turns an error of the scanner into a problem.
func notExecute(err error) error {
	if s, ok := errors.AsType[*syntaxError](err); ok {
		return &job.InvalidError{Faults: []ogc.Fault{{Message: "the body is not an execute request: " + s.Error()}}}
	}
	return err
}

// created answers 201 for a job that goes on (1.0
// /req/core/process-execute-success-async).
func (a *API) created(w http.ResponseWriter, r *http.Request, x *job.Execution, prefer preferences) error {
	base := a.base(r)
	h := w.Header()
	h.Set("Location", base+"/jobs/"+x.Job.ID)
	if prefer.Async {
		h.Set("Preference-Applied", "respond-async")
	}
	timeoutApplied(h, x)
	appliedToQueue(h, x.Job, prefer)
	return writeJSON(w, http.StatusCreated, mediaJSON, statusInfo(x.Job, base))
}

// replySync answers with the results of a job that has ended (1.0
// /req/core/process-execute-sync-*). document says that the client wants the
// results document by its profile.
func (a *API) replySync(w http.ResponseWriter, r *http.Request, x *job.Execution, prefer preferences, accepted accept, document bool) error {
	v := view{
		accept:    accepted,
		response:  x.Results.Order.Response,
		inlineMax: a.config.InlineLimit,
		preferred: prefer.Return,
		profile:   !a.config.CITE10,
		pygeoapi:  a.config.Pygeoapi && x.Results.Order.Response == "document",
		announced: document,
	}
	timeoutApplied(w.Header(), x)
	if document && v.profile {
		announceProfile(w.Header(), r, r.URL.Query(), profileResults)
	}
	if x.Recorded {
		base := a.base(r)
		v.address = base + "/jobs/" + x.Job.ID + "/results/"
		if !a.config.CITE10 {
			w.Header().Add("Link", "<"+base+"/jobs/"+x.Job.ID+`>; rel="monitor"`)
		}
		if a.config.Pygeoapi {
			w.Header().Set("Location", base+"/jobs/"+x.Job.ID)
		}
		if prefer.Wait != nil && !x.Job.Sync {
			w.Header().Add("Preference-Applied", "wait="+strconv.FormatInt(int64(*prefer.Wait/time.Second), 10))
		}
		appliedToQueue(w.Header(), x.Job, prefer)
	}
	return v.write(w, x.Results)
}

// timeoutApplied tells how long an attempt may take, in whole seconds, when the
// request asked for that: less than it did, perhaps.
func timeoutApplied(h http.Header, x *job.Execution) {
	if x.Timeout > 0 {
		h.Add("Preference-Applied", "timeout="+strconv.FormatInt(int64((x.Timeout+time.Second-1)/time.Second), 10))
	}
}
