package sdk

import (
	"encoding/json"
	"fmt"
	"time"
)

// BBox is a bounding box of the standard.
type BBox struct {
	// Box has the least values of the axes, then the greatest: four numbers, or
	// six.
	Box []float64 `json:"bbox"`
	// CRS is the URI of the coordinate reference system. In inputs it is always
	// there; empty is longitude and latitude on WGS 84.
	CRS string `json:"crs,omitempty"`
}

// JSONSchema refers to the well-known schema.
func (BBox) JSONSchema() json.RawMessage {
	return json.RawMessage(`{"format":"ogc-bbox","$ref":"https://schemas.opengis.net/ogcapi/processes/part1/1.0/openapi/schemas/bbox.yaml"}`)
}

// Corners returns the least and the greatest values of the axes.
func (b BBox) Corners() (least, greatest []float64) {
	n := len(b.Box) / 2
	return b.Box[:n], b.Box[n:]
}

// Date is a day, such as 2026-01-31, at midnight UTC. A moment is a time.Time.
type Date struct{ time.Time }

// JSONSchema describes a string with the format date.
func (Date) JSONSchema() json.RawMessage {
	return json.RawMessage(`{"type":"string","format":"date"}`)
}

// MarshalJSON writes the day.
func (d Date) MarshalJSON() ([]byte, error) { return []byte(d.Format(`"` + time.DateOnly + `"`)), nil }

// UnmarshalJSON reads the day.
func (d *Date) UnmarshalJSON(text []byte) (err error) {
	if d.Time, err = time.Parse(`"`+time.DateOnly+`"`, string(text)); err != nil {
		return fmt.Errorf("%s is no date", text)
	}
	return nil
}

// Measure is a number with its unit.
type Measure struct {
	Value float64 `json:"measurement"`
	// Unit is a symbol, such as m or °C.
	Unit string `json:"uom" jsonschema:"minLength=1"`
	// Reference is the URI of what defines the unit, or empty.
	Reference string `json:"reference,omitempty" jsonschema:"format=uri"`
}

// Ref is an input that is a reference and stays one: the host does not fetch what
// it leads to, as it does for inputs of other types, and the process makes of it
// what it wants. To fetch it, the plugin needs to be allowed the network.
type Ref struct {
	Href  string `json:"href" jsonschema:"format=uri-reference"`
	Rel   string `json:"rel,omitempty"`
	Type  string `json:"type,omitempty"` // media type
	Title string `json:"title,omitempty"`
}
