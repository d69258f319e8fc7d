package vector

import (
	"context"
	"fmt"
	"math"

	"github.com/peterstace/simplefeatures/geom"
)

// Limits of a buffer.
const (
	MaxDistance        = 2_000_000.0 // metres, either sign
	MaxSegments        = 64
	maxTracedPositions = 500_000 // of one feature, once its edges are traced
)

// Tolerance returns how far (metres) the border of a buffer may lie from where
// it belongs, for a distance in metres: 0.03 % of the distance plus 0.3 m. It
// is the sum of the projection (0.004 %), of following the edges of the source
// and of drawing the result in straight edges (each 0.01 % or 0.1 m, whichever
// is larger), with a reserve. The drawing of round corners in chords comes on
// top; see [Shortfall].
func Tolerance(distance float64) float64 { return 3e-4*math.Abs(distance) + 0.3 }

// Shortfall returns by which share of the distance the border may be too close
// where it goes round a corner, because an arc is drawn in chords: an arc of
// 90 degrees in the given number, other arcs in edges up to half as long again.
// It is 1.1 % with 8 segments and 0.017 % with 64.
func Shortfall(segments int) float64 {
	return 1 - math.Cos(1.5*math.Pi/4/float64(segments))
}

// tracing is the tolerance (metres) of following an edge.
func tracing(distance float64) float64 { return max(0.1, 1e-4*math.Abs(distance)) }

// Buffer returns the area within a distance (metres, geodesic) of g or, when
// the distance is negative, the part of the areas of g that is farther than
// that from their border; points and lines then give nothing. A quarter of a
// circle is drawn with the given number of segments. Buffers may cross the
// antimeridian, where they are cut, and cover a pole. See [Tolerance] for the
// accuracy.
//
// A buffer of a stretch of line is drawn in a projection about its middle, and
// the stretches are joined, so the size of g does not harm the accuracy.
func Buffer(ctx context.Context, g geom.Geometry, distance float64, segments int) (geom.Geometry, error) {
	polygons := ofDimension(g, 2)
	if g.IsGeometryCollection() {
		// Areas of a collection may overlap; what is inside is no border.
		var err error
		if polygons, err = join([]geom.Geometry{polygons}); err != nil {
			return geom.Geometry{}, err
		}
	}
	lines := borders(polygons)
	if distance > 0 {
		lines = append(lines, thin(g)...)
	}
	pieces, err := bufferLines(ctx, lines, math.Abs(distance), segments)
	if err != nil {
		return geom.Geometry{}, err
	}
	if distance > 0 {
		return join(append(pieces, polygons))
	}
	border, err := join(pieces)
	if err != nil {
		return geom.Geometry{}, err
	}
	shrunk, err := geom.Difference(polygons, border)
	if err != nil {
		return geom.Geometry{}, fmt.Errorf("take the border off: %w", err)
	}
	return ofDimension(shrunk, 2), nil
}

// thin returns the points and lines of g as lines; a point is a line of one
// position.
func thin(g geom.Geometry) [][]geom.XY {
	var lines [][]geom.XY
	for _, part := range g.Dump() {
		if !part.IsEmpty() && part.Dimension() < 2 {
			lines = append(lines, xys(part.DumpCoordinates()))
		}
	}
	return lines
}

// bufferLines draws the buffer of each stretch of each line.
func bufferLines(ctx context.Context, lines [][]geom.XY, distance float64, segments int) ([]geom.Geometry, error) {
	var pieces []geom.Geometry
	traced := 0
	for _, line := range lines {
		line = trace(line, tracing(distance))
		traced += len(line)
		if traced > maxTracedPositions {
			return nil, &Fault{Message: fmt.Sprintf("its edges are too long to follow at this distance: more than %d positions", maxTracedPositions)}
		}
		for _, chunk := range chunks(line) {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			piece, err := bufferChunk(chunk, distance, segments)
			if err != nil {
				return nil, err
			}
			pieces = append(pieces, piece)
		}
	}
	return pieces, nil
}

// bufferChunk draws the buffer of a stretch of line in a projection about its
// middle.
func bufferChunk(line []geom.XY, distance float64, segments int) (geom.Geometry, error) {
	projection := azimuthal{centre: halfway(line)}
	flat := make([]float64, 0, 2*len(line))
	for _, position := range line {
		at := projection.forward(position)
		if n := len(flat); n > 0 && math.Hypot(at.X-flat[n-2], at.Y-flat[n-1]) < 1e-6 {
			continue
		}
		flat = append(flat, at.X, at.Y)
	}
	source := geom.NewLineString(geom.NewSequence(flat, geom.DimXY)).AsGeometry()
	if len(flat) == 2 {
		source = geom.NewPointXY(flat[0], flat[1]).AsGeometry()
	}
	// Simplifying the source first is a habit of the library that would cost
	// a hundred times our tolerance.
	plane, err := geom.Buffer(source, distance, geom.BufferQuadSegments(segments), geom.BufferSimplifyFactor(1e-5))
	if err != nil {
		return geom.Geometry{}, fmt.Errorf("buffer a stretch of line: %w", err)
	}
	return projection.unprojectArea(plane, tracing(distance))
}

func join(pieces []geom.Geometry) (geom.Geometry, error) {
	joined, err := geom.UnionMany(pieces)
	if err != nil {
		return geom.Geometry{}, fmt.Errorf("join the pieces: %w", err)
	}
	return ofDimension(joined, 2), nil
}

func xys(sequence geom.Sequence) []geom.XY {
	list := make([]geom.XY, sequence.Length())
	for i := range list {
		list[i] = sequence.GetXY(i)
	}
	return list
}
