package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// A square in two arcs, one of them backwards, a rectangle across the
// antimeridian, and a cap about the South Pole; positions in whole degrees.
const topologyText = `{"type":"Topology","transform":{"scale":[1,1],"translate":[-180,-90]},
"arcs":[[[180,90],[2,0],[0,2]],[[180,90],[0,2],[2,0]],[[350,90],[-340,0],[0,5],[340,0],[0,-5]],[[90,10],[90,0],[90,0],[90,0],[-270,0]]],
"objects":{"countries":{"type":"GeometryCollection","geometries":[
{"type":"Polygon","arcs":[[0,-2]],"id":"1","properties":{"name":"square"}},
{"type":"Polygon","arcs":[[2]],"id":"2","properties":{"name":"crossing"}},
{"type":"MultiPolygon","arcs":[[[3]]],"id":"3","properties":{"name":"pole"}}]}}}`

func TestConvertStitchesArcsAndCutsAtTheAntimeridian(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "topology.json")
	if err := os.WriteFile(path, []byte(topologyText), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := convert(&out, path, "countries"); err != nil {
		t.Fatal(err)
	}
	var collection struct {
		Features []struct {
			ID         string
			Properties struct{ Name string }
			Geometry   struct {
				Type        string
				Coordinates json.RawMessage
			}
		}
	}
	if err := json.Unmarshal(out.Bytes(), &collection); err != nil {
		t.Fatal(err)
	}
	want := []struct{ id, name, kind string }{{"1", "square", "Polygon"}, {"2", "crossing", "MultiPolygon"}, {"3", "pole", "MultiPolygon"}}
	if len(collection.Features) != len(want) {
		t.Fatalf("%d features in %s", len(collection.Features), &out)
	}
	for i, f := range collection.Features {
		if f.ID != want[i].id || f.Properties.Name != want[i].name || f.Geometry.Type != want[i].kind {
			t.Errorf("got %s %s %s, want %v: %s", f.ID, f.Properties.Name, f.Geometry.Type, want[i], f.Geometry.Coordinates)
		}
	}
	for i, want := range map[int][2]float64{1: {100, 2}, 2: {3600, 2}} {
		if degrees2, parts := planar(t, collection.Features[i].Geometry.Coordinates); degrees2 != want[0] || parts != int(want[1]) {
			t.Errorf("%s has %g square degrees in %d parts, want %v", collection.Features[i].Properties.Name, degrees2, parts, want)
		}
	}
	if got := string(collection.Features[0].Geometry.Coordinates); got != `[[[0,0],[2,0],[2,2],[0,2],[0,0]]]` {
		t.Errorf("the square is %s", got)
	}
}

// planar returns the area and the number of parts of a MultiPolygon without holes.
func planar(t *testing.T, coordinates json.RawMessage) (degrees2 float64, parts int) {
	t.Helper()
	var polygons [][]ring
	if err := json.Unmarshal(coordinates, &polygons); err != nil {
		t.Fatal(err)
	}
	for _, polygon := range polygons {
		for i := 1; i < len(polygon[0]); i++ {
			a, b := polygon[0][i-1], polygon[0][i]
			degrees2 += (a[0]*b[1] - b[0]*a[1]) / 2
		}
	}
	return degrees2, len(polygons)
}

func TestConvertSaysWhichObjectIsMissing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "topology.json")
	if err := os.WriteFile(path, []byte(topologyText), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := convert(&bytes.Buffer{}, path, "rivers"); err == nil {
		t.Error("no error for an object that is not there")
	}
}
