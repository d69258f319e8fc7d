package vector

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/peterstace/simplefeatures/geom"
	"pgregory.net/rapid"
)

// borderLines is the border of the areas of g as fine steps, at most 1 km.
func borderLines(g geom.Geometry) [][]geom.XY {
	var lines [][]geom.XY
	for _, line := range borders(g) {
		lines = append(lines, fine(line))
	}
	return lines
}

func fine(line []geom.XY) []geom.XY {
	dst := []geom.XY{line[0]}
	for i := 1; i < len(line); i++ {
		a, b := line[i-1], line[i]
		widest := math.Cos(min(math.Abs(a.Y), math.Abs(b.Y)) * degree)
		steps := math.Ceil(max(math.Abs(a.X-b.X), 111*math.Abs(a.X-b.X)*widest, 111*math.Abs(a.Y-b.Y)))
		for k := 1.0; k <= steps; k++ {
			dst = append(dst, a.Add(b.Sub(a).Scale(k/steps)))
		}
	}
	return dst
}

// distanceTo returns the geodesic distance from a position to lines of short
// steps: the nearest steps are found on the sphere, and measured on the
// ellipsoid by ternary search.
func distanceTo(lines [][]geom.XY, at geom.XY) float64 {
	target := direction(at)
	nearest := math.Inf(1)
	for _, line := range lines {
		for _, position := range line {
			nearest = min(nearest, chord(direction(position), target))
		}
	}
	best := math.Inf(1)
	// One step, and what a chord on the sphere is off on the ellipsoid.
	reach := nearest*1.01 + 2e3/meanRadius
	for _, line := range lines {
		for i := 1; i < len(line); i++ {
			if chord(direction(line[i]), target) < reach {
				best = min(best, distanceToStep(line[i-1], line[i], at))
			}
		}
	}
	return best
}

func distanceToStep(a, b, at geom.XY) float64 {
	low, high := 0.0, 1.0
	along := func(share float64) float64 {
		distance, _ := bearing(at, a.Add(b.Sub(a).Scale(share)))
		return distance
	}
	for range 20 {
		left, right := low+(high-low)/3, high-(high-low)/3
		if along(left) < along(right) {
			high = right
		} else {
			low = left
		}
	}
	return along((low + high) / 2)
}

// Corners and middles of edges of the border lie no farther out than the
// distance, and no farther in than chords of a circle may be.
func TestBorderLiesAtTheDistance(t *testing.T) {
	t.Parallel()
	countries := named(readLayer(t, "countries"), "name")
	shapes := map[string]geom.Geometry{
		"an area of long edges":  mustDecode(t, `{"type":"Polygon","coordinates":[[[-20,60],[30,60],[30,72],[-20,60]]]}`).Features[0].Geometry,
		"an area about the pole": mustDecode(t, `{"type":"Polygon","coordinates":[[[-180,88],[-60,89],[60,88.5],[180,88],[180,90],[-180,90],[-180,88]]]}`).Features[0].Geometry,
	}
	tests := []struct {
		name     string
		distance float64
		segments int
		every    int // corner of the result
	}{
		{"Iceland", 100e3, 8, 3}, {"Kenya", -20e3, 8, 3}, {"Fiji", 25e3, 64, 7}, {"Fiji", 100, 4, 5}, {"Cyprus", 1e6, 64, 5},
		{"an area of long edges", 5e3, 8, 17}, {"an area of long edges", -1e5, 8, 9}, {"an area about the pole", -20e3, 8, 9},
		{"an area about the pole", 500e3, 8, 17}, {"Fiji", 2e6, 8, 3},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			source, ok := shapes[test.name]
			if !ok {
				source = countries[test.name]
			}
			buffer, err := Buffer(context.Background(), source, test.distance, test.segments)
			if err != nil {
				t.Fatal(err)
			}
			lines := borderLines(source)
			want, tolerance := math.Abs(test.distance), Tolerance(test.distance)
			short := want * Shortfall(test.segments)
			var out, in, measured float64
			for _, line := range borders(buffer) {
				for i := 1; i < len(line); i += test.every {
					measured++
					off := distanceTo(lines, line[i]) - want
					out, in = max(out, off), min(in, off)
					if math.Abs(line[i].X-line[i-1].X) < 90 {
						off := distanceTo(lines, line[i-1].Add(line[i]).Scale(0.5)) - want
						out, in = max(out, off), min(in, off)
					}
				}
			}
			t.Logf("%s by %g m: %g edges, %.3g m out to %.3g m in", test.name, test.distance, measured, out, in)
			if !(out <= tolerance && in >= -short-tolerance) || measured < 10 {
				t.Errorf("%g edges lie up to %g m too far out and %g m too far in; allowed %g and %g", measured, out, -in, tolerance, short+tolerance)
			}
		})
	}
}

