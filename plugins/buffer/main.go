// Command buffer is a plugin with one process, buffer: the area within a
// distance in metres of GeoJSON features. README.md says how exact it is; the
// geometry is in plugins/internal/vector.
package main

import (
	"errors"

	"geomill/plugins/internal/vector"
	"geomill/sdk"
)

func main() {
	sdk.Serve(sdk.Plugin{Name: "buffer", Version: "1.0.0"}, process())
}

type inputs struct {
	Features vector.Document `json:"features" jsonschema:"title=Features,description=A GeoJSON FeatureCollection\\, Feature or geometry in longitude and latitude on WGS 84 with at most 200000 positions. What crosses the antimeridian is best cut there."`
	Distance float64         `json:"distance" jsonschema:"title=Distance,description=In metres along the Earth's surface\\, not 0. A negative distance takes a border of that width off areas.,minimum=-2000000,maximum=2000000,example=1000"`
	Segments int             `json:"segments" jsonschema:"title=Segments,description=How many edges draw a quarter of a circle. Round corners are short of the distance by up to 1.1 % with 8 and 0.017 % with 64.,minimum=1,maximum=64,default=8"`
	Dissolve bool            `json:"dissolve" jsonschema:"title=Dissolve,description=Join all buffers to one feature without attributes.,default=false"`
}

type outputs struct {
	Result vector.Layer `json:"result" jsonschema:"title=Buffers,description=A FeatureCollection with the ids and properties of the features. Areas are cut at the antimeridian and may cover a pole. A feature of which nothing is left has a null geometry."`
}

func process() sdk.Process {
	return sdk.New(sdk.Info{
		ID:    "buffer",
		Title: "Buffer",
		Description: "The area within a distance of each feature, measured along the Earth's surface whatever the size and place of the feature. " +
			"The border is right to 0.03 % of the distance plus 0.3 m, beside the drawing of round corners in edges (see segments).",
		Keywords: []string{"vector", "geometry", "buffer"},
		Policy:   sdk.Policy{Deterministic: true, RetryAttempts: 1},
	}, run)
}

func run(job *sdk.Job, in inputs) (outputs, error) {
	if in.Distance == 0 {
		return outputs{}, sdk.Invalid("distance", "must not be 0")
	}
	layer, err := in.Features.Layer()
	if err != nil {
		return outputs{}, invalid(err)
	}
	options := vector.BufferOptions{Distance: in.Distance, Segments: in.Segments, Dissolve: in.Dissolve}
	result, err := vector.BufferLayer(job, layer, options, func(done, total int) {
		job.Progress(99*float64(done)/float64(total), "buffered %d of %d features", done, total)
	})
	if fault := (*vector.Fault)(nil); errors.As(err, &fault) {
		return outputs{}, invalid(fault)
	}
	return outputs{Result: result}, err
}

// invalid blames the features, at the place of the fault.
func invalid(err error) error {
	if fault := (*vector.Fault)(nil); errors.As(err, &fault) {
		return sdk.InvalidAt("features", fault.Pointer, "%s", fault.Message)
	}
	return sdk.Invalid("features", "%v", err)
}
