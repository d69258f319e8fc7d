package main

import (
	"fmt"
	"math"
	"slices"

	"github.com/peterstace/simplefeatures/geom"
)

// repair undoes what made the file small. A country that crosses the
// antimeridian is one ring there whose longitudes jump from 180 to -180, which
// GeoJSON wants in two parts (RFC 7946 section 3.1.9), and the ring about the
// South Pole closed along it. Rounding has collapsed a few islets, which are
// dropped, and made one border cross itself by metres, which is noded.
func repair(rings []ring) ([][]ring, error) {
	jumping := jumps(rings[0])
	var lines []geom.LineString
	for _, r := range rings {
		if jumping {
			r = unroll(r)
		}
		if len(r) >= 4 {
			lines = append(lines, lineString(r))
		}
	}
	if len(lines) == 0 {
		return nil, nil
	}
	polygon := geom.NewPolygon(lines).AsGeometry()
	if polygon.Validate() != nil {
		var err error
		if polygon, err = geom.Buffer(polygon, 0); err != nil {
			return nil, fmt.Errorf("node a ring: %w", err)
		}
	}
	if !jumping {
		return shifted(polygon, 0), nil
	}
	return cutAtAntimeridian(polygon)
}

func cutAtAntimeridian(polygon geom.Geometry) ([][]ring, error) {
	var parts [][]ring
	for _, shift := range []float64{-360, 0, 360} {
		window := geom.NewEnvelope(geom.XY{X: shift - 180, Y: -90}, geom.XY{X: shift + 180, Y: 90})
		piece, err := geom.Intersection(polygon, window.AsGeometry())
		if err != nil {
			return nil, fmt.Errorf("cut at the antimeridian: %w", err)
		}
		parts = append(parts, shifted(piece, -shift)...)
	}
	return parts, nil
}

func jumps(r ring) bool {
	for i := 1; i < len(r); i++ {
		if math.Abs(r[i][0]-r[i-1][0]) > 180 {
			return true
		}
	}
	return false
}

// unroll lets longitudes run on past ±180, and leads a ring that has gone
// round a pole back along it.
func unroll(r ring) ring {
	list := ring{r[0]}
	for _, at := range r[1:] {
		last := list[len(list)-1][0]
		at[0] = round(last + math.Remainder(at[0]-last, 360))
		if at != list[len(list)-1] {
			list = append(list, at)
		}
	}
	first, last := list[0], list[len(list)-1]
	if first[0] != last[0] {
		pole := math.Copysign(90, first[1])
		list = append(list, [2]float64{last[0], pole}, [2]float64{first[0], pole}, first)
	}
	return list
}

func lineString(r ring) geom.LineString {
	flat := make([]float64, 0, 2*len(r))
	for _, at := range r {
		flat = append(flat, at[0], at[1])
	}
	return geom.NewLineString(geom.NewSequence(flat, geom.DimXY))
}

// shifted returns the rings of each area, exterior rings counter-clockwise.
func shifted(g geom.Geometry, by float64) [][]ring {
	var parts [][]ring
	for _, part := range g.ForceCCW().Dump() {
		polygon, ok := part.AsPolygon()
		if !ok || polygon.IsEmpty() {
			continue
		}
		var rings []ring
		for _, line := range polygon.DumpRings() {
			coordinates := line.Coordinates()
			var r ring
			for i := range coordinates.Length() {
				at := coordinates.GetXY(i)
				r = append(r, [2]float64{round(at.X + by), round(at.Y)})
			}
			rings = append(rings, slices.Compact(r))
		}
		parts = append(parts, rings)
	}
	return parts
}