// star draws an area of random shape about a random place; it may run past
// the antimeridian, and lies within 85 degrees of the equator.
func star(t *rapid.T, label string, centre geom.XY, size float64) geom.Geometry {
	radii := rapid.SliceOfN(rapid.Float64Range(0.2, 1), 3, 12).Draw(t, label)
	var ring []geom.XY
	for i, radius := range radii {
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / float64(len(radii)))
		ring = append(ring, geom.XY{X: centre.X + size*radius*cos, Y: centre.Y + size*radius*sin})
	}
	return geom.NewPolygon([]geom.LineString{lineString(append(ring, ring[0]))}).AsGeometry()
}

func place(t *rapid.T, label string) geom.XY {
	return geom.XY{X: rapid.Float64Range(-180, 180).Draw(t, label+" longitude"), Y: rapid.Float64Range(-80, 80).Draw(t, label+" latitude")}
}

func TestBufferContainsItsSourceAndShrinkingIsInsideIt(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		source, err := Wrap(star(t, "star", place(t, "centre"), rapid.Float64Range(0.01, 2).Draw(t, "size")))
		if err != nil {
			t.Fatal(err)
		}
		distance := rapid.Float64Range(500, 200e3).Draw(t, "distance")
		segments := rapid.IntRange(1, 12).Draw(t, "segments")
		inside := func(inner, outer geom.Geometry) {
			rest, err := geom.Difference(inner, outer)
			if err != nil {
				t.Fatal(err)
			}
			if Area(rest) > 1e-9*Area(inner)+1e-3 {
				t.Fatalf("%g m² of %g m² stick out", Area(rest), Area(inner))
			}
		}
		for _, d := range []float64{distance, -distance} {
			buffer, err := Buffer(context.Background(), source, d, segments)
			if err != nil {
				t.Fatal(err)
			}
			if err := Round(buffer).Validate(); err != nil {
				t.Fatalf("buffer by %g m: %v", d, err)
			}
			if lower, upper, ok := buffer.Envelope().MinMaxXYs(); ok && (lower.X < -180 || upper.X > 180 || lower.Y < -90 || upper.Y > 90) {
				t.Fatalf("buffer by %g m lies in %v, %v", d, lower, upper)
			}
			if d > 0 {
				inside(source, buffer)
			} else {
				inside(buffer, source)
			}
		}
	})
}

