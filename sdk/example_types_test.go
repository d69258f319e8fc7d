package sdk_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"geomill/sdk"
)

// schemas prints what clients see of the inputs of a process.
func schemas(p sdk.Process) {
	h, err := sdk.NewHandler(sdk.Plugin{Name: "example", Version: "1.0.0"}, p)
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := json.Marshal(h.Processes()[0].Description.Inputs)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(string(text))
}

// Geometries and features are GeoJSON, which the host checks; their text is for
// the library of the author's choice.
func ExampleFeatureCollection() {
	type inputs struct {
		Roads sdk.FeatureCollection `json:"roads"`
	}
	type outputs struct {
		Long sdk.FeatureCollection `json:"long"`
	}
	long := func(_ *sdk.Job, in inputs) (out outputs, err error) {
		for _, road := range in.Roads.Features {
			var properties struct{ Lanes int }
			if err := json.Unmarshal(road.Properties, &properties); err != nil {
				return out, sdk.Invalid("roads", "a feature has no lanes: %v", err)
			}
			if road.Geometry.Type() == "LineString" && properties.Lanes > 1 {
				out.Long.Features = append(out.Long.Features, road)
			}
		}
		return out, nil
	}
	schemas(sdk.New(sdk.Info{ID: "long"}, long))
	// Output: {"roads":{"schema":{"format":"geojson-feature-collection","$ref":"https://geojson.org/schema/FeatureCollection.json"}}}
}

// A bounding box has the shape that the standard gives it.
func ExampleBBox() {
	var box sdk.BBox
	err := json.Unmarshal([]byte(`{"bbox": [5.9, 45.8, 10.5, 47.8]}`), &box)
	least, greatest := box.Corners()
	fmt.Println(least, greatest, err)
	// Output: [5.9 45.8] [10.5 47.8] <nil>
}

// A day is a date without a time; a time.Time is both.
func ExampleDate() {
	type inputs struct {
		From sdk.Date  `json:"from"`
		To   *sdk.Date `json:"to,omitempty"`
	}
	days := func(_ *sdk.Job, in inputs) (done, error) {
		if in.To != nil && in.To.Before(in.From.Time) {
			return done{}, sdk.Invalid("to", "is before from")
		}
		return done{true}, nil
	}
	schemas(sdk.New(sdk.Info{ID: "days"}, days))
	// Output: {"from":{"schema":{"type":"string","format":"date"}},"to":{"schema":{"type":"string","format":"date"},"minOccurs":0}}
}

// A measure is a number with its unit.
func ExampleMeasure() {
	var distance sdk.Measure
	err := json.Unmarshal([]byte(`{"measurement": 1.5, "uom": "km"}`), &distance)
	fmt.Println(distance.Value, distance.Unit, err)
	// Output: 1.5 km <nil>
}

// A reference that the process is to follow itself is not fetched by the host.
func ExampleRef() {
	type inputs struct {
		Catalogue sdk.Ref `json:"catalogue"`
	}
	harvest := func(job *sdk.Job, in inputs) (done, error) {
		job.Log().Info("harvests", "from", in.Catalogue.Href)
		return done{true}, nil
	}
	_ = sdk.New(sdk.Info{ID: "harvest"}, harvest)
}

// A slice is one value, an array, unless the ogc tag says that its elements are
// values of the input: then a client may give one by itself.
func ExampleNew_occurrences() {
	type inputs struct {
		Layers []string `json:"layers" jsonschema:"enum=roads,enum=rivers" ogc:"minOccurs=1,maxOccurs=2"`
	}
	schemas(sdk.New(sdk.Info{ID: "draw"}, func(*sdk.Job, inputs) (done, error) { return done{true}, nil }))
	// Output: {"layers":{"schema":{"type":"string","enum":["roads","rivers"]},"minOccurs":1,"maxOccurs":2}}
}

