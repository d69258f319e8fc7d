package api

import (
	"maps"
	"net/http"
	"strconv"
	"strings"

	"geomill/host/internal/job"
)

// object is a JSON object of the OpenAPI document.
type object = map[string]any

// openAPI builds the document for processes in a version of OpenAPI, "3.0" or
// "3.1", but for its members openapi and servers.
func (a *API) openAPI(processes []*job.Process, version string) (object, error) {
	paths := object{}
	for _, rt := range a.routes {
		path, _ := openPath(rt.path)
		addOperation(paths, path, rt.method, rt.open())
	}
	schemas := schemaDocs(version)
	if err := a.describeProcesses(processes, version, paths, schemas); err != nil {
		return nil, err
	}
	return object{
		"info":  object{"title": a.config.Title, "description": a.config.Description, "version": "1.0.0"},
		"tags":  []object{{"name": "Capabilities"}, {"name": "Processes"}, {"name": "Jobs"}},
		"paths": paths,
		"components": object{
			"schemas":    schemas,
			"parameters": a.parameterDocs(processes),
			"headers":    headerDocs(),
			"responses":  problemDocs(a.routes),
		},
		"security": []object{}, // nobody has to say who they are
	}, nil
}

func addOperation(paths object, path, method string, op object) {
	item, ok := paths[path].(object)
	if !ok {
		item = object{}
		paths[path] = item
	}
	item[strings.ToLower(method)] = op
}

// openPath turns a path of httprouter into one of OpenAPI, and lists its
// parameters.
func openPath(path string) (open string, params []string) {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		if name, ok := strings.CutPrefix(s, ":"); ok {
			params = append(params, name)
			segments[i] = "{" + name + "}"
		}
	}
	return strings.Join(segments, "/"), params
}

// open describes the operation of a route.
func (rt route) open() object {
	op := object{
		"operationId": rt.doc.id,
		"summary":     rt.doc.summary,
		"tags":        []string{rt.doc.tag},
	}
	_, params := openPath(rt.path)
	if all := append(params, rt.doc.params...); len(all) > 0 {
		refs := make([]object, len(all))
		for i, name := range all {
			refs[i] = ref("parameters", name)
		}
		op["parameters"] = refs
	}
	if rt.doc.body != "" {
		op["requestBody"] = object{
			"required": true,
			"content":  object{mediaJSON: object{"schema": ref("schemas", rt.doc.body)}},
		}
	}
	responses := object{}
	for _, rp := range rt.doc.replies {
		responses[strconv.Itoa(rp.status)] = rp.open()
	}
	for _, status := range rt.doc.errors {
		responses[strconv.Itoa(status)] = ref("responses", problemName(status))
	}
	op["responses"] = responses
	return op
}

func (rp reply) open() object {
	o := object{"description": rp.summary}
	if len(rp.types) > 0 {
		content := object{}
		for _, t := range rp.types {
			schema := object{}
			if t == mediaEvents {
				schema = ref("schemas", "event") // of each, as tools read it
			} else if rp.schema != "" {
				schema = ref("schemas", rp.schema)
			}
			content[t] = object{"schema": schema}
		}
		o["content"] = content
	}
	if len(rp.headers) > 0 {
		headers := object{}
		for _, name := range rp.headers {
			headers[name] = ref("headers", name)
		}
		o["headers"] = headers
	}
	return o
}

// problemDocs describes every status that problems of the routes have.
func problemDocs(routes []route) object {
	docs := object{}
	for _, rt := range routes {
		for _, status := range rt.doc.errors {
			o := object{
				"description": http.StatusText(status),
				"content": object{
					mediaJSON:    object{"schema": ref("schemas", "exception")},
					mediaProblem: object{"schema": ref("schemas", "exception")},
				},
			}
			if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
				o["headers"] = object{"Retry-After": ref("headers", "Retry-After")}
			}
			docs[problemName(status)] = o
		}
	}
	return docs
}

func problemName(status int) string { return "problem" + strconv.Itoa(status) }

func ref(kind, name string) object { return object{"$ref": "#/components/" + kind + "/" + name} }

// parameterDocs describes the parameters. The processes there are become the
// values of processID.
func (a *API) parameterDocs(all []*job.Process) object {
	process := word()
	if len(all) > 0 {
		ids := make([]string, len(all))
		for i, p := range all {
			ids[i] = p.ID
		}
		process["enum"] = ids
	}
	docs := object{
		"processID": pathParameter("processID", "The identifier of a process.", process),
		"jobID":     pathParameter("jobID", "The identifier of a job.", word()),
		"outputID":  pathParameter("outputID", "The identifier of an output.", word()),
		"index":     pathParameter("index", "The number of a value of the output, from 0.", object{"type": "integer", "minimum": 0}),
		"f":         parameter("f", "query", "The format of the reply; it overrides the Accept header.", word("json")),
		"form":      parameter("f", "query", "The format of the reply; it overrides the Accept header.", word("json", "oas30", "oas31", "html")),
		"lang": parameter("lang", "query", "The language of texts, as a language tag; it overrides the Accept-Language header.",
			object{"type": "string", "pattern": languageTag.String()}),
		"profile": listOf("profile", "Profiles of the reply, by URI or identifier. Unknown ones are ignored.", word()),
		"limit": parameter("limit", "query", "The most entries on a page. Values above the maximum are lowered to it.",
			object{"type": "integer", "minimum": 1, "default": a.config.PageLimit}),
		"cursor":      parameter("cursor", "query", "Where the page begins, as the links of another page have it.", word()),
		"type":        listOf("type", "Kinds of jobs. Only process has any.", filled()),
		"ofProcess":   listOf("processID", "Identifiers of processes.", filled()),
		"status":      listOf("status", "States of jobs.", ref("schemas", "statusCode")),
		"outputs":     listOf("outputs", "The outputs to show.", filled()),
		"datetime":    parameter("datetime", "query", "When jobs were created: an RFC 3339 date-time, or two with a slash between, one of which may be \"..\".", word()),
		"minDuration": parameter("minDuration", "query", "The shortest run time, in seconds.", object{"type": "integer", "minimum": 0}),
		"maxDuration": parameter("maxDuration", "query", "The longest run time, in seconds.", object{"type": "integer", "minimum": 0}),
		"Prefer":      parameter("Prefer", "header", "Preferences (RFC 7240): respond-async, wait, timeout, return, priority (high, normal, low), not-before (an RFC 3339 date-time).", word()),
		"Cache-Control": parameter("Cache-Control", "header", "Whether results of an earlier, equal request will do (RFC 9111), where the process is "+
			"deterministic: not with no-cache and no-store, and with max-age only younger ones. With no-store the new ones are not reused.", word()),

		"eventsOrJSON":  parameter("f", "query", "The format of the reply; it overrides the Accept header.", word("json", "events")),
		"Last-Event-ID": parameter("Last-Event-ID", "header", "The id of the last event that the client got: it is sent those that it missed.", word()),
	}
	maps.Copy(docs, logParameterDocs())
	return docs
}

func parameter(name, in, description string, schema object) object {
	return object{"name": name, "in": in, "description": description, "schema": schema}
}

func pathParameter(name, description string, schema object) object {
	p := parameter(name, "path", description, schema)
	p["required"] = true
	return p
}

// listOf is an array with commas between its elements.
func listOf(name, description string, items object) object {
	p := parameter(name, "query", description, object{"type": "array", "items": items})
	p["style"], p["explode"] = "form", false
	return p
}
