package vector

import (
	"math"
	"slices"

	"github.com/peterstace/simplefeatures/geom"
)

// interval is a range of latitudes, low to high.
type interval struct{ low, high float64 }

// borders returns the border of the areas of g as lines: their rings without
// what bounds nothing on the globe, the edges along a pole and those at the
// antimeridian that meet another part of g on the other side.
func borders(g geom.Geometry) [][]geom.XY {
	var rings [][]geom.XY
	for _, part := range ofDimension(g, 2).Dump() {
		polygon := part.MustAsPolygon()
		for _, ring := range polygon.DumpRings() {
			rings = append(rings, xys(ring.Coordinates()))
		}
	}
	shared := sharedSeam(rings)
	var lines [][]geom.XY
	for _, ring := range rings {
		lines = append(lines, openRing(ring, shared)...)
	}
	return lines
}

// onSeam reports whether an edge runs along longitude 180 or -180.
func onSeam(a, b geom.XY) bool { return math.Abs(a.X) == 180 && a.X == b.X }

// onPole reports whether an edge lies on a pole.
func onPole(a, b geom.XY) bool { return math.Abs(a.Y) == 90 && a.Y == b.Y }

// sharedSeam returns the latitudes at which the rings have edges on both sides
// of the antimeridian.
func sharedSeam(rings [][]geom.XY) []interval {
	sides := map[float64][]interval{}
	for _, ring := range rings {
		for i := 1; i < len(ring); i++ {
			if a, b := ring[i-1], ring[i]; onSeam(a, b) {
				sides[a.X] = append(sides[a.X], interval{min(a.Y, b.Y), max(a.Y, b.Y)})
			}
		}
	}
	var shared []interval
	for _, east := range sides[180] {
		for _, west := range sides[-180] {
			both := interval{max(east.low, west.low), min(east.high, west.high)}
			if both.low < both.high {
				shared = append(shared, both)
			}
		}
	}
	slices.SortFunc(shared, func(x, y interval) int {
		switch {
		case x.low < y.low:
			return -1
		case x.low > y.low:
			return 1
		default:
			return 0
		}
	})
	return shared
}

// openRing returns what a ring contributes to the border.
func openRing(ring []geom.XY, shared []interval) [][]geom.XY {
	var lines [][]geom.XY
	var line []geom.XY
	add := func(a, b geom.XY) {
		if len(line) == 0 || line[len(line)-1] != a {
			if len(line) > 1 {
				lines = append(lines, line)
			}
			line = []geom.XY{a}
		}
		line = append(line, b)
	}
	for i := 1; i < len(ring); i++ {
		switch a, b := ring[i-1], ring[i]; {
		case onPole(a, b):
		case onSeam(a, b):
			for _, rest := range without(interval{min(a.Y, b.Y), max(a.Y, b.Y)}, shared) {
				add(geom.XY{X: a.X, Y: rest.low}, geom.XY{X: a.X, Y: rest.high})
			}
		default:
			add(a, b)
		}
	}
	if len(line) > 1 {
		lines = append(lines, line)
	}
	return lines
}

// without returns the parts of whole that no interval of a sorted list covers.
func without(whole interval, list []interval) []interval {
	var rest []interval
	for _, taken := range list {
		if taken.low > whole.low && taken.low < whole.high {
			rest = append(rest, interval{whole.low, taken.low})
		}
		if taken.high > whole.low {
			whole.low = min(taken.high, whole.high)
		}
	}
	if whole.low < whole.high {
		rest = append(rest, whole)
	}
	return rest
}
