package vector

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func quiet(int, int) {}

const (
	layerA = `{"type":"FeatureCollection","features":[
		{"type":"Feature","id":"a1","properties":{"name":"A1","n":1},"geometry":{"type":"Polygon","coordinates":[[[0,0],[4,0],[4,2],[0,2],[0,0]]]}},
		{"type":"Feature","id":"a2","properties":{"name":"A2"},"geometry":{"type":"Polygon","coordinates":[[[10,0],[12,0],[12,2],[10,2],[10,0]]]}},
		{"type":"Feature","id":"a3","properties":null,"geometry":null}]}`
	layerB = `{"type":"FeatureCollection","features":[
		{"type":"Feature","id":"b1","properties":{"name":"B1","b_name":"x"},"geometry":{"type":"Polygon","coordinates":[[[2,0],[6,0],[6,2],[2,2],[2,0]]]}},
		{"type":"Feature","id":"b2","properties":{"name":"B2"},"geometry":{"type":"Polygon","coordinates":[[[4,0],[8,0],[8,2],[4,2],[4,0]]]}},
		{"type":"Feature","id":"b3","properties":{"name":"B3"},"geometry":{"type":"Polygon","coordinates":[[[20,0],[21,0],[21,1],[20,1],[20,0]]]}}]}`
)

// piece is what a test looks at in a feature.
type piece struct {
	ID, Properties string
	Degrees2       float64
}

func pieces(layer Layer) []piece {
	var list []piece
	for _, f := range layer.Features {
		list = append(list, piece{string(f.ID), string(f.Properties), math.Round(f.Geometry.Area()*1e6) / 1e6})
	}
	return list
}

func TestOverlayOperations(t *testing.T) {
	t.Parallel()
	pair := piece{"", `{"b_b_name":"B1","b_name":"x","n":1,"name":"A1"}`, 4}
	want := map[Operation][]piece{
		Clip:         {{`"a1"`, `{"name":"A1","n":1}`, 4}},
		Difference:   {{`"a1"`, `{"name":"A1","n":1}`, 4}, {`"a2"`, `{"name":"A2"}`, 4}},
		Intersection: {pair},
		Union: {pair, {"", `{"name":"A1","n":1}`, 4}, {"", `{"name":"A2"}`, 4},
			{"", `{"b_b_name":"B1","b_name":"x"}`, 4}, {"", `{"b_b_name":"B2"}`, 8}, {"", `{"b_b_name":"B3"}`, 1}},
	}
	for operation, want := range want {
		t.Run(string(operation), func(t *testing.T) {
			t.Parallel()
			last := 0
			got, err := Overlay(context.Background(), mustDecode(t, layerA), mustDecode(t, layerB), operation, func(done, total int) {
				if last++; done != last || done > total {
					t.Errorf("progress %d of %d, want %d", done, total, last)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, pieces(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPointsAndLinesAreCutByAreas(t *testing.T) {
	t.Parallel()
	a := mustDecode(t, `{"type":"FeatureCollection","features":[
		{"type":"Feature","geometry":{"type":"LineString","coordinates":[[-1,1],[5,1]]}},
		{"type":"Feature","geometry":{"type":"MultiPoint","coordinates":[[1,1],[9,9]]}}]}`)
	b := mustDecode(t, `{"type":"Polygon","coordinates":[`+square+`]}`)
	for operation, want := range map[Operation][]string{
		Clip:       {"LINESTRING(0 1,2 1)", "POINT(1 1)"},
		Difference: {"MULTILINESTRING((-1 1,0 1),(2 1,5 1))", "POINT(9 9)"},
	} {
		result, err := Overlay(context.Background(), a, b, operation, quiet)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range result.Features {
			got = append(got, f.Geometry.AsText())
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", operation, diff)
		}
	}
}

func TestOverlayNamesTheFeatureThatDoesNotFit(t *testing.T) {
	t.Parallel()
	areas := layerA
	const lines = `{"type":"FeatureCollection","features":[{"type":"Feature","geometry":null},{"type":"Feature","geometry":{"type":"LineString","coordinates":[[-1,1],[5,1]]}}]}`
	const mixed = `{"type":"FeatureCollection","features":[{"type":"Feature","geometry":{"type":"GeometryCollection","geometries":[{"type":"Point","coordinates":[1,2]}]}}]}`
	tests := []struct {
		name, a, b     string
		operation      Operation
		layer, pointer string
	}{
		{"lines to clip with", areas, lines, Clip, "b", "/features/1"},
		{"lines in a union", lines, areas, Union, "a", "/features/1"},
		{"a collection", mixed, areas, Clip, "a", "/features/0"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := Overlay(context.Background(), mustDecode(t, test.a), mustDecode(t, test.b), test.operation, quiet)
			var fault *LayerFault
			if !errors.As(err, &fault) || fault.Layer != test.layer || fault.Pointer != test.pointer {
				t.Errorf("got %v, want a fault of %s at %s", err, test.layer, test.pointer)
			}
		})
	}
}

func TestOverlayStopsWhenCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := 0
	_, err := Overlay(ctx, mustDecode(t, layerA), mustDecode(t, layerB), Union, func(int, int) {
		done++
		cancel()
	})
	if !errors.Is(err, context.Canceled) || done != 1 {
		t.Errorf("stopped after %d features with %v", done, err)
	}
}

// For each feature of a: what is clipped and what is left make up the whole.
// For the layers: the union covers both, and what they share once. Rounding to
// 0.1 mm moves the borders, some 1000 km here, by that much: hence 200 m².
func TestPiecesMakeUpTheWhole(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		centre := place(t, "centre")
		draw := func(label string, count int) Layer {
			var layer Layer
			for range count {
				offset := rapid.Float64Range(-3, 3)
				at := centre
				at.X, at.Y = at.X+offset.Draw(t, label+" east"), min(80, at.Y+offset.Draw(t, label+" north"))
				shape, err := Wrap(star(t, label, at, rapid.Float64Range(0.1, 4).Draw(t, label+" size")))
				if err != nil {
					t.Fatal(err)
				}
				layer.Features = append(layer.Features, Feature{Geometry: shape})
			}
			return layer
		}
		a, b := draw("a", 1), draw("b", rapid.IntRange(0, 4).Draw(t, "count"))
		area := func(a, b Layer, operation Operation) float64 {
			result, err := Overlay(context.Background(), a, b, operation, quiet)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range result.Features {
				if err := f.Geometry.Validate(); err != nil {
					t.Fatalf("%s: %v", operation, err)
				}
			}
			return result.Area()
		}
		whole, clipped, rest := a.Area(), area(a, b, Clip), area(a, b, Difference)
		if off := math.Abs(clipped + rest - whole); off > 1e-8*whole+200 {
			t.Fatalf("%g m² clipped and %g m² left of %g m²: off by %g m²", clipped, rest, whole, off)
		}
		union := area(a, b, Union)
		want := area(a, b, Intersection) + rest + area(b, a, Difference)
		if off := math.Abs(union - want); off > 1e-8*want+200 {
			t.Fatalf("a union of %g m², want %g m²", union, want)
		}
	})
}
