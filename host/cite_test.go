package host_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// The checks of this file and of its neighbours are those of the conformance
// suite of version 1.0 under its own names, written anew from what it sends
// and asserts. Where the standard leaves a choice that the suite accepts both
// ways, they hold the server to its own decision.

// citeCheck is one test of the suite.
type citeCheck struct {
	group, name string
	run         func(*testing.T, *subject)
}

// citeChecks returns all tests in the order of the suite.
func citeChecks() []citeCheck {
	return slices.Concat(citeResources(), citeJobs(), citeResults(), citeDescriptions(), citeJobList())
}

// linkCheck reads a Link header of a sync reply wrongly, see CompatCITE10.
const linkCheck = "testJobResultsSync"

// runCITE runs the checks, each on the subject that pick returns for it, or
// not at all where that is nil. Exactly the named ones must skip themselves.
func runCITE(t *testing.T, pick func(name string) *subject, skipped ...string) {
	checks := citeChecks()
	if len(checks) != 54 {
		t.Errorf("%d tests, the suite has 54", len(checks))
	}
	for len(checks) > 0 {
		group := checks[0].group
		n := slices.IndexFunc(checks, func(c citeCheck) bool { return c.group != group })
		if n < 0 {
			n = len(checks)
		}
		t.Run(group, func(t *testing.T) {
			for _, c := range checks[:n] {
				s := pick(c.name)
				if s == nil {
					continue
				}
				t.Run(c.name, func(t *testing.T) {
					defer func() {
						if t.Skipped() != slices.Contains(skipped, c.name) {
							t.Errorf("skipped: %v", t.Skipped())
						}
					}()
					c.run(t, s)
				})
			}
		})
		checks = checks[n:]
	}
}

var citePlugins = []string{"echo", "hello-world"}

// TestCITE runs every test of the suite on the process that was made for it,
// all but one of them without a switch.
func TestCITE(t *testing.T) {
	t.Parallel()
	plain := subjectOf(t, startServer(t, t.TempDir(), citePlugins).url, "echo")
	compatible := subjectOf(t, startServer(t, t.TempDir(), citePlugins, "--compat", "cite10").url, "echo")
	runCITE(t, func(name string) *subject {
		if name == linkCheck {
			return compatible
		}
		return plain
	})
}

// TestCITEWithTheSwitch runs every test with the switch on.
func TestCITEWithTheSwitch(t *testing.T) {
	t.Parallel()
	s := subjectOf(t, startServer(t, t.TempDir(), citePlugins, "--compat", "cite10").url, "echo")
	runCITE(t, func(string) *subject { return s })
}

// TestCITEOnHelloWorld runs the tests on a process that was not made for them,
// but for those that look for what it has not.
func TestCITEOnHelloWorld(t *testing.T) {
	t.Parallel()
	s := subjectOf(t, startServer(t, t.TempDir(), citePlugins, "--compat", "cite10").url, "hello-world")
	runCITE(t, func(string) *subject { return s },
		"testJobCreationInputArray", "testJobCreationInputInlineBbox", "testJobCreationInputValidation",
		"testJobCreationSyncRawValueOne", "testJobResultsAsyncRawValueOne", "testJobResultsExceptionResultsNotReady",
		"testOGCProcessDescriptionInputDefinitionOfMixedType", "testOGCProcessDescriptionOutputDefinitionOfMixedType")
}

// TestCITESchemasRefuse shows that the schemas can fail a document.
func TestCITESchemasRefuse(t *testing.T) {
	t.Parallel()
	description := func(schema string) string {
		return `{"id":"a","version":"1","inputs":{"x":{"schema":` + schema + `}}}`
	}
	for _, tt := range []struct{ kind, good, bad string }{
		{"landingPage", `{"links":[{"href":"/"}]}`, `{"links":[{"rel":"self"}]}`},
		{"confClasses", `{"conformsTo":["a"]}`, `{"conformsTo":"a"}`},
		{"exception", `{"type":"a","more":1}`, `{"title":"a"}`},
		{"processList", `{"processes":[],"links":[]}`, `{"processes":[{"id":"a"}],"links":[]}`},
		{"process", description(`{"$ref":"a.yaml"}`), description(`{"allOf":[{"$ref":"a.yaml"}]}`)},
		{"process", description(`{"minimum":0,"exclusiveMinimum":true}`), description(`{"exclusiveMinimum":0}`)},
		{"process", description(`{"nullable":true,"type":"string"}`), description(`{"type":["string","null"]}`)},
		{"process", description(`{}`), description(`{"$schema":"https://json-schema.org/draft/2020-12/schema"}`)},
		{"statusInfo", `{"jobID":"a","status":"failed","type":"process"}`, `{"jobID":"a","status":"error","type":"process"}`},
		{"statusInfo", `{"jobID":"a","status":"failed","type":"process","links":[]}`, `{"id":"a","status":"failed","type":"process"}`},
		{"jobList", `{"jobs":[],"links":[]}`, `{"jobs":[{}],"links":[]}`},
		{"results", `{"a":1,"b":{"value":{}},"c":{"href":"/"}}`, `{"a":{"b":1}}`},
	} {
		schema, err := citeSchema(tt.kind)
		if err != nil {
			t.Fatal(err)
		}
		for text, valid := range map[string]bool{tt.good: true, tt.bad: false} {
			v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(v); (err == nil) != valid {
				t.Errorf("%s: %s: %v", tt.kind, text, err)
			}
		}
	}
}
