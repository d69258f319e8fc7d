package vector

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/peterstace/simplefeatures/geom"
)

// reference is what pyproj and shapely say; testdata/README.md tells how it
// was made.
type reference struct {
	Geodesics [][6]float64 // longitude, latitude, azimuth, metres, longitude, latitude
	Areas     map[string]struct{ Straight, Geodesic float64 }
	Buffers   []struct {
		Name           string
		Distance, Area float64
	}
	Overlay struct {
		Names   []string
		Shift   [2]float64
		Results map[Operation]struct {
			Count             int
			Degrees2, Metres2 float64
		}
	}
	Zones map[string]float64
}

func readReference(t *testing.T) reference {
	t.Helper()
	document, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	var r reference
	if err := json.Unmarshal(document, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func readLayer(t *testing.T, name string) Layer {
	t.Helper()
	file, err := os.Open("../../../examples/data/" + name + ".geojson")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	layer, err := Decode(file, MaxVertices)
	if err != nil {
		t.Fatal(err)
	}
	return layer
}

// named returns the geometries of a layer by a property.
func named(layer Layer, property string) map[string]geom.Geometry {
	shapes := map[string]geom.Geometry{}
	for _, f := range layer.Features {
		shapes[text(propertiesOf(f.Properties)[property])] = f.Geometry
	}
	return shapes
}

// within fails unless got is want up to a share of it.
func within(t *testing.T, what string, got, want, share float64) {
	t.Helper()
	if off := math.Abs(got-want) / math.Abs(want); !(off <= share) {
		t.Errorf("%s = %g, want %g: off by %.2g of it, allowed %.2g", what, got, want, off, share)
	}
}

func TestGeodesicsAgreeWithProjToATenthOfAMillimetre(t *testing.T) {
	t.Parallel()
	for _, line := range readReference(t).Geodesics {
		from, to := geom.XY{X: line[0], Y: line[1]}, geom.XY{X: line[4], Y: line[5]}
		got := destination(from, line[2]*degree, line[3])
		if off := separation(got, to); off > 1e-4 {
			t.Errorf("destination(%v, %g°, %g m) is %g m off", from, line[2], line[3], off)
		}
		distance, azimuth := bearing(from, to)
		// The end is given to 1e-9 m, so a short line tells its direction less well.
		across := math.Abs(math.Remainder(azimuth-line[2]*degree, 2*math.Pi)) * min(distance, meanRadius)
		if math.Abs(distance-line[3]) > 1e-4 || across > 1e-3 {
			t.Errorf("bearing(%v, %v) = %g m, %g rad; want %g m, %g rad", from, to, distance, azimuth, line[3], line[2]*degree)
		}
	}
}

// Straight edges, as GeoJSON has them: 1e-6. Geodesic edges, which is another
// reading of the same corners: 0.15 %.
func TestAreasOfCountriesAgreeWithProj(t *testing.T) {
	t.Parallel()
	countries := named(readLayer(t, "countries"), "name")
	for name, want := range readReference(t).Areas {
		got := Area(countries[name])
		within(t, name, got, want.Straight, 1e-6)
		within(t, name+" with geodesic edges", got, want.Geodesic, 1.5e-3)
	}
}

// The reference draws circles of 720 corners about points of the border; with
// 32 segments to a quarter the two agree to 0.02 % of the area that the
// buffer adds or takes.
func TestAreasOfBuffersAgreeWithGeodesicCircles(t *testing.T) {
	t.Parallel()
	countries := named(readLayer(t, "countries"), "name")
	for _, want := range readReference(t).Buffers {
		t.Run(want.Name, func(t *testing.T) {
			t.Parallel()
			source := countries[want.Name]
			buffer, err := Buffer(context.Background(), source, want.Distance, 32)
			if err != nil {
				t.Fatal(err)
			}
			if err := buffer.Validate(); err != nil {
				t.Errorf("the buffer is not valid: %v", err)
			}
			before := Area(source)
			within(t, "change of area", Area(buffer)-before, want.Area-before, 2e-4)
		})
	}
}

func TestOverlaysAgreeWithShapely(t *testing.T) {
	t.Parallel()
	want := readReference(t).Overlay
	all := named(readLayer(t, "countries"), "name")
	var a, b Layer
	for _, name := range want.Names {
		shifted := all[name].TransformXY(func(at geom.XY) geom.XY {
			return geom.XY{X: at.X + want.Shift[0], Y: at.Y + want.Shift[1]}
		})
		a.Features = append(a.Features, Feature{Geometry: all[name]})
		b.Features = append(b.Features, Feature{Geometry: shifted})
	}
	for operation, want := range want.Results {
		t.Run(string(operation), func(t *testing.T) {
			t.Parallel()
			got, err := Overlay(context.Background(), a, b, operation, func(int, int) {})
			if err != nil {
				t.Fatal(err)
			}
			var plane float64
			for _, f := range got.Features {
				plane += f.Geometry.Area()
			}
			within(t, "square degrees", plane, want.Degrees2, 1e-9)
			within(t, "square metres", got.Area(), want.Metres2, 1e-6)
			if len(got.Features) != want.Count {
				t.Errorf("%d features, want %d", len(got.Features), want.Count)
			}
		})
	}
}

func TestLandByZoneAgreesWithShapely(t *testing.T) {
	t.Parallel()
	pieces, err := Overlay(context.Background(), readLayer(t, "countries"), readLayer(t, "zones"), Intersection, func(int, int) {})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range pieces.Features {
		got[text(propertiesOf(f.Properties)["zone"])] += Area(f.Geometry)
	}
	for zone, want := range readReference(t).Zones {
		within(t, zone, got[zone], want, 1e-6)
	}
	if len(got) != len(readReference(t).Zones) {
		t.Errorf("pieces of %d zones, want %d", len(got), len(readReference(t).Zones))
	}
}
