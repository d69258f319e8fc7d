package api

import (
	"net/http"
	"strconv"
	"time"

	"github.com/julienschmidt/httprouter"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

var docValidate = operation{
	"validate", "Check an execute request without executing it", "Processes", []string{"Prefer"}, "execute",
	jsonReply("The request can be executed", "validation"), []int{400, 404, 406, 408, 413, 415, 500, 503},
}

// validation says how a request would be executed. It is Geomill's own.
type validation struct {
	Valid     bool   `json:"valid"` // true
	ProcessID string `json:"processID"`
	Mode      string `json:"mode"` // "sync" or "async"
	// Outputs are those that would be made, with their formats where the
	// request chooses any.
	Outputs map[string]ogc.OutputSelection `json:"outputs"`
	// PreferenceApplied is what the header of this name would say of the mode.
	PreferenceApplied string `json:"preferenceApplied,omitempty"`
}

// validate answers POST /processes/{processID}/validation: it fails as the same
// request to .../execution would for being wrong, but executes nothing.
func (a *API) validate(w http.ResponseWriter, r *http.Request, params httprouter.Params) error {
	process, err := a.process(r, params)
	if err != nil {
		return err
	}
	order, err := a.readOrder(w, r, process)
	if err != nil {
		return err
	}
	defer order.body.close()
	plan, err := a.service.Validate(r.Context(), order.Request)
	if err != nil {
		return err
	}
	v := validation{Valid: true, ProcessID: process.ID, Mode: "async", Outputs: order.Outputs}
	switch {
	case plan.Mode == job.Sync:
		v.Mode = "sync"
	case plan.Mode == job.Wait && order.prefer.Wait != nil:
		v.PreferenceApplied = "wait=" + strconv.FormatInt(int64(*order.prefer.Wait/time.Second), 10)
	case order.prefer.Async:
		v.PreferenceApplied = "respond-async"
	}
	if v.Outputs == nil {
		v.Outputs = make(map[string]ogc.OutputSelection, len(process.Outputs))
		for id := range process.Outputs {
			v.Outputs[id] = ogc.OutputSelection{}
		}
	}
	return writeJSON(w, http.StatusOK, mediaJSON, v)
}
