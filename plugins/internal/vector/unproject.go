package vector

import (
	"fmt"
	"math"

	"github.com/peterstace/simplefeatures/geom"
)

// unprojectArea converts the areas of a projected geometry to longitude and
// latitude, cut at the antimeridian. An area that covers a pole gets edges
// along it.
func (p azimuthal) unprojectArea(g geom.Geometry, tolerance float64) (geom.Geometry, error) {
	var pieces []geom.Geometry
	for _, part := range g.ForceCCW().Dump() {
		polygon, ok := part.AsPolygon()
		if !ok || polygon.IsEmpty() {
			continue
		}
		piece, err := p.unprojectRing(polygon.ExteriorRing(), tolerance)
		if err != nil {
			return geom.Geometry{}, err
		}
		for i := range polygon.NumInteriorRings() {
			hole, err := p.unprojectRing(polygon.InteriorRingN(i).Reverse(), tolerance)
			if err != nil {
				return geom.Geometry{}, err
			}
			if piece, err = geom.Difference(piece, hole); err != nil {
				return geom.Geometry{}, fmt.Errorf("cut a hole: %w", err)
			}
		}
		pieces = append(pieces, piece)
	}
	if len(pieces) == 1 {
		return pieces[0], nil
	}
	return join(pieces)
}

// unprojectRing converts the area within a counter-clockwise projected ring.
func (p azimuthal) unprojectRing(ring geom.LineString, tolerance float64) (geom.Geometry, error) {
	outline := p.unroll(ring.Coordinates(), tolerance)
	if outline.turns != 0 {
		outline = outline.aboutPole()
	}
	flat := make([]float64, 0, 2*len(outline.positions))
	for _, position := range outline.positions {
		flat = append(flat, position.X, position.Y)
	}
	border := geom.NewLineString(geom.NewSequence(flat, geom.DimXY))
	return Wrap(geom.NewPolygon([]geom.LineString{border}).AsGeometry())
}

// aboutPole closes an outline that goes round a pole: it starts where the
// outline crosses the antimeridian, and returns along the pole. Starting there
// puts the seam where every result is cut anyway.
func (u unrolled) aboutPole() unrolled {
	turn := 360 * float64(u.turns)
	pole := math.Copysign(90, turn)
	list := u.positions
	seam := 360*math.Ceil((min(list[0].X, list[0].X+turn)-180)/360) + 180

	i := 1
	for ; i < len(list)-1; i++ {
		if (list[i-1].X-seam)*(list[i].X-seam) <= 0 {
			break
		}
	}
	a, b := list[i-1], list[i]
	latitude := a.Y
	if a.X != b.X {
		latitude += (b.Y - a.Y) * (seam - a.X) / (b.X - a.X)
	}
	closed := []geom.XY{{X: seam, Y: latitude}}
	closed = append(closed, list[i:]...)
	for _, position := range list[1:i] {
		closed = append(closed, geom.XY{X: position.X + turn, Y: position.Y})
	}
	closed = append(closed,
		geom.XY{X: seam + turn, Y: latitude},
		geom.XY{X: seam + turn, Y: pole},
		geom.XY{X: seam, Y: pole},
		geom.XY{X: seam, Y: latitude})
	return unrolled{positions: closed}
}