func TestBuffersOfPointsAndLines(t *testing.T) {
	t.Parallel()
	circle := math.Pi * 100e3 * 100e3 // in the plane; a cap of the globe is 0.002 % smaller
	tests := []struct {
		name, geometry string
		want           float64 // m²
		parts          int
	}{
		{"a point", `{"type":"Point","coordinates":[10,50]}`, circle, 1},
		{"a point on the antimeridian", `{"type":"Point","coordinates":[180,50]}`, circle, 2},
		{"the north pole", `{"type":"Point","coordinates":[12,90]}`, circle, 1},
		{"near the south pole", `{"type":"Point","coordinates":[12,-89.5]}`, circle, 1},
		{"points far apart", `{"type":"MultiPoint","coordinates":[[10,50],[20,0]]}`, 2 * circle, 2},
		{"a line along the equator", `{"type":"LineString","coordinates":[[0,0],[1,0]]}`, circle + 200e3*111319.49, 1},
		{"the equator", `{"type":"LineString","coordinates":[[-180,0],[180,0]]}`, 200e3 * 2 * math.Pi * equatorialRadius, 1},
		{"a parallel about a pole", `{"type":"LineString","coordinates":[[-180,80],[180,80]]}`,
			Area(geom.NewEnvelope(geom.XY{X: -180, Y: 80 - 100e3/111688.0}, geom.XY{X: 180, Y: 80 + 100e3/111688.0}).AsGeometry()), 1},
		{"a collection", `{"type":"GeometryCollection","geometries":[{"type":"Point","coordinates":[10,50]},{"type":"LineString","coordinates":[[10,50],[10,50.1]]}]}`,
			circle + 200e3*11124.7, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			source := mustDecode(t, test.geometry).Features[0].Geometry
			buffer, err := Buffer(context.Background(), source, 100e3, 64)
			if err != nil {
				t.Fatal(err)
			}
			within(t, "area", Area(buffer), test.want, 5e-4)
			if parts := len(buffer.Dump()); parts != test.parts {
				t.Errorf("%d parts, want %d: %s", parts, test.parts, buffer.Summary())
			}
			if err := buffer.Validate(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestOverlappingPartsShrinkAsOneArea(t *testing.T) {
	t.Parallel()
	const left, right, both = `[[0,0],[2,0],[2,2],[0,2],[0,0]]`, `[[1,0],[4,0],[4,2],[1,2],[1,0]]`, `[[0,0],[4,0],[4,2],[0,2],[0,0]]`
	area := func(geometry string) float64 {
		buffer, err := Buffer(context.Background(), mustDecode(t, geometry).Features[0].Geometry, -50e3, 8)
		if err != nil {
			t.Fatal(err)
		}
		return Area(buffer)
	}
	got := area(`{"type":"GeometryCollection","geometries":[{"type":"Polygon","coordinates":[` + left + `]},{"type":"Polygon","coordinates":[` + right + `]}]}`)
	within(t, "area", got, area(`{"type":"Polygon","coordinates":[`+both+`]}`), 1e-3)
}

func TestBufferLayerKeepsAttributes(t *testing.T) {
	t.Parallel()
	layer := mustDecode(t, `{"type":"FeatureCollection","features":[
		{"type":"Feature","id":"a","properties":{"n":1},"geometry":{"type":"Polygon","coordinates":[`+square+`]}},
		{"type":"Feature","id":7,"properties":{"n":2},"geometry":null},
		{"type":"Feature","properties":null,"geometry":{"type":"Polygon","coordinates":[[[1,1],[1.1,1],[1,1.1],[1,1]]]}}]}`)
	heard := 0
	got, err := BufferLayer(context.Background(), layer, BufferOptions{Distance: -20e3, Segments: 8}, func(done, total int) {
		if heard++; done != heard || total != 3 {
			t.Errorf("progress %d of %d, want %d of 3", done, total, heard)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		id, properties string
		empty          bool
	}{{`"a"`, `{"n":1}`, false}, {`7`, `{"n":2}`, true}, {``, ``, true}} {
		f := got.Features[i]
		if string(f.ID) != want.id || string(f.Properties) != want.properties || f.Geometry.IsEmpty() != want.empty {
			t.Errorf("feature %d: id %s, properties %s, empty %v; want %+v", i, f.ID, f.Properties, f.Geometry.IsEmpty(), want)
		}
	}
	whole, err := BufferLayer(context.Background(), layer, BufferOptions{Distance: 20e3, Segments: 8, Dissolve: true}, func(int, int) {})
	if err != nil {
		t.Fatal(err)
	}
	if len(whole.Features) != 1 || !whole.Features[0].Geometry.IsPolygon() || whole.Features[0].ID != nil {
		t.Errorf("dissolved: %s", mustEncode(t, whole))
	}
}

func TestBufferLayerNamesTheFeatureThatCannotShrink(t *testing.T) {
	t.Parallel()
	layer := mustDecode(t, `{"type":"FeatureCollection","features":[
		{"type":"Feature","geometry":{"type":"Polygon","coordinates":[`+square+`]}},
		{"type":"Feature","geometry":{"type":"Point","coordinates":[1,2]}}]}`)
	_, err := BufferLayer(context.Background(), layer, BufferOptions{Distance: -1, Segments: 8}, func(int, int) {})
	var fault *Fault
	if !errors.As(err, &fault) || fault.Pointer != "/features/1" {
		t.Errorf("got %v, want a fault at /features/1", err)
	}
}

func TestBufferLayerStopsWhenCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := 0
	_, err := BufferLayer(ctx, readLayer(t, "countries"), BufferOptions{Distance: 1e3, Segments: 8}, func(int, int) {
		done++
		cancel()
	})
	if !errors.Is(err, context.Canceled) || done != 1 {
		t.Errorf("stopped after %d features with %v", done, err)
	}
}
