package vector

import (
	"math"

	"github.com/peterstace/simplefeatures/geom"
)

const (
	// maxChunkLength is the longest stretch of line (metres) that is buffered
	// in one local projection: no part of it is farther than half of this from
	// the centre, which keeps distances right to 4e-5.
	maxChunkLength = 200e3
	// maxTraceDegrees is the longest step along an edge; it is at most 80 km.
	maxTraceDegrees = 0.5
)

// trace returns a line with positions added along its edges, so that the
// geodesics between neighbours stay within tolerance (metres) of the edges.
func trace(line []geom.XY, tolerance float64) []geom.XY {
	if len(line) == 0 {
		return nil
	}
	dst := []geom.XY{line[0]}
	for i := 1; i < len(line); i++ {
		dst = traceEdge(dst, line[i-1], line[i], tolerance)
	}
	return dst
}

func traceEdge(dst []geom.XY, a, b geom.XY, tolerance float64) []geom.XY {
	span := max(math.Abs(a.X-b.X), math.Abs(a.Y-b.Y))
	middle := a.Add(b).Scale(0.5)
	if span > maxTraceDegrees || bend(a, middle, b) > tolerance {
		dst = traceEdge(dst, a, middle, tolerance)
		return traceEdge(dst, middle, b, tolerance)
	}
	return append(dst, b)
}

// bend returns how far (metres) the middle of an edge lies off the great
// circle between its ends.
func bend(a, middle, b geom.XY) float64 {
	u, v := direction(a), direction(b)
	sum := [3]float64{u[0] + v[0], u[1] + v[1], u[2] + v[2]}
	length := chord(sum, [3]float64{})
	for i := range sum {
		sum[i] /= length
	}
	return meanRadius * chord(sum, direction(middle))
}

// chunks cuts a traced line into stretches no longer than maxChunkLength;
// each begins where the one before ends.
func chunks(line []geom.XY) [][]geom.XY {
	var cut [][]geom.XY
	start, length := 0, 0.0
	for i := 1; i < len(line); i++ {
		step := separation(line[i-1], line[i])
		if length+step > maxChunkLength && i-1 > start {
			cut = append(cut, line[start:i])
			start, length = i-1, 0
		}
		length += step
	}
	return append(cut, line[start:])
}

// halfway returns the position half-way along a line.
func halfway(line []geom.XY) geom.XY {
	var total float64
	for i := 1; i < len(line); i++ {
		total += separation(line[i-1], line[i])
	}
	var walked float64
	for i := 1; i < len(line); i++ {
		walked += separation(line[i-1], line[i])
		if walked >= total/2 {
			return line[i]
		}
	}
	return line[0]
}
