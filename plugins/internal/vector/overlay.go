package vector

import (
	"context"
	"fmt"

	"github.com/peterstace/simplefeatures/geom"
)

// Operation is what an overlay does with its layers a and b.
type Operation string

// The operations.
const (
	// Clip keeps the part of each feature of a that lies within the areas of
	// b, with the attributes of a.
	Clip Operation = "clip"
	// Intersection gives a feature for each pair that has something in
	// common, with the attributes of both.
	Intersection Operation = "intersection"
	// Difference keeps the part of each feature of a that lies outside all
	// areas of b, with the attributes of a.
	Difference Operation = "difference"
	// Union gives the features of an intersection, then what of each feature
	// of a lies in none of b, then what of each of b lies in none of a.
	Union Operation = "union"
)

// Overlay combines two layers in the longitude-latitude plane. The features of
// b are areas, and of a too for a union; pieces of a lower dimension than what
// is cut, such as the common border of two areas, are dropped. Features that
// overlap within one layer each count for themselves.
//
// Where both layers have a property of the same name, that of b is called
// "b_" and the name. The pieces of a clip and of a difference keep their id;
// those of the others are new features and have none.
//
// The progress function hears how many of the features are done. A fault of a
// layer comes back as a [LayerFault].
func Overlay(ctx context.Context, a, b Layer, operation Operation, progress func(done, total int)) (Layer, error) {
	if err := checkLayers(a, b, operation); err != nil {
		return Layer{}, err
	}
	total := len(a.Features)
	if operation == Union {
		total += len(b.Features)
	}
	o := overlay{ctx: ctx, total: total, progress: progress, rename: renaming(a, b)}
	against := newIndex(b)
	err := o.each(a, func(f Feature) error {
		switch operation {
		case Clip:
			return o.clip(f, against)
		case Difference:
			return o.subtract(f, against)
		case Intersection:
			return o.pairs(f, against)
		default:
			if err := o.pairs(f, against); err != nil {
				return err
			}
			return o.subtract(anonymous(f), against)
		}
	})
	if err != nil || operation != Union {
		return o.result, err
	}
	others := newIndex(a)
	err = o.each(b, func(f Feature) error {
		f.Properties = renamed(f.Properties, o.rename)
		return o.subtract(anonymous(f), others)
	})
	return o.result, err
}

func anonymous(f Feature) Feature {
	f.ID = nil
	return f
}

// LayerFault is a fault in one of the layers of an overlay.
type LayerFault struct {
	Layer string // "a" or "b"
	Fault
}

// Unwrap returns the fault without its layer.
func (f *LayerFault) Unwrap() error { return &f.Fault }

func checkLayers(a, b Layer, operation Operation) error {
	for _, f := range a.Features {
		if f.Geometry.IsGeometryCollection() && !f.Geometry.IsEmpty() {
			return &LayerFault{"a", Fault{f.Pointer, "a geometry collection cannot be overlaid; split it into features"}}
		}
		if operation == Union && !isArea(f.Geometry) {
			return &LayerFault{"a", Fault{f.Pointer, "a union needs areas, not a " + f.Geometry.Type().String()}}
		}
	}
	for _, f := range b.Features {
		if !isArea(f.Geometry) {
			return &LayerFault{"b", Fault{f.Pointer, "this layer needs areas, not a " + f.Geometry.Type().String()}}
		}
	}
	return nil
}

func isArea(g geom.Geometry) bool { return g.IsEmpty() || g.IsPolygon() || g.IsMultiPolygon() }

// overlay is one run: its results so far and how far it is.
type overlay struct {
	ctx         context.Context
	done, total int
	progress    func(done, total int)
	rename      map[string]string // of the properties of b
	result      Layer
}

// each calls a function for every feature of a layer that has a geometry.
func (o *overlay) each(layer Layer, do func(Feature) error) error {
	for _, f := range layer.Features {
		if err := o.ctx.Err(); err != nil {
			return err
		}
		if !f.Geometry.IsEmpty() {
			if err := do(f); err != nil {
				return err
			}
		}
		o.done++
		o.progress(o.done, o.total)
	}
	return nil
}

func (o *overlay) clip(f Feature, against index) error {
	near := against.near(f.Geometry)
	if len(near) == 0 {
		return nil
	}
	mask, err := unite(near)
	if err != nil {
		return err
	}
	common, err := geom.Intersection(f.Geometry, mask)
	if err != nil {
		return fmt.Errorf("clip a feature: %w", err)
	}
	o.add(f, common)
	return nil
}

func (o *overlay) subtract(f Feature, against index) error {
	rest := f.Geometry
	if near := against.near(f.Geometry); len(near) > 0 {
		mask, err := unite(near)
		if err != nil {
			return err
		}
		if rest, err = geom.Difference(f.Geometry, mask); err != nil {
			return fmt.Errorf("subtract from a feature: %w", err)
		}
	}
	o.add(f, rest)
	return nil
}

func (o *overlay) pairs(f Feature, against index) error {
	for _, other := range against.near(f.Geometry) {
		if err := o.ctx.Err(); err != nil {
			return err
		}
		common, err := geom.Intersection(f.Geometry, other.Geometry)
		if err != nil {
			return fmt.Errorf("intersect two features: %w", err)
		}
		pair := anonymous(f)
		pair.Properties = merged(f.Properties, renamed(other.Properties, o.rename))
		o.add(pair, common)
	}
	return nil
}

// add keeps a piece of f, if anything of the dimension of f is left of it.
func (o *overlay) add(f Feature, piece geom.Geometry) {
	piece = ofDimension(piece, f.Geometry.Dimension())
	if piece.IsEmpty() {
		return
	}
	f.Geometry = Round(piece)
	o.result.Features = append(o.result.Features, f)
}

// unite returns the union of areas; one alone is returned as it is.
func unite(features []Feature) (geom.Geometry, error) {
	if len(features) == 1 {
		return features[0].Geometry, nil
	}
	shapes := make([]geom.Geometry, len(features))
	for i, f := range features {
		shapes[i] = f.Geometry
	}
	return join(shapes)
}
