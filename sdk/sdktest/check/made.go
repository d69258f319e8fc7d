package check

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
)

// errNotMade says that no value was found that a schema accepts.
var errNotMade = errors.New("no value can be made of its schema; give one with --inputs, or an example in the schema")

// maxNesting bounds how deep a value is made.
const maxNesting = 8

// made returns a value that a schema accepts: what it gives as a default or an
// example, or the simplest that its keywords ask for.
func made(text json.RawMessage) (json.RawMessage, error) {
	var root any
	if err := json.Unmarshal(text, &root); err != nil {
		return nil, err
	}
	m := maker{root: root}
	for _, v := range m.candidates(root, maxNesting) {
		b, err := json.Marshal(v)
		if err != nil {
			continue
		}
		faults, err := Schema(text, b)
		if err != nil {
			return nil, err
		}
		if len(faults) == 0 {
			return b, nil
		}
	}
	return nil, errNotMade
}

// maker makes values of one schema document.
type maker struct{ root any }

// candidates are values that may be right, the likeliest first.
func (m maker) candidates(s any, depth int) []any {
	o, ok := s.(map[string]any)
	if !ok || depth == 0 {
		return []any{"x", 1, map[string]any{}, []any{}, true, nil}
	}
	var list []any
	if v, ok := o["default"]; ok {
		list = append(list, v)
	}
	if v, ok := o["example"]; ok {
		list = append(list, v)
	}
	for _, keyword := range []string{"examples", "enum"} {
		if values, ok := o[keyword].([]any); ok {
			list = append(list, values...)
		}
	}
	if v, ok := o["const"]; ok {
		list = append(list, v)
	}
	if ref, ok := o["$ref"].(string); ok {
		list = append(list, m.referred(ref, depth)...)
	}
	if all, ok := o["allOf"].([]any); ok {
		list = append(list, m.candidates(merged(o, all), depth-1)...)
	}
	for _, keyword := range []string{"oneOf", "anyOf"} {
		if some, ok := o[keyword].([]any); ok {
			for _, each := range some {
				list = append(list, m.candidates(merged(o, []any{each}), depth-1)...)
			}
		}
	}
	return append(list, m.typed(o, depth)...)
}

// merged is a schema with the keywords of others beside its own.
func merged(o map[string]any, others []any) map[string]any {
	sum := maps.Clone(o)
	delete(sum, "allOf")
	delete(sum, "oneOf")
	delete(sum, "anyOf")
	for _, other := range others {
		part, _ := other.(map[string]any)
		for k, v := range part {
			mine, isMap := sum[k].(map[string]any)
			theirs, both := v.(map[string]any)
			list, isList := sum[k].([]any)
			more, bothLists := v.([]any)
			switch {
			case isMap && both && k == "properties":
				all := maps.Clone(mine)
				maps.Copy(all, theirs)
				sum[k] = all
			case isList && bothLists && k == "required":
				sum[k] = slices.Concat(list, more)
			default:
				sum[k] = v
			}
		}
	}
	return sum
}

// referred follows a reference within the document, or to what is well known.
func (m maker) referred(ref string, depth int) []any {
	if v, ok := geographic(ref); ok {
		return []any{v}
	}
	pointer, ok := strings.CutPrefix(ref, "#")
	if !ok {
		return nil
	}
	at := m.root
	for _, name := range strings.Split(strings.TrimPrefix(pointer, "/"), "/") {
		if o, ok := at.(map[string]any); ok && name != "" {
			at = o[strings.NewReplacer("~1", "/", "~0", "~").Replace(name)]
		}
	}
	return m.candidates(at, depth-1)
}

func (m maker) typed(o map[string]any, depth int) []any {
	var types []any
	switch t := o["type"].(type) {
	case string:
		types = []any{t}
	case []any:
		types = t
	default:
		types = []any{"string", "number", "object", "array", "boolean"}
	}
	var list []any
	for _, t := range types {
		switch t {
		case "string":
			list = append(list, texts(o)...)
		case "integer":
			list = append(list, numbers(o, 1)...)
		case "number":
			list = append(list, numbers(o, 0.5)...)
		case "boolean":
			list = append(list, false, true)
		case "null":
			list = append(list, nil)
		case "array":
			list = append(list, m.array(o, depth))
		case "object":
			list = append(list, m.objects(o, depth)...)
		}
	}
	return list
}

func (m maker) array(o map[string]any, depth int) any {
	n, _ := o["minItems"].(float64)
	array := []any{}
	prefix, _ := o["prefixItems"].([]any)
	for i := range max(int(n), len(prefix)) {
		of := o["items"]
		if i < len(prefix) {
			of = prefix[i]
		}
		values := m.candidates(of, depth-1)
		if len(values) == 0 || i >= 1000 {
			break
		}
		if o["uniqueItems"] == true {
			array = append(array, values[i%len(values)])
			continue
		}
		array = append(array, values[0])
	}
	return array
}

