package api

import (
	"errors"
	"hash/fnv"
	"io/fs"
	"net/http"
	"net/url"
	"strconv"
	"time"

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
		stored:    true,
		address:   a.base(r) + "/jobs/" + res.Job.ID + "/results/",
		inlineMax: a.config.InlineLimit,
		preferred: parsePrefer(r.Header["Prefer"]).Return,
		profile:   true,
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

// jobOutput answers GET /jobs/{jobID}/results/{outputID} with the bare value (2.0
// /req/core/job-result-op, job-result-success). Ranges are served, and as
// results never change, the entity tag needs only their names.
func (a *API) jobOutput(w http.ResponseWriter, r *http.Request, params httprouter.Params) error {
	q, err := query(r)
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
	id := params.ByName("outputID")
	if _, err := narrow(res, []string{id}); err != nil {
		return err
	}
	shown, err := render(res.Outputs[id], res.Order.Outputs[id].Format, accepted)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Vary", "Accept")
	h.Set("X-Content-Type-Options", "nosniff") // outputs are anyone's HTML
	h.Set("ETag", entityTag(res.Job, id, shown))
	if shown.form != asIs {
		var c content
		if err := c.rendering(id, shown); err != nil {
			return a.orRemoved(r, res.Job.ID, err)
		}
		return c.send(w, shown.mediaType)
	}
	h.Set("Content-Type", shown.mediaType)
	return a.orRemoved(r, res.Job.ID, serveRanges(w, r, shown.value))
}

// serveRanges sends a value, or the part of it that the client asks for.
func serveRanges(w http.ResponseWriter, r *http.Request, v job.Value) error {
	src, err := v.Open()
	if err != nil {
		return err
	}
	defer src.Close()
	e, ok := w.(*exchange)
	if !ok {
		e = &exchange{ResponseWriter: w, head: r.Method == http.MethodHead}
	}
	ranged := &rangeWriter{exchange: e}
	http.ServeContent(ranged, r, "", time.Time{}, src)
	if ranged.refused {
		return newProblem(http.StatusRequestedRangeNotSatisfiable, "The value has "+strconv.FormatInt(v.Len(), 10)+" bytes.")
	}
	return nil
}

// rangeWriter keeps back what net/http says of a range that cannot be served: it
// becomes a problem.
type rangeWriter struct {
	*exchange
	refused bool
}

func (w *rangeWriter) WriteHeader(status int) {
	if status == http.StatusRequestedRangeNotSatisfiable {
		w.refused = true
		return
	}
	w.exchange.WriteHeader(status)
}

func (w *rangeWriter) Write(b []byte) (int, error) {
	if w.refused {
		return len(b), nil
	}
	return w.exchange.Write(b)
}

// entityTag names a value in one form.
func entityTag(j job.Job, id string, r rendering) string {
	f := fnv.New32a()
	for _, s := range []string{id, r.mediaType} {
		f.Write([]byte(s))
		f.Write([]byte{0})
	}
	return `"` + j.ID + "-" + strconv.Itoa(j.Attempt) + "-" + strconv.FormatUint(uint64(f.Sum32()), 16) + `"`
}
