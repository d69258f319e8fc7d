// Command convert turns an object of a TopoJSON file into a GeoJSON
// FeatureCollection, one feature a line, with positions rounded to 4 decimals
// (11 m). It made countries.geojson; README.md beside it says how.
//
//	go run ./examples/data/convert countries-110m.json countries > countries.geojson
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
)

type topology struct {
	Transform struct {
		Scale     [2]float64 `json:"scale"`
		Translate [2]float64 `json:"translate"`
	} `json:"transform"`
	Arcs    [][][2]float64    `json:"arcs"`
	Objects map[string]object `json:"objects"`
}

type object struct {
	Type       string          `json:"type"`
	ID         json.RawMessage `json:"id"`
	Properties json.RawMessage `json:"properties"`
	Arcs       json.RawMessage `json:"arcs"`
	Geometries []object        `json:"geometries"`
}

type feature struct {
	Type       string          `json:"type"`
	ID         json.RawMessage `json:"id,omitempty"`
	Properties json.RawMessage `json:"properties"`
	Geometry   geometry        `json:"geometry"`
}

type geometry struct {
	Type        string `json:"type"`
	Coordinates any    `json:"coordinates"`
}

// ring is a closed line of longitudes and latitudes.
type ring [][2]float64

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: convert TOPOJSON OBJECT > GEOJSON")
		os.Exit(2)
	}
	if err := convert(os.Stdout, os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "convert:", err)
		os.Exit(1)
	}
}

func convert(w io.Writer, file, name string) error {
	document, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var t topology
	if err := json.Unmarshal(document, &t); err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	chosen, found := t.Objects[name]
	if !found {
		return fmt.Errorf("%s has no object %q", file, name)
	}
	arcs := t.decodeArcs()
	out := bufio.NewWriter(w)
	fmt.Fprint(out, `{"type":"FeatureCollection","features":[`)
	separator := "\n"
	for _, o := range chosen.Geometries {
		shape, err := o.geometry(arcs)
		if err != nil {
			return err
		}
		line, err := json.Marshal(feature{"Feature", o.ID, o.Properties, shape})
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s%s", separator, line)
		separator = ",\n"
	}
	fmt.Fprint(out, "\n]}\n")
	return out.Flush()
}

// decodeArcs undoes the delta encoding and the quantisation.
func (t topology) decodeArcs() []ring {
	arcs := make([]ring, len(t.Arcs))
	for i, steps := range t.Arcs {
		var x, y float64
		for _, step := range steps {
			x, y = x+step[0], y+step[1]
			arcs[i] = append(arcs[i], [2]float64{
				round(x*t.Transform.Scale[0] + t.Transform.Translate[0]),
				round(y*t.Transform.Scale[1] + t.Transform.Translate[1]),
			})
		}
	}
	return arcs
}

func round(degrees float64) float64 { return math.Round(degrees*1e4) / 1e4 }

func (o object) geometry(arcs []ring) (geometry, error) {
	var polygons [][][]int
	switch o.Type {
	case "Polygon":
		polygons = make([][][]int, 1)
		if err := json.Unmarshal(o.Arcs, &polygons[0]); err != nil {
			return geometry{}, fmt.Errorf("read arcs: %w", err)
		}
	case "MultiPolygon":
		if err := json.Unmarshal(o.Arcs, &polygons); err != nil {
			return geometry{}, fmt.Errorf("read arcs: %w", err)
		}
	default:
		return geometry{}, fmt.Errorf("geometry type %q is not an area", o.Type)
	}
	var parts [][]ring
	for _, refs := range polygons {
		rings := make([]ring, len(refs))
		for i, list := range refs {
			rings[i] = stitch(list, arcs)
		}
		sound, err := repair(rings)
		if err != nil {
			return geometry{}, err
		}
		parts = append(parts, sound...)
	}
	if len(parts) == 1 {
		return geometry{"Polygon", parts[0]}, nil
	}
	return geometry{"MultiPolygon", parts}, nil
}

// stitch joins arcs to a ring. A negative number n means arc ^n backwards;
// the position where two arcs meet is in both.
func stitch(refs []int, arcs []ring) ring {
	var joined ring
	for _, ref := range refs {
		arc := arcs[max(ref, ^ref)]
		if ref < 0 {
			arc = slices.Clone(arc)
			slices.Reverse(arc)
		}
		if len(joined) > 0 {
			arc = arc[1:]
		}
		joined = append(joined, arc...)
	}
	return slices.Compact(joined)
}
