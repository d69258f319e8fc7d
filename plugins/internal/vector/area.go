package vector

import (
	"math"

	"github.com/peterstace/simplefeatures/geom"
)

// areaStep is the largest span of latitude (degrees) that one quadrature rule
// covers; the rule is then exact to the last few bits.
const areaStep = 5.0

// Area returns the area of g on the WGS 84 ellipsoid in square metres; points
// and lines have none. Edges are straight in the longitude-latitude plane, and
// for such edges the result is exact to about 1e-10 of the area plus rounding.
// Software that takes edges for geodesics reports another figure where edges
// are long: up to 0.1 % for country outlines at 1:110 million.
func Area(g geom.Geometry) float64 {
	var sum float64
	for _, part := range g.Dump() {
		polygon, ok := part.AsPolygon()
		if !ok || polygon.IsEmpty() {
			continue
		}
		sum += math.Abs(ringArea(polygon.ExteriorRing().Coordinates()))
		for i := range polygon.NumInteriorRings() {
			sum -= math.Abs(ringArea(polygon.InteriorRingN(i).Coordinates()))
		}
	}
	return sum
}

// ringArea integrates the area between the equator and the ring over the
// longitude; its sign tells the direction of the ring.
func ringArea(ring geom.Sequence) float64 {
	var sum float64
	for i := 1; i < ring.Length(); i++ {
		a, b := ring.GetXY(i-1), ring.GetXY(i)
		sum -= (b.X - a.X) * degree * meanZone(a.Y, b.Y)
	}
	return sum
}

// meanZone returns the mean, over the latitudes (degrees) between from and to,
// of the area in square metres per radian of longitude between the equator and
// that latitude.
func meanZone(from, to float64) float64 {
	steps := max(1, math.Ceil(math.Abs(to-from)/areaStep))
	width := (to - from) / steps
	var sum float64
	for i := range int(steps) {
		middle := from + (float64(i)+0.5)*width
		sum += gauss5(func(x float64) float64 { return zone((middle + x*width/2) * degree) })
	}
	return sum / steps
}

// zone returns the area between the equator and a latitude (radians), in
// square metres per radian of longitude.
func zone(latitude float64) float64 {
	e := math.Sqrt(eccentricitySquared)
	s := math.Sin(latitude)
	return polarRadius * polarRadius / 2 * (s/(1-eccentricitySquared*s*s) + math.Atanh(e*s)/e)
}

// gauss5 returns the mean of f over [-1, 1] by the Gauss-Legendre rule of five
// points.
func gauss5(f func(float64) float64) float64 {
	const (
		x1, w1 = 0.5384693101056831, 0.23931433524968324
		x2, w2 = 0.9061798459386640, 0.11846344252809454
		w0     = 0.28444444444444444
	)
	return w0*f(0) + w1*(f(-x1)+f(x1)) + w2*(f(-x2)+f(x2))
}
