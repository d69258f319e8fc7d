package vector

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"github.com/peterstace/simplefeatures/geom"
)

// geometry builds a geometry without checking how its parts lie to each other.
func (d *decoder) geometry(members geometryMembers, pointer string, nesting int) (geom.Geometry, error) {
	at := pointer + "/coordinates"
	switch members.Type {
	case "Point":
		return build(d, members, at, d.point, geom.Point.AsGeometry)
	case "MultiPoint":
		return build(d, members, at, each(d.point), many(geom.NewMultiPoint, geom.MultiPoint.AsGeometry))
	case "LineString":
		return build(d, members, at, d.line, geom.LineString.AsGeometry)
	case "MultiLineString":
		return build(d, members, at, each(d.line), many(geom.NewMultiLineString, geom.MultiLineString.AsGeometry))
	case "Polygon":
		return build(d, members, at, d.polygon, geom.Polygon.AsGeometry)
	case "MultiPolygon":
		return build(d, members, at, each(d.polygon), many(geom.NewMultiPolygon, geom.MultiPolygon.AsGeometry))
	case "GeometryCollection":
		return d.collection(members, pointer, nesting)
	default:
		return geom.Geometry{}, &Fault{Pointer: pointer + "/type", Message: fmt.Sprintf("%q is not a GeoJSON type that fits here", members.Type)}
	}
}

func (d *decoder) collection(members geometryMembers, pointer string, nesting int) (geom.Geometry, error) {
	if nesting == maxNesting {
		return geom.Geometry{}, &Fault{Pointer: pointer, Message: "geometry collections are nested too deeply"}
	}
	parts := make([]geom.Geometry, len(members.Geometries))
	for i, member := range members.Geometries {
		part, err := d.geometry(member, pointer+"/geometries/"+strconv.Itoa(i), nesting+1)
		if err != nil {
			return geom.Geometry{}, err
		}
		parts[i] = part
	}
	return geom.NewGeometryCollection(parts).AsGeometry(), nil
}

// build decodes nested coordinates C and makes the shape T of them.
func build[C, T any](d *decoder, members geometryMembers, pointer string, shape func(C, string) (T, error), wrap func(T) geom.Geometry) (geom.Geometry, error) {
	raw := members.Coordinates
	// A null inside an array would silently decode to zero.
	if raw == nil || bytes.IndexByte(raw, 'n') >= 0 {
		return geom.Geometry{}, &Fault{Pointer: pointer, Message: "is missing or contains null"}
	}
	var coordinates C
	if err := json.Unmarshal(raw, &coordinates); err != nil {
		return geom.Geometry{}, &Fault{Pointer: pointer, Message: "are not the nested arrays of numbers that a " + members.Type + " has"}
	}
	built, err := shape(coordinates, pointer)
	if err != nil {
		return geom.Geometry{}, err
	}
	return wrap(built), nil
}

// each applies a shape to every element of an array.
func each[C, T any](shape func(C, string) (T, error)) func([]C, string) ([]T, error) {
	return func(list []C, pointer string) ([]T, error) {
		shapes := make([]T, len(list))
		for i, element := range list {
			built, err := shape(element, pointer+"/"+strconv.Itoa(i))
			if err != nil {
				return nil, err
			}
			shapes[i] = built
		}
		return shapes, nil
	}
}

func many[T, M any](collect func([]T) M, wrap func(M) geom.Geometry) func([]T) geom.Geometry {
	return func(parts []T) geom.Geometry { return wrap(collect(parts)) }
}

func (d *decoder) point(position []float64, pointer string) (geom.Point, error) {
	if len(position) == 0 {
		return geom.Point{}, nil
	}
	at, err := d.position(position, pointer)
	if err != nil {
		return geom.Point{}, err
	}
	return geom.NewPointXY(at.X, at.Y), nil
}

func (d *decoder) line(list [][]float64, pointer string) (geom.LineString, error) {
	flat := make([]float64, 0, 2*len(list)+2)
	for i, position := range list {
		at, err := d.position(position, pointer+"/"+strconv.Itoa(i))
		if err != nil {
			return geom.LineString{}, err
		}
		if n := len(flat); n > 0 && flat[n-2] == at.X && flat[n-1] == at.Y {
			continue
		}
		flat = append(flat, at.X, at.Y)
	}
	if len(flat) == 2 {
		return geom.LineString{}, &Fault{Pointer: pointer, Message: "a line needs two different positions"}
	}
	return geom.NewLineString(geom.NewSequence(flat, geom.DimXY)), nil
}

func (d *decoder) polygon(rings [][][]float64, pointer string) (geom.Polygon, error) {
	closed := func(ring [][]float64, pointer string) (geom.LineString, error) {
		line, err := d.line(ring, pointer)
		if err != nil || line.IsEmpty() || line.IsClosed() {
			return line, err
		}
		list := xys(line.Coordinates())
		return lineString(append(list, list[0])), nil
	}
	lines, err := each(closed)(rings, pointer)
	if err != nil {
		return geom.Polygon{}, err
	}
	for i, line := range lines {
		if n := line.Coordinates().Length(); n < 4 {
			return geom.Polygon{}, &Fault{Pointer: pointer + "/" + strconv.Itoa(i), Message: "a ring needs three different positions"}
		}
	}
	return geom.NewPolygon(lines), nil
}

// position checks one position and counts it.
func (d *decoder) position(position []float64, pointer string) (geom.XY, error) {
	if d.left--; d.left < 0 {
		return geom.XY{}, &Fault{Pointer: pointer, Message: fmt.Sprintf("more than %d positions; split the layer or simplify it", d.max)}
	}
	if len(position) < 2 {
		return geom.XY{}, &Fault{Pointer: pointer, Message: "a position needs a longitude and a latitude"}
	}
	at := geom.XY{X: position[0], Y: position[1]}
	if math.Abs(at.X) > 360 || math.Abs(at.Y) > 90 {
		return geom.XY{}, &Fault{Pointer: pointer, Message: fmt.Sprintf("[%g, %g] is not a longitude and a latitude in degrees", at.X, at.Y)}
	}
	return at, nil
}

// lineString makes a line of positions.
func lineString(list []geom.XY) geom.LineString {
	flat := make([]float64, 0, 2*len(list))
	for _, at := range list {
		flat = append(flat, at.X, at.Y)
	}
	return geom.NewLineString(geom.NewSequence(flat, geom.DimXY))
}
