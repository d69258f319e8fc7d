package schema

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestWellKnownReferencesNeedNoNetwork(t *testing.T) {
	t.Parallel()
	const (
		features = "https://schemas.opengis.net/ogcapi/features/part1/1.0/openapi/schemas/"
		box      = "http://schemas.opengis.net/ogcapi/processes/part1/1.0/openapi/schemas/bbox.yaml"
	)
	for _, c := range []struct {
		url, value string
		valid      bool
	}{
		{features + "geometryGeoJSON.yaml", `{"type":"Point","coordinates":[1,2]}`, true},
		{features + "geometryGeoJSON.yaml", `{"type":"Point","coordinates":[1]}`, false},
		{features + "geometryGeoJSON.yaml", `{"type":"Circle","coordinates":[1,2]}`, false},
		{features + "polygonGeoJSON.yaml", `{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,0]]]}`, true},
		{features + "polygonGeoJSON.yaml", `{"type":"Polygon","coordinates":[[[0,0],[1,0],[0,0]]]}`, false},
		{features + "featureGeoJSON.yaml", `{"type":"Feature","geometry":null,"properties":{},"id":1,"bbox":[0,0,1,1],"more":1}`, true},
		{features + "featureGeoJSON.yaml", `{"type":"Feature","properties":{}}`, false},
		{features + "featureCollectionGeoJSON.yaml", `{"type":"FeatureCollection","features":[]}`, true},
		{features + "featureCollectionGeoJSON.yaml", `{"type":"FeatureCollection","features":[{"type":"Feature"}]}`, false},
		{"http://geojson.org/schema/GeoJSON.json", `{"type":"LineString","coordinates":[[0,0],[1,1,1]]}`, true},
		{"https://geojson.org/schema/GeometryCollection.json", `{"type":"GeometryCollection","geometries":[{"type":"GeometryCollection","geometries":[{"type":"MultiPoint","coordinates":[[]]}]}]}`, false},
		{"https://geojson.org/schema/MultiPolygon.json", `{"type":"MultiPolygon","coordinates":[]}`, true},
		{box, `{"bbox":[51.9,7,52,7.1],"crs":"urn:ogc:def:crs:EPSG:6.6:4326"}`, true},
		{box, `{"bbox":[1,2,3,4,5,6]}`, true},
		{box, `{"bbox":[1,2,3,4,5]}`, false},
		{box, `{"bbox":[1,2,3,4],"crs":"not a URI"}`, false},
	} {
		s := compile(t, `{"$ref":"`+c.url+`"}`)
		if faults := s.Validate(decoded(t, c.value)); len(faults) == 0 != c.valid {
			t.Errorf("%s: %s gives %v", c.url, c.value, faults)
		}
	}
}

func TestFormatsThatStandAloneMeanTheirSchemas(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		schema, value string
		valid         bool
	}{
		{`{"format":"ogc-bbox","title":"Box"}`, `{"bbox":[1,2,3]}`, false},
		{`{"format":"http://www.opengis.net/def/format/ogcapi-processes/0/ogc-bbox"}`, `{"bbox":[1,2,3,4]}`, true},
		{`{"format":"https://www.opengis.net/def/format/ogcapi-processes/0/geojson-feature"}`, `{"type":"Feature"}`, false},
		{`{"format":"geojson-geometry"}`, `{"type":"Point","coordinates":[1,2]}`, true},
		{`{"allOf":[{"format":"geojson-feature-collection"},{"type":"object"}]}`, `{}`, false},
		{`{"type":"object","format":"geojson-feature-collection"}`, `{}`, true},
		{`{"type":"string","format":"epsg-code"}`, `"x"`, true},
		{`{"type":"string","format":"http://www.opengis.net/def/format/ogcapi-processes/0/cql2-text-filter"}`, `"x"`, true},
	} {
		if faults := compile(t, c.schema).Validate(decoded(t, c.value)); len(faults) == 0 != c.valid {
			t.Errorf("%s: %s gives %v", c.schema, c.value, faults)
		}
	}
}

func TestOtherRemoteReferencesAreRefusedByName(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"https://example.com/a.json", "https://schemas.opengis.net/ogcapi/features/part1/1.0/openapi/schemas/link.yaml",
		"file:///etc/passwd", "https://geojson.org/schema/Circle.json", "https://geojson.org.example.com/schema/Point.json",
	} {
		_, err := Compile(json.RawMessage(`{"$ref":"` + url + `"}`))
		if err == nil || !strings.Contains(err.Error(), url) || !strings.Contains(err.Error(), "well-known") {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestContentSchemaMayBeAURI(t *testing.T) {
	t.Parallel()
	s := compile(t, `{"type":"string","contentMediaType":"application/xml","contentSchema":"https://example.com/a.xsd"}`)
	if faults := s.Validate("<a/>"); faults != nil {
		t.Error(faults)
	}
}
