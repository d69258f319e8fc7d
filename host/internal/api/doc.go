// Package api is the HTTP side of the host: OGC API - Processes on httprouter.
// It decodes requests, calls the service of package job once, and encodes what
// comes back; it holds no rules about jobs. Its central type is API.
//
// Every handler has the form func(w, r, params) error. One adapter (adapter.go)
// gives each request its id, its log line and, when the handler fails, its
// problem document (problem.go). One function (results.go) writes results, for
// synchronous executions and for /jobs/{jobID}/results alike.
//
// Of Geomill it imports job and sdk/ogc; httprouter is used only here.
package api
