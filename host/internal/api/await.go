package api

import (
	"errors"
	"net/http"

	"github.com/julienschmidt/httprouter"

	"geomill/host/internal/job"
)

// process returns the process in the path, or an error as Catalog.Process. While
// the host starts it waits for it: then no process is unknown.
func (a *API) process(r *http.Request, params httprouter.Params) (*job.Process, error) {
	id := params.ByName("processID")
	p, err := a.service.Process(id)
	if !errors.Is(err, job.ErrNoSuchProcess) {
		return p, err
	}
	if err := a.service.Await(r.Context(), id); err != nil {
		return nil, err
	}
	return a.service.Process(id)
}
