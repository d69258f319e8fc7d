package api

// word is the schema of a string, of some given ones if there are any.
func word(values ...string) object {
	if len(values) == 0 {
		return object{"type": "string"}
	}
	return object{"type": "string", "enum": values}
}

// filled is the schema of a string that is not empty.
func filled() object { return object{"type": "string", "minLength": 1} }

// address is the schema of a URI, of most characters at most, that this server
// can be made to ask.
func address(most int) object {
	return object{"type": "string", "format": "uri", "pattern": "^https?://[^/?#@]+([/?#]|$)", "maxLength": most}
}

func uri() object      { return object{"type": "string", "format": "uri"} }
func dateTime() object { return object{"type": "string", "format": "date-time"} }

func arrayOf(schema string) object {
	return object{"type": "array", "items": ref("schemas", schema)}
}

func mapOf(items object) object { return object{"type": "object", "additionalProperties": items} }

// record is the schema of an object with members, some of them required.
func record(members object, required ...string) object {
	o := object{"type": "object", "properties": members}
	if len(required) > 0 {
		o["required"] = required
	}
	return o
}

// link is the schema of a link (spec 4.2) to what href describes.
func link(href object) object {
	return record(object{
		"href": href, "rel": word(), "type": word(), "hreflang": word(), "title": word(),
		"length": object{"type": "integer"},
	}, "href")
}

func headerDocs() object {
	header := func(description string, schema object) object {
		return object{"description": description, "schema": schema}
	}
	return object{
		"Location":           header("The status of the job; of a redirection, the output.", uri()),
		"Link":               header("Links (RFC 8288) to the job or to outputs by reference.", word()),
		"Preference-Applied": header("The preferences that were honoured (RFC 7240).", word()),
		"Retry-After":        header("Seconds to wait before trying again.", object{"type": "integer", "minimum": 0}),
		"ETag":               header("The entity tag of the value.", word()),
		"Cache-Status":       header("geomill; hit for results of an earlier execution (RFC 9211).", word()),
		"Age":                header("How old reused results are, in seconds.", object{"type": "integer", "minimum": 0}),
		headerCount:          header("The number of values of the output.", object{"type": "integer", "minimum": 0}),
	}
}

// orNull is a schema that null matches too, in a version of OpenAPI.
func orNull(schema object, version string) object {
	if enum, ok := schema["enum"].([]string); ok {
		values := []any{nil}
		for _, v := range enum {
			values = append(values, v)
		}
		schema["enum"] = values
	}
	if version == "3.0" {
		schema["nullable"] = true
	} else {
		schema["type"] = []any{schema["type"], "null"}
	}
	return schema
}

// schemaDocs describes the documents of package ogc, in a version of OpenAPI.
func schemaDocs(version string) object {
	docs := object{
		"link": link(word()),
		"landingPage": record(object{
			"title": word(), "description": word(), "attribution": word(), "links": arrayOf("link"),
		}, "links"),
		"confClasses": record(object{
			"conformsTo": object{"type": "array", "items": uri()}, "links": arrayOf("link"),
		}, "conformsTo"),
		"exception": record(object{
			"type": word(), "title": word(), "status": object{"type": "integer"}, "detail": word(), "instance": word(),
			"errors": object{"type": "array", "items": record(object{
				"input": word(), "pointer": word(), "message": word(), "type": word(),
			}, "message")},
			"code":     object{"type": "string", "description": "What programs tell the failures of the process apart by, in its own words."},
			"attempt":  object{"type": "integer", "minimum": 1, "description": "The attempt that failed."},
			"timeout":  object{"type": "number", "description": "How long the attempt was allowed to take, in seconds."},
			"limit":    object{"type": "string", "description": "What was exceeded: memory, cpu, files, processes, output or directory."},
			"maximum":  object{"type": "number", "description": "How much of it is allowed: bytes, seconds or a number."},
			"exitCode": object{"type": "integer", "description": "The exit code of the plugin."},
			"signal":   object{"type": "string", "description": "The signal that ended the plugin."},
			"stderr":   object{"type": "array", "items": word(), "description": "The last lines that the plugin wrote."},
		}, "type"),
	}
	for _, more := range []object{processSchemas(), executeSchemas(version), jobSchemas()} {
		for name, schema := range more {
			docs[name] = schema
		}
	}
	return docs
}

