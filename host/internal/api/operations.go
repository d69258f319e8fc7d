package api

// operation is what the OpenAPI document says of a route besides its path.
type operation struct {
	id, summary, tag string
	params           []string // components, as parameterDocs names them
	body             string   // a schema, when the operation has a body
	replies          []reply
	errors           []int // statuses of problem documents
}

// reply is a reply that is not a problem.
type reply struct {
	status  int
	summary string
	types   []string // media types; none: no body
	schema  string   // of the JSON media types; none: any value
	headers []string // names in headerDocs
}

// profiledReply is a jsonReply of a resource that has profiles, which Prefer may
// ask for.
func profiledReply(summary, schema string) []reply {
	return []reply{{200, summary, []string{mediaJSON}, schema, []string{"Preference-Applied"}}}
}

// jsonReply is the usual 200.
func jsonReply(summary, schema string) []reply {
	return []reply{{200, summary, []string{mediaJSON}, schema, nil}}
}

var (
	eventTypes = []string{mediaJSON, mediaEvents}

	anyType = []string{mediaJSON, mediaText, mediaMultipart, "*/*"}

	docLandingPage = operation{
		"getLandingPage", "The landing page", "Capabilities", []string{"f"}, "",
		jsonReply("The landing page", "landingPage"), []int{400, 406, 500},
	}
	docConformance = operation{
		"getConformance", "The conformance classes that the server meets", "Capabilities", []string{"f"}, "",
		jsonReply("The conformance classes", "confClasses"), []int{400, 406, 500},
	}
	docDefinition = operation{
		"getDefinition", "This document", "Capabilities", []string{"form"}, "",
		[]reply{
			{200, "The API in OpenAPI, or as a page", []string{mediaOpenAPI, mediaOpenAPI31, mediaJSON, mediaHTML}, "", []string{"ETag"}},
			{304, "The document is the one that the client has", nil, "", []string{"ETag"}},
		}, []int{400, 406, 500, 503},
	}
	docProcessList = operation{
		"getProcesses", "The processes, sorted by identifier", "Processes", []string{"limit", "cursor", "lang", "profile", "f"}, "",
		profiledReply("A page of the processes", "processList"), []int{400, 406, 500, 503},
	}
	docProcessDescription = operation{
		"getProcessDescription", "What a process does, takes and gives", "Processes", []string{"lang", "profile", "f"}, "",
		profiledReply("The description of the process", "process"), []int{400, 404, 406, 500, 503},
	}
	docExecute = operation{
		"execute", "Execute a process", "Processes", []string{"Prefer", "Cache-Control"}, "execute",
		[]reply{
			{200, "The results of a synchronous execution", anyType, "", []string{"Link", "Location", "Preference-Applied", "Cache-Status", "Age"}},
			{201, "The job of an asynchronous execution", []string{mediaJSON}, "statusInfo", []string{"Location", "Preference-Applied", "Cache-Status"}},
			{204, "No outputs, or all of them by reference", nil, "", []string{"Link", "Preference-Applied", "Cache-Status", "Age"}},
			{303, "The only output, by reference, is elsewhere", nil, "", []string{"Link", "Location", "Preference-Applied", "Cache-Status", "Age"}},
		},
		[]int{400, 404, 406, 408, 413, 415, 429, 500, 502, 503, 504, 507},
	}
	docJobList = operation{
		"getJobs", "The jobs, newest first", "Jobs",
		[]string{"limit", "cursor", "type", "ofProcess", "status", "datetime", "minDuration", "maxDuration", "profile", "eventsOrJSON", "Last-Event-ID"}, "",
		[]reply{{200, "A page of the jobs, or their changes from now on as events", eventTypes, "jobList", []string{"Preference-Applied"}}}, []int{400, 406, 500, 503},
	}
	docJobStatus = operation{
		"getStatus", "The status of a job", "Jobs", []string{"profile", "eventsOrJSON", "Last-Event-ID"}, "",
		[]reply{
			{200, "The status of the job, or what happens to it until its end as events", eventTypes, "statusInfo", []string{"Preference-Applied"}},
			{204, "The job has ended, and the client was sent all its events", nil, "", nil},
		}, []int{400, 404, 406, 410, 500, 503},
	}
	docDismiss = operation{
		"dismiss", "Stop a job, or remove one that has ended", "Jobs", []string{"f"}, "",
		jsonReply("The status of the job", "statusInfo"), []int{400, 404, 406, 410, 500, 503, 507},
	}
	docJobLog = operation{
		"getLog", "The log of a job", "Jobs", []string{"logLevel", "logAfter", "logLimit", "logForm"}, "",
		[]reply{{200, "The lines, the oldest first", []string{mediaText, mediaJSON}, "jobLog", []string{"Link"}}},
		[]int{400, 404, 406, 410, 500},
	}
	docJobResults = operation{
		"getResults", "The results of a job", "Jobs", []string{"outputs", "Prefer", "f"}, "",
		[]reply{
			{200, "The results document, or the raw outputs", anyType, "", []string{"Link", "Preference-Applied", "ETag"}},
			{204, "All outputs by reference", nil, "", []string{"Link", "Preference-Applied"}},
			{206, "The part of the only output that was asked for", anyType, "", []string{"ETag"}},
			{304, "The results are those that the client has", nil, "", []string{"ETag"}},
		},
		[]int{400, 404, 406, 410, 416, 500, 502, 503, 504, 507},
	}
	docJobOutput = operation{
		"getOutput", "One output of a job", "Jobs", []string{"f"}, "",
		[]reply{
			{200, "The value", anyType, "", []string{"ETag", headerCount}},
			{206, "The part of the value that was asked for", anyType, "", []string{"ETag", headerCount}},
			{304, "The value is the one that the client has", nil, "", []string{"ETag", headerCount}},
		},
		[]int{400, 404, 406, 410, 416, 500, 502, 503, 504, 507},
	}
)
