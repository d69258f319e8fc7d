package api

import (
	"net/http"

	"github.com/julienschmidt/httprouter"
)

// route is one operation. GET serves HEAD too.
type route struct {
	method, path string // path as httprouter reads it
	handle       handler
	doc          operation
}

// table lists every operation, in the order of the standard.
func (a *API) table() []route {
	routes := []route{
		{http.MethodGet, "/", a.landingPage, docLandingPage},
		{http.MethodGet, "/conformance", a.conformance, docConformance},
		{http.MethodGet, "/api", a.definition, docDefinition},
		{http.MethodGet, "/processes", a.processList, docProcessList},
		{http.MethodGet, "/processes/:processID", a.processDescription, docProcessDescription},
		{http.MethodPost, "/processes/:processID/execution", a.execute, docExecute},
		{http.MethodPost, "/processes/:processID/validation", a.validate, docValidate},
		{http.MethodGet, "/jobs", a.jobList, docJobList},
		{http.MethodGet, "/jobs/:jobID", a.jobStatus, docJobStatus},
		{http.MethodDelete, "/jobs/:jobID", a.dismiss, docDismiss},
		{http.MethodGet, "/jobs/:jobID/logs", a.jobLog, docJobLog},
		{http.MethodGet, "/jobs/:jobID/results", a.jobResults, docJobResults},
		{http.MethodGet, "/jobs/:jobID/results/:outputID", a.jobOutput, docJobOutput},
		{http.MethodGet, "/jobs/:jobID/results/:outputID/:index", a.jobValue, docJobValue},
	}
	if a.config.KVPExecute {
		routes = append(routes, route{http.MethodGet, kvpPath, a.executeKVP, docExecuteKVP})
	}
	return routes
}

func (a *API) newRouter() *httprouter.Router {
	router := httprouter.New()
	router.RedirectTrailingSlash = false
	router.RedirectFixedPath = false
	for _, rt := range a.routes {
		h := a.adapt(rt.handle)
		router.Handle(rt.method, rt.path, h)
		if rt.method == http.MethodGet && rt.path != kvpPath { // a process is not run to send no body
			router.Handle(http.MethodHead, rt.path, h)
		}
	}
	router.NotFound = a.fallback(func(http.ResponseWriter, *http.Request, httprouter.Params) error {
		return noResource()
	})
	router.MethodNotAllowed = a.fallback(func(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
		return newProblem(http.StatusMethodNotAllowed, "The resource allows "+w.Header().Get("Allow")+" only.")
	})
	router.GlobalOPTIONS = a.fallback(func(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
		a.cors.options(w, r)
		return nil
	})
	a.wrongHost = a.fallback(func(http.ResponseWriter, *http.Request, httprouter.Params) error {
		return newProblem(http.StatusBadRequest, "The Host header is not a host name or address.")
	})
	return router
}

func (a *API) fallback(h handler) http.Handler {
	adapted := a.adapt(h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { adapted(w, r, nil) })
}

func noResource() error {
	return newProblem(http.StatusNotFound, "There is no resource at this path.")
}