// Of several media types the client chooses one; the outputs of a process need not
// be in one format.
func ExampleFile_formats() {
	type inputs struct {
		Places sdk.File `json:"places" jsonschema:"contentMediaType=application/geo+json,contentMediaType=text/csv"`
	}
	type outputs struct {
		Map   sdk.File `json:"map" jsonschema:"contentMediaType=image/png,contentMediaType=image/svg+xml"`
		Count int      `json:"count"`
	}
	draw := func(job *sdk.Job, in inputs) (out outputs, err error) {
		job.Log().Info("reads", "format", in.Places.MediaType)
		out.Map.MediaType = "image/png"
		if job.Format("map") == "image/svg+xml" {
			out.Map.MediaType = "image/svg+xml"
		}
		f, err := job.Create("map-*")
		if err != nil {
			return out, err
		}
		out.Map.Path = f.Name()
		return out, f.Close()
	}
	schemas(sdk.New(sdk.Info{ID: "draw"}, draw))
	// Output: {"places":{"schema":{"oneOf":[{"contentMediaType":"application/geo+json","type":["object","array"]},{"contentMediaType":"text/csv","type":"string"}]}}}
}

// Files are read and written bit by bit, so that their size does not matter.
func ExampleJob_Create() {
	type table struct {
		Table sdk.File `json:"table" jsonschema:"contentMediaType=text/csv"`
	}
	number := func(job *sdk.Job, in table) (out table, err error) {
		from, err := in.Table.Open()
		if err != nil {
			return out, err
		}
		defer from.Close()
		to, err := job.Create("table-*.csv")
		if err != nil {
			return out, err
		}
		out.Table.Path = to.Name()
		w, n := bufio.NewWriter(to), 0
		for lines := bufio.NewScanner(from); lines.Scan(); n++ {
			fmt.Fprintf(w, "%d,%s\n", n, lines.Text())
		}
		return out, errors.Join(w.Flush(), to.Close())
	}
	_ = sdk.New(sdk.Info{ID: "number"}, number)
}

// An output that is ready early need not be kept until the end.
func ExampleJob_Output() {
	type outputs struct {
		Preview string `json:"preview"`
		Whole   int    `json:"whole"`
	}
	render := func(job *sdk.Job, _ struct{}) (outputs, error) {
		if err := job.Output("preview", "a sketch"); err != nil {
			return outputs{}, err
		}
		return outputs{Whole: 42}, nil // Preview was handed over
	}
	_ = sdk.New(sdk.Info{ID: "render"}, render)
}

// What a long computation has done so far is kept for the next attempt.
func ExampleJob_CheckpointDir() {
	sum := func(job *sdk.Job, _ struct{}) (done, error) {
		dir, err := job.CheckpointDir()
		if err != nil {
			return done{}, err
		}
		var next int
		if text, err := os.ReadFile(filepath.Join(dir, "next")); err == nil {
			if err := json.Unmarshal(text, &next); err != nil {
				return done{}, err
			}
			job.Log().Info("goes on", "attempt", job.Attempt(), "at", next)
		}
		for ; next < 100 && job.Err() == nil; next++ {
			if err := os.WriteFile(filepath.Join(dir, "next.new"), fmt.Append(nil, next), 0o600); err != nil {
				return done{}, err
			}
			if err := os.Rename(filepath.Join(dir, "next.new"), filepath.Join(dir, "next")); err != nil {
				return done{}, err
			}
		}
		return done{true}, job.Err()
	}
	_ = sdk.New(sdk.Info{ID: "sum", Policy: sdk.Policy{RetryAttempts: 3}}, sum)
}

// Titles and descriptions can be in several languages.
func ExampleInfo() {
	info := sdk.Info{
		ID: "greet", Title: "Greet", Language: "en",
		Translations: map[string]sdk.Translation{"de": {
			Title:  "Grüßen",
			Inputs: map[string]sdk.Translation{"name": {Title: "Name", Description: "Wer gegrüßt wird"}},
		}},
	}
	_ = info
}
