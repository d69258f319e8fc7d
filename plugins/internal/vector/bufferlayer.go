package vector

import (
	"context"
	"errors"
	"fmt"

	"github.com/peterstace/simplefeatures/geom"
)

// BufferOptions is how a layer is buffered.
type BufferOptions struct {
	Distance float64 // metres, not 0; see Buffer
	Segments int     // to a quarter of a circle, from 1 to MaxSegments
	// Dissolve joins the buffers to one feature without id and properties.
	Dissolve bool
}

// BufferLayer buffers each feature; ids and properties are kept. A feature
// that has no geometry, or that a negative distance uses up, has a null
// geometry in the result. The progress function hears how many of the features
// are done. What is wrong with a feature comes back as a *Fault.
func BufferLayer(ctx context.Context, layer Layer, options BufferOptions, progress func(done, total int)) (Layer, error) {
	if options.Distance < 0 {
		if err := needAreas(layer); err != nil {
			return Layer{}, err
		}
	}
	result := Layer{Features: make([]Feature, len(layer.Features))}
	for i, f := range layer.Features {
		if err := ctx.Err(); err != nil {
			return Layer{}, err
		}
		if !f.Geometry.IsEmpty() {
			buffer, err := Buffer(ctx, f.Geometry, options.Distance, options.Segments)
			if err != nil {
				return Layer{}, blame(f, err)
			}
			f.Geometry = Round(buffer)
		}
		result.Features[i] = f
		progress(i+1, len(layer.Features))
	}
	if options.Dissolve {
		return dissolve(result)
	}
	return result, nil
}

func needAreas(layer Layer) error {
	for _, f := range layer.Features {
		if !f.Geometry.IsEmpty() && f.Geometry.Dimension() < 2 {
			return &Fault{f.Pointer, "a negative distance shrinks areas, and this is a " + f.Geometry.Type().String()}
		}
	}
	return nil
}

// blame names the feature in an error about it.
func blame(f Feature, err error) error {
	if fault := (*Fault)(nil); errors.As(err, &fault) {
		return &Fault{f.Pointer + fault.Pointer, fault.Message}
	}
	return fmt.Errorf("buffer feature %q: %w", f.Pointer, err)
}

func dissolve(layer Layer) (Layer, error) {
	var shapes []geom.Geometry
	for _, f := range layer.Features {
		if !f.Geometry.IsEmpty() {
			shapes = append(shapes, f.Geometry)
		}
	}
	if len(shapes) == 0 {
		return Layer{}, nil
	}
	whole, err := join(shapes)
	if err != nil {
		return Layer{}, fmt.Errorf("dissolve: %w", err)
	}
	return Layer{Features: []Feature{{Geometry: Round(whole)}}}, nil
}
