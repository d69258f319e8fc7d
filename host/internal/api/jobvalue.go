package api

import (
	"net/http"
	"strconv"

	"github.com/julienschmidt/httprouter"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// docJobValue describes the operation.
var docJobValue = operation{
	"getOutputValue", "One of the values of an output of a job", "Jobs", []string{"f"}, "",
	[]reply{
		{200, "The value", anyType, "", []string{"ETag", headerCount}},
		{206, "The part of the value that was asked for", anyType, "", []string{"ETag", headerCount}},
		{304, "The value is the one that the client has", nil, "", []string{"ETag", headerCount}},
	},
	[]int{400, 404, 406, 410, 416, 500, 502, 503, 504, 507},
}

// jobValue answers GET /jobs/{jobID}/results/{outputID}/{index} with one value of
// an output, counted from 0. An output that has no more than one value is that
// of index 0 (2.0, requirement job-result-value; spec 8, row 27).
func (a *API) jobValue(w http.ResponseWriter, r *http.Request, params httprouter.Params) error {
	res, accepted, err := a.storedOutput(r, params)
	if err != nil {
		return err
	}
	defer res.Close()
	w.Header().Set("Vary", "Accept")
	return a.orRemoved(r, res.Job.ID, writeValue(w, r, res, params.ByName("outputID"), params.ByName("index"), accepted))
}

func writeValue(w http.ResponseWriter, r *http.Request, res *job.Results, id, index string, accepted accept) error {
	shown, count, err := oneValue(res, id, index, accepted)
	if err != nil {
		return err
	}
	w.Header().Set(headerCount, strconv.Itoa(count))
	return serve(w, r, res.Job, id, index, shown)
}

// oneValue chooses the form of the value of an index. It also returns how many
// values the output has.
func oneValue(res *job.Results, id, index string, accepted accept) (shown rendering, count int, err error) {
	several, err := hasSeveral(res, id)
	if err != nil {
		return shown, 0, err
	}
	n, numeral := parseIndex(index)
	if !several {
		if !numeral || n != 0 {
			return shown, 0, noSuchValue(1)
		}
		shown, err = render(res.Outputs[id], res.Order.Outputs[id].Format, accepted)
		return shown, 1, err
	}
	e, err := findElement(res.Outputs[id], n)
	if err != nil {
		return shown, 0, err
	}
	if !numeral || e.absent() {
		return shown, 0, noSuchValue(e.count)
	}
	v, section, err := e.value(res, id)
	if err != nil {
		return shown, 0, err
	}
	shown, err = render(v, res.Order.Outputs[id].Format, accepted)
	if section {
		shown.part = e.span
	}
	return shown, e.count, err
}

// parseIndex reads a number from 0, in the one way it can be written.
func parseIndex(s string) (n int, ok bool) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || strconv.Itoa(n) != s {
		return -1, false
	}
	return n, true
}

func noSuchValue(count int) error {
	return typedProblem(http.StatusNotFound, ogc.ResultNotAvailable,
		"The number of values of the output is "+strconv.Itoa(count)+"; the first is 0.")
}