func (m maker) objects(o map[string]any, depth int) []any {
	var list []any
	if format, ok := o["format"].(string); ok {
		if v, ok := geographic(format); ok {
			list = append(list, v)
		}
	}
	object := map[string]any{}
	properties, _ := o["properties"].(map[string]any)
	required, _ := o["required"].([]any)
	for _, name := range required {
		if name, ok := name.(string); ok {
			if values := m.candidates(properties[name], depth-1); len(values) > 0 {
				object[name] = values[0]
			}
		}
	}
	return append(list, object)
}

// texts are strings for the keywords of a schema.
func texts(o map[string]any) []any {
	if o["contentEncoding"] == "base64" {
		return []any{"AAAA"}
	}
	list := []any{}
	if format, ok := o["format"].(string); ok {
		if text, ok := formats[format]; ok {
			list = append(list, text)
		}
	}
	shortest, _ := o["minLength"].(float64)
	pattern, ok := o["pattern"].(string)
	if !ok {
		return append(list, strings.Repeat("x", max(1, min(int(shortest), 1<<16))), "")
	}
	for _, text := range []string{"x", "X", "1", "a-1", "A1", "2024-01-01", "00:00", "EPSG:4326", "http://localhost/", "x.x", "x/x", ""} {
		if m, err := regexp.MatchString(pattern, text); err != nil || m {
			list = append(list, text)
		}
	}
	return list
}

var formats = map[string]string{
	"date": "2024-01-31", "date-time": "2024-01-31T12:00:00Z", "time": "12:00:00Z", "duration": "P1D",
	"uri": "http://localhost/", "uri-reference": "x", "iri": "http://localhost/", "email": "a@localhost.localdomain",
	"hostname": "localhost", "ipv4": "127.0.0.1", "ipv6": "::1", "uuid": "0197f3c2-7a5e-7b1c-9d2e-000000000000",
	"json-pointer": "/x", "regex": "x",
}

// numbers are such within the bounds of a schema.
func numbers(o map[string]any, step float64) []any {
	low, hasLow := o["minimum"].(float64)
	high, hasHigh := o["maximum"].(float64)
	above, hasAbove := o["exclusiveMinimum"].(float64)
	below, hasBelow := o["exclusiveMaximum"].(float64)
	list := []any{1.0}
	if hasAbove {
		list = append(list, above+1, above+step)
	}
	if hasBelow {
		list = append(list, below-1, below-step)
	}
	if hasAbove && (hasHigh || hasBelow) {
		list = append(list, (above+max(high, below))/2)
	}
	if hasLow {
		list = append(list, low, math.Ceil(low))
	}
	if hasHigh {
		list = append(list, high, math.Floor(high))
	}
	if multiple, ok := o["multipleOf"].(float64); ok {
		list = append(list, multiple, math.Ceil(low/multiple)*multiple)
	}
	return slices.DeleteFunc(append(list, 0.0, -1.0), func(v any) bool {
		n := v.(float64)
		return hasLow && n < low || hasHigh && n > high || hasAbove && n <= above || hasBelow && n >= below
	})
}

// geographic returns a value of a format or of a schema that is known by its
// name: GeoJSON and bounding boxes.
func geographic(name string) (any, bool) {
	point := map[string]any{"type": "Point", "coordinates": []any{8, 50}}
	ring := []any{[]any{8, 50}, []any{9, 50}, []any{9, 51}, []any{8, 50}}
	polygon := map[string]any{"type": "Polygon", "coordinates": []any{ring}}
	feature := map[string]any{"type": "Feature", "properties": map[string]any{}, "geometry": polygon}
	lower := strings.ToLower(name)
	switch {
	case strings.Contains(lower, "featurecollection"), strings.Contains(lower, "feature-collection"):
		return map[string]any{"type": "FeatureCollection", "features": []any{feature}}, true
	case strings.Contains(lower, "feature"):
		return feature, true
	case strings.Contains(lower, "polygon"), strings.Contains(lower, "geometry"):
		return polygon, true
	case strings.Contains(lower, "point"):
		return point, true
	case strings.Contains(lower, "linestring"):
		return map[string]any{"type": "LineString", "coordinates": ring}, true
	case strings.Contains(lower, "bbox"):
		return map[string]any{"bbox": []any{8, 50, 9, 51}}, true
	case strings.Contains(lower, "geojson"):
		return polygon, true
	}
	return nil, false
}

// waiting finds the inputs of a job that waits: one that sounds like a time.
func waiting(inputs map[string]json.RawMessage, seconds map[string]json.RawMessage) (map[string]json.RawMessage, bool) {
	for id, text := range seconds {
		var s struct {
			Type    any      `json:"type"`
			Maximum *float64 `json:"maximum"`
		}
		if json.Unmarshal(text, &s) != nil || s.Type != "number" && s.Type != "integer" || !soundsLikeTime(id) {
			continue
		}
		wait := 60.0
		if s.Maximum != nil {
			wait = min(wait, *s.Maximum)
		}
		if wait < 5 {
			continue
		}
		all := maps.Clone(inputs)
		all[id] = json.RawMessage(fmt.Sprint(int(wait)))
		return all, true
	}
	return nil, false
}

func soundsLikeTime(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc([]string{"second", "pause", "sleep", "delay", "wait", "duration"}, func(word string) bool {
		return strings.Contains(name, word)
	})
}
