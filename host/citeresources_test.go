package host_test

import (
	"encoding/json"
	"slices"
	"testing"
)

// parsed reads a JSON reply.
func parsed[T any](t *testing.T, r reply) (v T) {
	t.Helper()
	if err := json.Unmarshal(r.body, &v); err != nil {
		t.Fatalf("%v: %v", r, err)
	}
	return v
}

// linked is a document with links.
type linked struct {
	Links []struct{ Href, Rel, Type string }
}

// target returns where the first link with the relation leads, or "".
func (l linked) target(rel string) string {
	for _, link := range l.Links {
		if link.Rel == rel {
			return link.Href
		}
	}
	return ""
}

func relation(name string) string { return "http://www.opengis.net/def/rel/ogc/1.0/" + name }

// citeResources are the tests of what a client reads before it executes.
func citeResources() []citeCheck {
	return []citeCheck{
		{"General", "testHttp", func(t *testing.T, s *subject) {
			if r := s.get(t, "/"); r.Proto != "HTTP/1.1" {
				t.Errorf("protocol %s", r.Proto)
			}
		}},
		{"LandingPage", "testLandingPageRetrieval", func(t *testing.T, s *subject) {
			r := s.must(t, 200, "GET", "/", "", "Accept", "application/json, application/javascript, text/javascript, text/json")
			parsed[map[string]any](t, r)
		}},
		{"LandingPage", "testLandingPageValidation", landingPageLinks},
		{"Conformance", "testValidateConformanceOperationAndResponse", func(t *testing.T, s *subject) {
			r := s.get(t, "/conformance")
			r.matches(t, "confClasses")
			classes := parsed[struct{ ConformsTo []string }](t, r).ConformsTo
			if !slices.Contains(classes, "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/core") {
				t.Errorf("classes %q", classes)
			}
		}},
		{"ProcessList", "testPlLimitDefinition", limitIsDefined},
		{"ProcessList", "testPlLimitResponse", func(t *testing.T, s *subject) {
			if n := len(processList(t, s, "?limit=1").Processes); n != 1 {
				t.Errorf("%d processes, want 1", n)
			}
		}},
		{"ProcessList", "testPlLinks", func(t *testing.T, s *subject) {
			if links := processList(t, s, "?limit=1").Links; links == nil {
				t.Error("no links")
			}
		}},
		{"ProcessList", "testProcessList", func(t *testing.T, s *subject) {
			if len(processList(t, s, "").Processes) == 0 {
				t.Error("no processes")
			}
		}},
		{"ProcessList", "testProcessListSuccess", func(t *testing.T, s *subject) {
			s.get(t, "/processes").matches(t, "processList")
		}},
		{"Process", "testProcess", func(t *testing.T, s *subject) {
			s.get(t, "/processes/"+s.id).matches(t, "process")
		}},
		{"Process", "testProcessSuccess", func(t *testing.T, s *subject) {
			r := s.get(t, "/processes/"+s.id)
			r.matches(t, "process")
			if id := parsed[struct{ ID string }](t, r).ID; id != s.id {
				t.Errorf("id %q", id)
			}
		}},
		{"Process", "testProcessExceptionNoSuchProcess", func(t *testing.T, s *subject) {
			r := s.must(t, 404, "GET", "/processes/invalid-process-5d1f", "", "Accept", "application/json")
			r.fails(t, 404, exception("no-such-process"))
		}},
	}
}

func landingPageLinks(t *testing.T, s *subject) {
	r := s.get(t, "/")
	r.matches(t, "landingPage")
	page := parsed[linked](t, r)
	for _, rel := range []string{"service-desc", relation("conformance"), relation("processes")} {
		href := page.target(rel)
		if href == "" {
			t.Errorf("no link to %s", rel)
			continue
		}
		s.must(t, 200, "GET", s.path(t, href), "")
	}
}

