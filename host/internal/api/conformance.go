package api

// class is a conformance class that the server meets, and the test of this
// package that shows it. A claim without its test fails the tests.
type class struct{ uri, test string }

const (
	part1v10 = "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/"
	part1v20 = "http://www.opengis.net/spec/ogcapi-processes-1/2.0/conf/"
)

// classes is what /conformance lists.
var classes = [...]class{
	{part1v10 + "core", "TestConformanceCore"},
	{part1v10 + "ogc-process-description", "TestConformanceProcessDescription"},
	{part1v10 + "json", "TestConformanceJSON"},
	{part1v10 + "oas30", "TestConformanceOAS"},
	{part1v20 + "oas30", "TestConformanceOAS"},
	{part1v20 + "oas31", "TestConformanceOAS"},
	{part1v10 + "job-list", "TestConformanceJobList"},
	{part1v10 + "dismiss", "TestConformanceDismiss"},
}
