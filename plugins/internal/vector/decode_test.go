package vector

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const square = `[[0,0],[2,0],[2,2],[0,2],[0,0]]`

func decode(text string) (Layer, error) { return Decode(strings.NewReader(text), 100) }

func mustDecode(t testing.TB, text string) Layer {
	t.Helper()
	layer, err := decode(text)
	if err != nil {
		t.Fatal(err)
	}
	return layer
}

func mustEncode(t testing.TB, layer Layer) string {
	t.Helper()
	text, err := json.Marshal(layer)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestDecodeKeepsWhatIsSoundAndRepairsTrifles(t *testing.T) {
	t.Parallel()
	feature := func(geometry string) string {
		return `{"type":"FeatureCollection","features":[{"type":"Feature","properties":null,"geometry":` + geometry + `}]}`
	}
	tests := []struct{ name, in, out string }{
		{"ids and properties stay as written",
			`{"features":[{"id":1.50,"type":"Feature","properties":{"b":1e3,"a":[null]},"geometry":{"type":"Point","coordinates":[1,2]}}],"type":"FeatureCollection"}`,
			`{"type":"FeatureCollection","features":[{"type":"Feature","id":1.50,"properties":{"b":1e3,"a":[null]},"geometry":{"type":"Point","coordinates":[1,2]}}]}`},
		{"no features", `{"type":"FeatureCollection","features":[]}`, `{"type":"FeatureCollection","features":[]}`},
		{"one feature", `{"type":"Feature","properties":{},"geometry":null}`,
			`{"type":"FeatureCollection","features":[{"type":"Feature","properties":{},"geometry":null}]}`},
		{"a geometry", `{"type":"LineString","coordinates":[[1,2],[3,4]]}`, feature(`{"type":"LineString","coordinates":[[1,2],[3,4]]}`)},
		{"a collection of geometries",
			`{"type":"GeometryCollection","geometries":[{"type":"MultiPoint","coordinates":[[1,2]]},{"type":"GeometryCollection","geometries":[]}]}`,
			feature(`{"type":"GeometryCollection","geometries":[{"type":"MultiPoint","coordinates":[[1,2]]},{"type":"GeometryCollection","geometries":[]}]}`)},
		{"altitudes are dropped", `{"type":"Point","coordinates":[1,2,3,4]}`, feature(`{"type":"Point","coordinates":[1,2]}`)},
		{"an open clockwise ring with a repeated position", `{"type":"Polygon","coordinates":[[[0,0],[0,2],[0,2],[2,2]]]}`,
			feature(`{"type":"Polygon","coordinates":[[[0,0],[2,2],[0,2],[0,0]]]}`)},
		{"a point east of the antimeridian", `{"type":"Point","coordinates":[190,5]}`, feature(`{"type":"Point","coordinates":[-170,5]}`)},
		{"an area across the antimeridian", `{"type":"Polygon","coordinates":[[[170,0],[190,0],[190,5],[170,5],[170,0]]]}`,
			feature(`{"type":"MultiPolygon","coordinates":[[[[170,0],[180,0],[180,5],[170,5],[170,0]]],[[[-180,0],[-170,0],[-170,5],[-180,5],[-180,0]]]]}`)},
		{"the older way to say CRS84", `{"crs":{"type":"name","properties":{"name":"urn:ogc:def:crs:OGC:1.3:CRS84"}},"type":"Point","coordinates":[1,2]}`,
			feature(`{"type":"Point","coordinates":[1,2]}`)},
		{"nothing at all", `{"type":"MultiPolygon","coordinates":[]}`, feature(`null`)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := mustDecode(t, test.in)
			if sameShapes(t, got, test.out) {
				return
			}
			if diff := cmp.Diff(test.out, mustEncode(t, got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// sameShapes reports whether a layer is what a text says, up to where rings
// start and in which order parts come.
func sameShapes(t *testing.T, got Layer, text string) bool {
	t.Helper()
	want := mustDecode(t, text)
	if len(got.Features) != len(want.Features) {
		return false
	}
	for i, f := range got.Features {
		other := want.Features[i]
		if string(f.ID) != string(other.ID) || string(f.Properties) != string(other.Properties) ||
			f.Geometry.Type() != other.Geometry.Type() || Area(f.Geometry) != Area(other.Geometry) || f.Geometry.Area() == 0 {
			return false
		}
	}
	return true
}

func TestDecodeSaysWhereTheFaultIs(t *testing.T) {
	t.Parallel()
	second := func(geometry string) string {
		return `{"type":"FeatureCollection","features":[{"type":"Feature","geometry":null},{"type":"Feature","geometry":` + geometry + `}]}`
	}
	const coordinates = "/features/1/geometry/coordinates"
	tests := []struct{ name, in, pointer, message string }{
		{"not an object", `[]`, "", "not a GeoJSON object"},
		{"cut off", `{"type":"FeatureCollection","features":[`, "", "not readable JSON"},
		{"something behind", `{"type":"FeatureCollection","features":[]} 1`, "", "follows"},
		{"no type", `{"features":[]}`, "/type", "must be"},
		{"an unknown type", `{"type":"Circle"}`, "/type", `"Circle"`},
		{"no features", `{"type":"FeatureCollection"}`, "/features", "missing"},
		{"features that are no array", `{"type":"FeatureCollection","features":{}}`, "/features", "not an array"},
		{"a feature that is none", `{"type":"FeatureCollection","features":[3]}`, "/features/0", "not a feature"},
		{"an odd id", `{"type":"Feature","id":{},"geometry":null}`, "/id", "string or a number"},
		{"odd properties", `{"type":"Feature","properties":[],"geometry":null}`, "/properties", "object or null"},
		{"another reference system", `{"type":"Point","coordinates":[1,2],"crs":{"properties":{"name":"EPSG:3857"}}}`, "/crs", "CRS84"},
		{"a geometry that is none", second(`"POINT(1 2)"`), "/features/1/geometry", "not a geometry"},
		{"coordinates of another type", second(`{"type":"Polygon","coordinates":[1,2]}`), coordinates, "nested arrays"},
		{"no coordinates", second(`{"type":"Point"}`), coordinates, "missing"},
		{"a null in coordinates", second(`{"type":"Point","coordinates":[null,2]}`), coordinates, "null"},
		{"half a position", second(`{"type":"LineString","coordinates":[[1,2],[3]]}`), coordinates + "/1", "longitude and a latitude"},
		{"metres instead of degrees", second(`{"type":"MultiPolygon","coordinates":[[[[0,0],[500000,0],[0,1],[0,0]]]]}`), coordinates + "/0/0/1", "degrees"},
		{"a line of one position", second(`{"type":"LineString","coordinates":[[1,2],[1,2]]}`), coordinates, "two different"},
		{"a ring of two positions", second(`{"type":"Polygon","coordinates":[` + square + `,[[1,1],[1.5,1],[1,1]]]}`), coordinates + "/1", "three different"},
		{"a ring that crosses itself", second(`{"type":"Polygon","coordinates":[[[0,0],[2,2],[2,0],[0,2],[0,0]]]}`), "/features/1/geometry", "not simple"},
		{"a hole outside", second(`{"type":"Polygon","coordinates":[` + square + `,[[5,5],[6,5],[6,6],[5,5]]]}`), "/features/1/geometry", "outside"},
		{"in a collection", second(`{"type":"GeometryCollection","geometries":[{"type":"Point","coordinates":[1,99]}]}`),
			"/features/1/geometry/geometries/0/coordinates", "degrees"},
		{"too many positions", second(`{"type":"MultiPoint","coordinates":[[1,2]` + strings.Repeat(`,[1,2]`, 100) + `]}`), coordinates + "/100", "more than 100"},
		{"nested too deeply", strings.Repeat(`{"type":"GeometryCollection","geometries":[`, 10) + strings.Repeat(`]}`, 10),
			strings.Repeat("/geometries/0", 8), "too deeply"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := decode(test.in)
			var fault *Fault
			if !errors.As(err, &fault) {
				t.Fatalf("got %v, want a fault", err)
			}
			if fault.Pointer != test.pointer || !strings.Contains(fault.Message, test.message) {
				t.Errorf("got %q %q, want %q and something about %q", fault.Pointer, fault.Message, test.pointer, test.message)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(`{"type":"FeatureCollection","features":[{"type":"Feature","id":1,"properties":{"a":1},"geometry":{"type":"Polygon","coordinates":[` + square + `]}}]}`)
	f.Add(`{"type":"MultiPolygon","coordinates":[[[[170,0],[190,0],[190,5],[170,5],[170,0]]]]}`)
	f.Add(`{"type":"GeometryCollection","geometries":[{"type":"Point","coordinates":[1,2]},{"type":"LineString","coordinates":[[1,2],[300,4]]}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		layer, err := decode(text)
		if err != nil {
			return
		}
		// What was accepted is written such that it is accepted again.
		again, err := Decode(strings.NewReader(mustEncode(t, layer)), 1000)
		if err != nil {
			t.Fatalf("%s became %s: %v", text, mustEncode(t, layer), err)
		}
		if len(again.Features) != len(layer.Features) {
			t.Fatalf("%d features became %d", len(layer.Features), len(again.Features))
		}
	})
}
