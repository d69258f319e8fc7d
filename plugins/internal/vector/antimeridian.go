package vector

import (
	"fmt"
	"math"

	"github.com/peterstace/simplefeatures/geom"
)

// Wrap cuts a geometry that runs past the antimeridian and moves every piece
// between longitudes -180 and 180 (RFC 7946 section 3.1.9). A geometry that
// lies there already is returned as it is.
func Wrap(g geom.Geometry) (geom.Geometry, error) {
	lower, upper, ok := g.Envelope().MinMaxXYs()
	if !ok || lower.X >= -180 && upper.X <= 180 {
		return g, nil
	}
	var pieces []geom.Geometry
	for turn := math.Floor((lower.X + 180) / 360); turn <= math.Floor((upper.X+180)/360); turn++ {
		shift := 360 * turn
		window := geom.NewEnvelope(geom.XY{X: shift - 180, Y: -91}, geom.XY{X: shift + 180, Y: 91})
		piece, err := geom.Intersection(g, window.AsGeometry())
		if err != nil {
			return geom.Geometry{}, fmt.Errorf("cut at the antimeridian: %w", err)
		}
		piece = ofDimension(piece, g.Dimension())
		if piece.IsEmpty() {
			continue
		}
		pieces = append(pieces, piece.TransformXY(func(at geom.XY) geom.XY {
			return geom.XY{X: at.X - shift, Y: at.Y}
		}))
	}
	wrapped, err := geom.UnionMany(pieces)
	if err != nil {
		return geom.Geometry{}, fmt.Errorf("join the pieces cut at the antimeridian: %w", err)
	}
	return wrapped, nil
}

// ofDimension keeps the points (0), lines (1) or areas (2) of a geometry and
// drops everything else.
func ofDimension(g geom.Geometry, dimension int) geom.Geometry {
	if g.Dimension() == dimension && !g.IsGeometryCollection() {
		return g
	}
	var (
		points   []geom.Point
		lines    []geom.LineString
		polygons []geom.Polygon
	)
	for _, part := range g.Dump() {
		if part.IsEmpty() || part.Dimension() != dimension {
			continue
		}
		switch dimension {
		case 0:
			points = append(points, part.MustAsPoint())
		case 1:
			lines = append(lines, part.MustAsLineString())
		default:
			polygons = append(polygons, part.MustAsPolygon())
		}
	}
	switch {
	case len(points)+len(lines)+len(polygons) == 1:
		return single(points, lines, polygons)
	case dimension == 0:
		return geom.NewMultiPoint(points).AsGeometry()
	case dimension == 1:
		return geom.NewMultiLineString(lines).AsGeometry()
	default:
		return geom.NewMultiPolygon(polygons).AsGeometry()
	}
}

func single(points []geom.Point, lines []geom.LineString, polygons []geom.Polygon) geom.Geometry {
	switch {
	case len(points) == 1:
		return points[0].AsGeometry()
	case len(lines) == 1:
		return lines[0].AsGeometry()
	default:
		return polygons[0].AsGeometry()
	}
}
