package vector

import (
	"bytes"
	"encoding/json"
)

// Document is the text of a GeoJSON value, as the input of a process.
type Document json.RawMessage

// JSONSchema describes a GeoJSON value by its types; what else it needs is
// checked on reading, which finds more than a schema could.
func (Document) JSONSchema() json.RawMessage {
	return json.RawMessage(`{"type":"object","format":"geojson-feature-collection","required":["type"],"properties":{"type":{"enum":` +
		`["FeatureCollection","Feature","Point","MultiPoint","LineString","MultiLineString","Polygon","MultiPolygon","GeometryCollection"]}}}`)
}

// UnmarshalJSON keeps the text.
func (d *Document) UnmarshalJSON(text []byte) error {
	*d = bytes.Clone(text)
	return nil
}

// MarshalJSON returns the text.
func (d Document) MarshalJSON() ([]byte, error) { return json.RawMessage(d).MarshalJSON() }

// Layer reads the document with the usual limit of positions; see [Decode].
func (d Document) Layer() (Layer, error) { return Decode(bytes.NewReader(d), MaxVertices) }

// JSONSchema describes a layer as the output of a process.
func (Layer) JSONSchema() json.RawMessage {
	return json.RawMessage(`{"type":"object","format":"geojson-feature-collection","required":["type","features"],"properties":{` +
		`"type":{"enum":["FeatureCollection"]},"features":{"type":"array","items":{"type":"object"}}}}`)
}
