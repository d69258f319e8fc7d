package schema

import (
	"embed"
	"fmt"
	"strings"

	"geomill/sdk/schema/decode"
)

// The schemas that others are known by their URLs: GeoJSON (RFC 7946) and the
// bounding box of OGC API - Processes. They are in the program; nothing is
// loaded for them.
//
//go:embed wellknown/*.json
var wellKnownFiles embed.FS

// place is a well-known schema: a file of wellKnownFiles and a pointer into it.
type place struct{ file, pointer string }

var wellKnownBox = place{file: "bbox"}

func geoJSON(definition string) place { return place{"geojson", "/$defs/" + definition} }

// wellKnown finds the schema of a URL without a fragment.
func wellKnown(url string) (place, bool) {
	_, path, ok := strings.Cut(url, "://")
	if !ok || !strings.HasPrefix(url, "http") {
		return place{}, false
	}
	if name, ok := between(path, "schemas.opengis.net/ogcapi/processes/part1/", "/openapi/schemas/bbox.yaml"); ok {
		return wellKnownBox, name == "1.0" || name == "2.0"
	}
	if name, ok := between(path, "schemas.opengis.net/ogcapi/features/part1/1.0/openapi/schemas/", "GeoJSON.yaml"); ok {
		p, ok := geoJSONNames[strings.ToLower(name)]
		return p, ok
	}
	if name, ok := between(path, "geojson.org/schema/", ".json"); ok {
		p, ok := geoJSONNames[strings.ToLower(name)]
		return p, ok
	}
	return place{}, false
}

func between(s, before, after string) (string, bool) {
	s, starts := strings.CutPrefix(s, before)
	s, ends := strings.CutSuffix(s, after)
	return s, starts && ends
}

// geoJSONNames are the names of files below geojson.org and schemas.opengis.net,
// in lower case.
var geoJSONNames = map[string]place{
	"geojson":            {file: "geojson"},
	"geometry":           geoJSON("geometry"),
	"feature":            geoJSON("feature"),
	"featurecollection":  geoJSON("featureCollection"),
	"point":              geoJSON("point"),
	"multipoint":         geoJSON("multiPoint"),
	"linestring":         geoJSON("lineString"),
	"multilinestring":    geoJSON("multiLineString"),
	"polygon":            geoJSON("polygon"),
	"multipolygon":       geoJSON("multiPolygon"),
	"geometrycollection": geoJSON("geometryCollection"),
}

// formatSchema finds the schema of a format of OGC API - Processes by its short
// name or its URI.
func formatSchema(format string) (place, bool) {
	if _, path, ok := strings.Cut(format, "://"); ok {
		format, _ = strings.CutPrefix(path, "www.opengis.net/def/format/ogcapi-processes/0/")
	}
	switch format {
	case "ogc-bbox":
		return wellKnownBox, true
	case "geojson-geometry":
		return geoJSON("geometry"), true
	case "geojson-feature":
		return geoJSON("feature"), true
	case "geojson-feature-collection":
		return geoJSON("featureCollection"), true
	}
	return place{}, false
}

// uri is the address by which schemas within this package refer to a place.
func (p place) uri() string { return base + p.file + "#" + p.pointer }

// wellKnownDoc reads a file of wellKnownFiles.
func wellKnownDoc(name string) (any, error) {
	text, err := wellKnownFiles.ReadFile("wellknown/" + name + ".json")
	if err != nil {
		return nil, fmt.Errorf("read well-known schema: %w", err)
	}
	return decode.JSON(text)
}

// library is the loader of the compiler: it has the well-known schemas and
// nothing else.
type library struct{}

// Load implements jsonschema.URLLoader.
func (library) Load(url string) (any, error) {
	if name, ok := strings.CutPrefix(url, base); ok && (name == "bbox" || name == "geojson") {
		return wellKnownDoc(name)
	}
	if p, ok := wellKnown(url); ok {
		return map[string]any{"$ref": p.uri()}, nil
	}
	return nil, errOutside
}