func processSchemas() object {
	summary := func() object {
		return object{
			"id": word(), "version": word(), "title": word(), "description": word(),
			"keywords":             object{"type": "array", "items": word()},
			"metadata":             arrayOf("metadata"),
			"jobControlOptions":    object{"type": "array", "items": word("sync-execute", "async-execute", "dismiss")},
			"outputTransmission":   object{"type": "array", "items": word("value", "reference")},
			"mutable":              object{"type": "boolean"},
			"additionalParameters": object{"type": "object"},
			"links":                arrayOf("link"),
		}
	}
	description := func() object {
		return object{
			"title": word(), "description": word(),
			"keywords":             object{"type": "array", "items": word()},
			"metadata":             arrayOf("metadata"),
			"additionalParameters": object{"type": "object"},
			"dataClasses":          object{"type": "array", "items": word()},
			"dataAccessAPIs":       object{"type": "array", "items": word()},
			"schema":               object{"type": "object", "description": "A JSON Schema: in the dialect of version 1.0, in the profile ogc-process-description in that of 2020-12."},
		}
	}
	input, output := description(), description()
	for _, d := range []object{input, output} {
		d["minOccurs"] = object{"type": "integer", "minimum": 0, "default": 1}
		d["maxOccurs"] = object{"default": 1, "oneOf": []object{{"type": "integer", "minimum": 1}, word("unbounded")}}
	}
	input["valuePassing"] = object{"type": "array", "items": word("byValue", "byReference")}
	input["executionUnitRequirements"] = object{"type": "object"}
	process := summary()
	process["inputs"] = mapOf(ref("schemas", "inputDescription"))
	process["outputs"] = mapOf(ref("schemas", "outputDescription"))
	return object{
		"metadata": record(object{
			"title": word(), "role": word(), "href": word(), "rel": word(), "type": word(), "hreflang": word(),
			"length": object{"type": "integer"}, "lang": word(), "value": object{},
		}),
		"processSummary":    record(summary(), "id", "version"),
		"processList":       record(object{"processes": arrayOf("processSummary"), "links": arrayOf("link")}, "processes", "links"),
		"process":           record(process, "id", "version", "inputs", "outputs"),
		"inputDescription":  record(input, "schema"),
		"outputDescription": record(output, "schema"),
	}
}

// executeSchemas describes the execute request. A member that is null is one that
// is not there.
func executeSchemas(version string) object {
	word := func(values ...string) object { return orNull(word(values...), version) }
	address := func() object { return orNull(address(2048), version) }
	return object{
		"format": orNull(record(object{"mediaType": word(), "encoding": word(), "schema": object{}}), version),
		"outputSelection": orNull(record(object{
			"format":           ref("schemas", "format"),
			"transmissionMode": word("value", "reference"),
		}), version),
		"execute": record(object{
			"inputs":   orNull(mapOf(object{"description": "A value, a qualified value, or an array of either."}), version),
			"outputs":  orNull(mapOf(ref("schemas", "outputSelection")), version),
			"response": word("raw", "document"),
			"subscriber": orNull(record(object{
				"successUri": address(), "inProgressUri": address(), "failedUri": address(),
			}), version),
		}),
	}
}

func jobSchemas() object {
	return object{
		"event": object{
			"type": "object", "description": "One server-sent event. An application/json document is in data: of status and removed the status document.",
			"properties": object{
				"id": word(), "event": word("status", "progress", "log", "gap", "removed", "reset"), "data": word(), "retry": object{"type": "integer"},
			},
		},
		"validation": record(object{
			"valid": object{"type": "boolean"}, "processID": word(), "mode": word("sync", "async"),
			"outputs": mapOf(ref("schemas", "outputSelection")), "preferenceApplied": word(),
		}, "valid", "processID", "mode", "outputs"),
		"statusCode": word("accepted", "running", "successful", "failed", "dismissed"),
		"statusInfo": record(object{
			"jobID": word(), "id": word(),
			"type":                 word("process"),
			"processingEntityType": word("ogc-api-processes"),
			"processID":            word(),
			"status":               ref("schemas", "statusCode"),
			"message":              word(),
			"exception":            ref("schemas", "exception"),
			"created":              dateTime(), "started": dateTime(), "finished": dateTime(), "updated": dateTime(), "expires": dateTime(),
			"progress": object{"type": "integer", "minimum": 0, "maximum": 100}, "estimatedCompletion": dateTime(),
			"links": arrayOf("link"),
			"callbacks": object{"type": "array", "items": record(object{
				"event": word("success", "inProgress", "failed"), "uri": uri(),
				"status":   word("pending", "delivered", "failed"),
				"attempts": object{"type": "integer", "minimum": 0}, "lastAttempt": dateTime(),
				"httpStatus": object{"type": "integer"}, "error": word(),
			}, "event", "uri", "status", "attempts")},
			"reusedFrom": word(),
		}, "jobID", "id", "type", "processingEntityType", "processID", "status"),
		"jobLog":  jobLogSchema(),
		"jobList": record(object{"jobs": arrayOf("statusInfo"), "links": arrayOf("link")}, "jobs", "links"),
	}
}
