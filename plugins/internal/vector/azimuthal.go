package vector

import (
	"math"

	"github.com/peterstace/simplefeatures/geom"
)

// azimuthal is the azimuthal equidistant projection of the ellipsoid about a
// centre: distances and directions from the centre are geodesic, so a circle
// about it is exact at any radius. A length r metres off the centre, at right
// angles to the direction of the centre, comes out too long by the ratio
// r²/6R², R being the radius of the Earth.
type azimuthal struct{ centre geom.XY }

// forward projects a position to metres east and north of the centre.
func (p azimuthal) forward(position geom.XY) geom.XY {
	distance, azimuth := bearing(p.centre, position)
	sin, cos := math.Sincos(azimuth)
	return geom.XY{X: distance * sin, Y: distance * cos}
}

// reverse returns the position of a projected point. Its longitude may lie
// beyond ±180.
func (p azimuthal) reverse(at geom.XY) geom.XY {
	return destination(p.centre, math.Atan2(at.X, at.Y), math.Hypot(at.X, at.Y))
}

const (
	// maxUnprojected is the longest straight line in the projected plane
	// (metres) that becomes one edge.
	maxUnprojected = 100e3
	// maxHalvings bounds how often one edge is halved. Only an edge that
	// passes within a millimetre of a pole gets there.
	maxHalvings = 30
)

// unrolled is a ring in the longitude-latitude plane whose longitudes run on
// past ±180 instead of jumping. Each turn about the north pole, seen
// counter-clockwise, adds one to turns; such a ring does not close.
type unrolled struct {
	positions []geom.XY
	turns     int
}

// unroll converts a projected ring. It adds positions so that each edge stays
// within tolerance (metres) of the line it stands for.
func (p azimuthal) unroll(ring geom.Sequence, tolerance float64) unrolled {
	start := p.reverse(ring.GetXY(0))
	start.X = math.Remainder(start.X, 360)
	positions := []geom.XY{start}
	for i := 1; i < ring.Length(); i++ {
		from := positions[len(positions)-1]
		to := near(p.reverse(ring.GetXY(i)), from.X)
		edge := projectedEdge{ring.GetXY(i - 1), ring.GetXY(i), from, to}
		positions = p.follow(positions, edge, tolerance, 0)
	}
	last := len(positions) - 1
	turns := int(math.Round((positions[last].X - start.X) / 360))
	positions[last] = geom.XY{X: start.X + 360*float64(turns), Y: start.Y}
	return unrolled{positions, turns}
}

// projectedEdge is an edge in the projected plane, and the positions of its ends.
type projectedEdge struct{ a, b, from, to geom.XY }

// follow appends the positions of an edge, without its start.
func (p azimuthal) follow(dst []geom.XY, e projectedEdge, tolerance float64, halvings int) []geom.XY {
	middle := e.a.Add(e.b).Scale(0.5)
	at := near(p.reverse(middle), e.from.X)
	drawn := e.from.Add(near(e.to, at.X)).Scale(0.5)
	turned := math.Abs(at.X-e.from.X) + math.Abs(near(e.to, at.X).X-at.X)
	bent := turned > 90 || separation(at, drawn) > tolerance
	if halvings < maxHalvings && (bent || e.a.Sub(e.b).Length() > maxUnprojected) {
		dst = p.follow(dst, projectedEdge{e.a, middle, e.from, at}, tolerance, halvings+1)
		e.to = near(e.to, dst[len(dst)-1].X)
		return p.follow(dst, projectedEdge{middle, e.b, dst[len(dst)-1], e.to}, tolerance, halvings+1)
	}
	return append(dst, e.to)
}

// near returns a position with its longitude moved by whole turns to within
// 180 degrees of the given one.
func near(position geom.XY, longitude float64) geom.XY {
	position.X = longitude + math.Remainder(position.X-longitude, 360)
	return position
}

// separation returns the distance (metres) between two positions that are
// close together, within about 0.5 %.
func separation(a, b geom.XY) float64 {
	return meanRadius * chord(direction(a), direction(b))
}

// direction returns the unit vector that points to a position.
func direction(position geom.XY) [3]float64 {
	sinLat, cosLat := math.Sincos(position.Y * degree)
	sinLon, cosLon := math.Sincos(position.X * degree)
	return [3]float64{cosLat * cosLon, cosLat * sinLon, sinLat}
}

func chord(a, b [3]float64) float64 {
	x, y, z := a[0]-b[0], a[1]-b[1], a[2]-b[2]
	return math.Sqrt(x*x + y*y + z*z)
}