// limitIsDefined reads the definition of the limit parameter.
func limitIsDefined(t *testing.T, s *subject) {
	type parameter struct {
		Ref      string `json:"$ref"`
		Name, In string
		Schema   struct {
			Type             string
			Minimum, Default int
		}
	}
	definition := parsed[struct {
		Paths map[string]struct {
			Get struct{ Parameters []parameter }
		}
		Components struct{ Parameters map[string]parameter }
	}](t, s.must(t, 200, "GET", "/api", "", "Accept", "application/vnd.oai.openapi+json;version=3.0"))
	for _, p := range definition.Paths["/processes"].Get.Parameters {
		const components = "#/components/parameters/"
		if len(p.Ref) > len(components) {
			p = definition.Components.Parameters[p.Ref[len(components):]]
		}
		if p.Name == "limit" && p.In == "query" {
			if p.Schema.Type != "integer" || p.Schema.Minimum != 1 || p.Schema.Default < 1 {
				t.Errorf("limit is %+v", p)
			}
			return
		}
	}
	t.Error("no parameter limit")
}

// listOfProcesses is a process list.
type listOfProcesses struct {
	linked
	Processes []struct{ ID string }
}

func processList(t *testing.T, s *subject, query string) listOfProcesses {
	t.Helper()
	return parsed[listOfProcesses](t, s.get(t, "/processes"+query))
}

// described is an input or an output of a description.
type described struct {
	Schema map[string]any
}

// citeDescriptions are the tests of process descriptions.
func citeDescriptions() []citeCheck {
	const group = "OGCProcessDescription"
	inputs := func(t *testing.T, s *subject) map[string]described {
		return parsed[struct{ Inputs map[string]described }](t, s.get(t, "/processes/"+s.id)).Inputs
	}
	outputs := func(t *testing.T, s *subject) map[string]described {
		return parsed[struct{ Outputs map[string]described }](t, s.get(t, "/processes/"+s.id)).Outputs
	}
	present := func(of func(*testing.T, *subject) map[string]described) func(*testing.T, *subject) {
		return func(t *testing.T, s *subject) {
			if len(of(t, s)) == 0 {
				t.Error("there is none")
			}
		}
	}
	schemas := func(of func(*testing.T, *subject) map[string]described) func(*testing.T, *subject) {
		return func(t *testing.T, s *subject) {
			for id, d := range of(t, s) {
				if len(d.Schema) == 0 {
					t.Errorf("%s has no schema", id)
				}
			}
		}
	}
	mixed := func(of func(*testing.T, *subject) map[string]described) func(*testing.T, *subject) {
		return func(t *testing.T, s *subject) {
			for _, d := range of(t, s) {
				if variants, ok := d.Schema["oneOf"].([]any); ok && len(variants) > 1 {
					return
				}
			}
			t.Skip("none has more than one type")
		}
	}
	return []citeCheck{
		{group, "testOGCProcessDescriptionJSON", func(t *testing.T, s *subject) {
			for _, p := range processList(t, s, "").Processes {
				s.get(t, "/processes/"+p.ID).matches(t, "process")
			}
		}},
		{group, "testOGCProcessDescriptionInputsDef", present(inputs)},
		{group, "testOGCProcessDescriptionInputDef", schemas(inputs)},
		{group, "testOGCProcessDescriptionInputDefinitionOfMixedType", mixed(inputs)},
		{group, "testOGCProcessDescriptionOutputsDef", present(outputs)},
		{group, "testOGCProcessDescriptionOutputDef", schemas(outputs)},
		{group, "testOGCProcessDescriptionOutputDefinitionOfMixedType", mixed(outputs)},
	}
}

// citeJobList are the tests of the list of jobs. The suite finds there what its
// other tests left; here each leaves a job first.
func citeJobList() []citeCheck {
	const group = "JobList"
	list := func(t *testing.T, s *subject) reply {
		t.Helper()
		s.accepted(t, s.whole())
		return s.get(t, "/jobs")
	}
	return []citeCheck{
		{group, "testJobList", func(t *testing.T, s *subject) {
			if jobs := parsed[struct{ Jobs []any }](t, list(t, s)).Jobs; len(jobs) == 0 {
				t.Error("no jobs")
			}
		}},
		{group, "testJobListSuccess", func(t *testing.T, s *subject) {
			list(t, s).matches(t, "jobList")
		}},
	}
}
