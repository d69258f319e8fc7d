// Command overlay is a plugin with one process, overlay: clip, intersection,
// difference and union of two GeoJSON layers. README.md tells what each does;
// the geometry is in plugins/internal/vector.
package main

import (
	"errors"

	"geomill/plugins/internal/vector"
	"geomill/sdk"
)

func main() {
	sdk.Serve(sdk.Plugin{Name: "overlay", Version: "1.0.0"}, process())
}

type inputs struct {
	A         vector.Document  `json:"a" jsonschema:"title=Layer a,description=A GeoJSON FeatureCollection\\, Feature or geometry in longitude and latitude on WGS 84 with at most 200000 positions. Areas for a union; otherwise points and lines too."`
	B         vector.Document  `json:"b" jsonschema:"title=Layer b,description=Like a; areas only."`
	Operation vector.Operation `json:"operation" jsonschema:"title=Operation,description=clip: what of a lies within b\\, with the attributes of a. intersection: a feature for each pair that overlaps\\, with the attributes of both. difference: what of a lies outside b\\, with the attributes of a. union: the pairs\\, then what lies only in a\\, then what lies only in b.,enum=clip,enum=intersection,enum=difference,enum=union"`
}

type outputs struct {
	Result vector.Layer `json:"result" jsonschema:"title=Pieces,description=A FeatureCollection. A property of b that a has too is called b_ and its name."`
	Count  int          `json:"count" jsonschema:"title=Number of features"`
	Area   float64      `json:"area" jsonschema:"title=Area,description=Sum of the areas of the features in square metres on the WGS 84 ellipsoid."`
}

func process() sdk.Process {
	return sdk.New(sdk.Info{
		ID:    "overlay",
		Title: "Overlay",
		Description: "Combines two layers: clip, intersection, difference or union, attributes kept. " +
			"Edges are straight lines in longitude and latitude, as GeoJSON has it; positions of the result are rounded to 0.1 mm.",
		Keywords: []string{"vector", "geometry", "overlay", "clip", "intersection", "difference", "union"},
		Policy:   sdk.Policy{Deterministic: true, RetryAttempts: 1},
	}, run)
}

func run(job *sdk.Job, in inputs) (outputs, error) {
	a, errA := in.A.Layer()
	b, errB := in.B.Layer()
	if err := errors.Join(invalid("a", errA), invalid("b", errB)); err != nil {
		return outputs{}, err
	}
	result, err := vector.Overlay(job, a, b, in.Operation, func(done, total int) {
		job.Progress(99*float64(done)/float64(total), "%d of %d features", done, total)
	})
	if fault := (*vector.LayerFault)(nil); errors.As(err, &fault) {
		return outputs{}, invalid(fault.Layer, &fault.Fault)
	}
	return outputs{Result: result, Count: len(result.Features), Area: result.Area()}, err
}

// invalid blames an input for an error about its layer.
func invalid(input string, err error) error {
	if err == nil {
		return nil
	}
	if fault := (*vector.Fault)(nil); errors.As(err, &fault) {
		return sdk.InvalidAt(input, fault.Pointer, "%s", fault.Message)
	}
	return sdk.Invalid(input, "%v", err)
}
