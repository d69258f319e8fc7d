package api

import "strings"

// class is a conformance class that the server meets, and the test of this
// package that shows it. A claim without its test fails the tests.
type class struct {
	part, name string
	test       string
	// enabled says whether a configuration offers the class; nil is always.
	enabled func(*Config) bool
}

const (
	part1v10 = "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/"
	part1v20 = "http://www.opengis.net/spec/ogcapi-processes-1/2.0/conf/"
)

// classes is what the server can claim. Those of OGC API - Common are not among
// them: it wants query parameters that a resource does not know to be refused,
// and clients of this standard send such.
var classes = [...]class{
	{part1v10, "core", "TestConformanceCore", nil},
	{part1v10, "ogc-process-description", "TestConformanceProcessDescription", nil},
	{part1v10, "json", "TestConformanceJSON", nil},
	{part1v10, "oas30", "TestConformanceOAS", nil},
	{part1v10, "job-list", "TestConformanceJobList", nil},
	{part1v10, "callback", "TestConformanceCallback", nil},
	{part1v10, "dismiss", "TestConformanceDismiss", nil},

	{part1v20, "core", "TestConformance20Core", nil},
	{part1v20, "ogc-process-description", "TestConformance20ProcessDescription", nil},
	{part1v20, "json", "TestConformance20JSON", nil},
	{part1v20, "oas30", "TestConformanceOAS", nil},
	{part1v20, "oas31", "TestConformanceOAS", nil},
	{part1v20, "job-list", "TestConformance20JobList", nil},
	{part1v20, "callback", "TestConformanceCallback", nil},
	{part1v20, "dismiss", "TestConformance20Dismiss", nil},
	{part1v20, "kvp-execute", "TestConformance20KVPExecute", func(c *Config) bool { return c.KVPExecute }},
	{part1v20, "query-param-profile", "TestConformance20QueryParamProfile", nil},
}

// conformsTo lists the classes that the server offers as configured. Version 2.0
// has not settled yet on http or https, so its classes are spelt both ways.
func (c *Config) conformsTo() []string {
	var uris []string
	for _, k := range classes {
		if k.enabled != nil && !k.enabled(c) {
			continue
		}
		uris = append(uris, k.part+k.name)
		if k.part == part1v20 {
			uris = append(uris, "https"+strings.TrimPrefix(k.part, "http")+k.name)
		}
	}
	return uris
}
