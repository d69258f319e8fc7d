package vector

import (
	"encoding/json"
	"fmt"

	"github.com/peterstace/simplefeatures/geom"
)

// Feature is a GeoJSON feature. Its id and properties are kept as they came;
// nil means that there were none.
type Feature struct {
	ID         json.RawMessage
	Properties json.RawMessage
	Geometry   geom.Geometry // two-dimensional; empty for a null geometry
	// Pointer is the JSON pointer of the feature in the value it was read
	// from, "" for a value that is the feature itself.
	Pointer string
}

// Layer is a list of features.
type Layer struct{ Features []Feature }

// Fault says what is wrong with an input value, and where.
type Fault struct {
	Pointer string // JSON pointer (RFC 6901) into the value
	Message string
}

func (f *Fault) Error() string {
	if f.Pointer == "" {
		return f.Message
	}
	return fmt.Sprintf("%s: %s", f.Pointer, f.Message)
}

// Area returns the sum of the areas of the features in square metres.
func (l Layer) Area() float64 {
	var sum float64
	for _, feature := range l.Features {
		sum += Area(feature.Geometry)
	}
	return sum
}

// decimals is how many digits of a degree results carry: 0.1 mm.
const decimals = 9

// Round rounds the positions of a geometry to 0.1 mm. A geometry that would
// become invalid by it, because it is that thin somewhere, is returned as is.
func Round(g geom.Geometry) geom.Geometry {
	rounded := g.SnapToGrid(decimals)
	if rounded.Validate() != nil {
		return g
	}
	return rounded
}

type featureJSON struct {
	Type       string          `json:"type"`
	ID         json.RawMessage `json:"id,omitempty"`
	Properties json.RawMessage `json:"properties"`
	Geometry   *geom.Geometry  `json:"geometry"`
}

type collectionJSON struct {
	Type     string    `json:"type"`
	Features []Feature `json:"features"`
}

// MarshalJSON writes the layer as a FeatureCollection.
func (l Layer) MarshalJSON() ([]byte, error) {
	collection := collectionJSON{Type: "FeatureCollection", Features: l.Features}
	if collection.Features == nil {
		collection.Features = []Feature{}
	}
	return json.Marshal(collection)
}

// MarshalJSON writes the feature; rings turn as RFC 7946 section 3.1.6 asks,
// and an empty geometry is null.
func (f Feature) MarshalJSON() ([]byte, error) {
	document := featureJSON{Type: "Feature", ID: f.ID, Properties: f.Properties}
	if !f.Geometry.IsEmpty() {
		geometry := f.Geometry.ForceCCW()
		document.Geometry = &geometry
	}
	return json.Marshal(document)
}
