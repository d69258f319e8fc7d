package sdk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
)

// Geometry is a geometry of GeoJSON (RFC 7946), as the JSON text that it is. The
// host checks the form of inputs; a library of the author's choice reads the text.
// A geometry that is null, as that of a feature without a place may be, is nil.
type Geometry json.RawMessage

// JSONSchema refers to the well-known schema.
func (Geometry) JSONSchema() json.RawMessage {
	return json.RawMessage(`{"format":"geojson-geometry","$ref":"https://geojson.org/schema/Geometry.json"}`)
}

// Type returns the type of the geometry, such as Point, or "" when it has none.
func (g Geometry) Type() string {
	var typed struct{ Type string }
	_ = json.Unmarshal(g, &typed) // then there is none
	return typed.Type
}

// MarshalJSON returns the text.
func (g Geometry) MarshalJSON() ([]byte, error) {
	if g == nil {
		return []byte("null"), nil
	}
	return g, nil
}

// UnmarshalJSON keeps the text.
func (g *Geometry) UnmarshalJSON(text []byte) error {
	*g = nil
	if string(text) != "null" {
		*g = bytes.Clone(text)
	}
	return nil
}

// Feature is a feature of GeoJSON.
type Feature struct {
	// ID is a JSON string or number, or nil.
	ID       json.RawMessage
	Geometry Geometry
	// Properties is a JSON object, or nil for null.
	Properties json.RawMessage
	// Other has the other members: a bbox, and foreign members (RFC 7946,
	// section 6.1).
	Other map[string]json.RawMessage
}

// JSONSchema refers to the well-known schema.
func (Feature) JSONSchema() json.RawMessage {
	return json.RawMessage(`{"format":"geojson-feature","$ref":"https://geojson.org/schema/Feature.json"}`)
}

// MarshalJSON writes the feature with all its members.
func (f Feature) MarshalJSON() ([]byte, error) {
	members := map[string]any{"type": "Feature", "geometry": f.Geometry, "properties": f.Properties}
	if f.ID != nil {
		members["id"] = f.ID
	}
	return withOthers(members, f.Other)
}

// UnmarshalJSON reads the feature with all its members.
func (f *Feature) UnmarshalJSON(text []byte) error {
	members, err := membersOf(text, "Feature")
	if err != nil {
		return err
	}
	*f = Feature{ID: members["id"], Properties: members["properties"]}
	if string(f.Properties) == "null" {
		f.Properties = nil
	}
	if g := members["geometry"]; string(g) != "null" {
		f.Geometry = Geometry(g)
	}
	f.Other = others(members, "id", "geometry", "properties")
	return nil
}

// FeatureCollection is a collection of features of GeoJSON. It is in memory as a
// whole: one that may be large is better a File.
type FeatureCollection struct {
	Features []Feature
	// Other has the other members: a bbox, and foreign members.
	Other map[string]json.RawMessage
}

// JSONSchema refers to the well-known schema.
func (FeatureCollection) JSONSchema() json.RawMessage {
	return json.RawMessage(`{"format":"geojson-feature-collection","$ref":"https://geojson.org/schema/FeatureCollection.json"}`)
}

// MarshalJSON writes the collection with all its members.
func (c FeatureCollection) MarshalJSON() ([]byte, error) {
	features := c.Features
	if features == nil {
		features = []Feature{}
	}
	return withOthers(map[string]any{"type": "FeatureCollection", "features": features}, c.Other)
}

// UnmarshalJSON reads the collection with all its members.
func (c *FeatureCollection) UnmarshalJSON(text []byte) error {
	members, err := membersOf(text, "FeatureCollection")
	if err != nil {
		return err
	}
	*c = FeatureCollection{}
	if err := json.Unmarshal(members["features"], &c.Features); err != nil {
		return err
	}
	c.Other = others(members, "features")
	return nil
}

// membersOf returns the members of a GeoJSON object of a type.
func membersOf(text []byte, kind string) (map[string]json.RawMessage, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return nil, err
	}
	if string(members["type"]) != `"`+kind+`"` {
		return nil, fmt.Errorf("type is not %s", kind)
	}
	if kind == "FeatureCollection" && members["features"] == nil {
		return nil, errors.New("there are no features")
	}
	return members, nil
}

// others returns the members besides the type and those that are known, or nil.
func others(members map[string]json.RawMessage, known ...string) map[string]json.RawMessage {
	delete(members, "type")
	for _, name := range known {
		delete(members, name)
	}
	if len(members) == 0 {
		return nil
	}
	return members
}

func withOthers(members map[string]any, other map[string]json.RawMessage) ([]byte, error) {
	all := make(map[string]any, len(members)+len(other))
	for name, value := range other {
		all[name] = value
	}
	maps.Copy(all, members)
	return json.Marshal(all)
}
