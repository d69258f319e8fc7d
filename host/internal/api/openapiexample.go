package api

import (
	"encoding/json"
	"path"

	"geomill/host/internal/job"
)

// exampleOf makes an execute request that a process accepts of the examples and
// defaults in the schemas of its inputs. ok is false when a required input has
// none.
func exampleOf(p *job.Process) (example object, ok bool) {
	inputs := object{}
	for id, in := range p.Inputs {
		value := exampleValue(p, id)
		switch {
		case value == nil && in.Min() > 0 && !p.HasDefault(id):
			return nil, false
		case value == nil:
			continue
		}
		var v any = value
		if first(value) == '{' {
			v = object{"value": value} // an object may not stand bare
		}
		if in.Max() != 1 {
			if in.Min() > 1 {
				return nil, false
			}
			v = []any{v}
		}
		inputs[id] = v
	}
	return object{"inputs": inputs}, true
}

// exampleValue returns the first example of an input that suits it, or nil.
func exampleValue(p *job.Process, id string) json.RawMessage {
	var s exampleSchema
	if json.Unmarshal(p.Inputs[id].Schema, &s) != nil {
		return nil
	}
	candidates := append(s.Examples, s.Example, s.Const, s.Default)
	if len(s.Enum) > 0 {
		candidates = append(candidates, s.Enum[0])
	}
	for _, part := range append([]exampleSchema{s}, s.AllOf...) {
		candidates = append(candidates, formatExample(part.Format))
	}
	for _, c := range candidates {
		if c != nil && p.Admits(id, c) {
			return c
		}
	}
	return nil
}

// exampleSchema is what the schema of an input tells about its values.
type exampleSchema struct {
	Examples []json.RawMessage `json:"examples"`
	Example  json.RawMessage   `json:"example"`
	Const    json.RawMessage   `json:"const"`
	Default  json.RawMessage   `json:"default"`
	Enum     []json.RawMessage `json:"enum"`
	Format   string            `json:"format"`
	AllOf    []exampleSchema   `json:"allOf"`
}

// formatExample returns a value of a format of OGC API - Processes, or nil.
func formatExample(format string) json.RawMessage {
	const (
		polygon = `{"type":"Polygon","coordinates":[[[7,50],[8,50],[8,51],[7,51],[7,50]]]}`
		feature = `{"type":"Feature","properties":{},"geometry":` + polygon + `}`
	)
	switch path.Base(format) {
	case "ogc-bbox":
		return json.RawMessage(`{"bbox":[7,50,8,51]}`)
	case "geojson-geometry":
		return json.RawMessage(polygon)
	case "geojson-feature":
		return json.RawMessage(feature)
	case "geojson-feature-collection":
		return json.RawMessage(`{"type":"FeatureCollection","features":[` + feature + `]}`)
	}
	return nil
}
