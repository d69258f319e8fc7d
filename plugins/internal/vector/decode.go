package vector

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/peterstace/simplefeatures/geom"
)

// MaxVertices is how many positions a layer may have. The cost of an overlay
// can grow with the square of it, so the deadline of the job bounds the rest.
const MaxVertices = 200_000

// maxNesting is how deep geometry collections may be nested.
const maxNesting = 8

// Decode reads a GeoJSON FeatureCollection, Feature or Geometry (RFC 7946) of
// at most maxVertices positions, a feature at a time. Every geometry is valid
// afterwards: repeated positions are dropped and open rings closed, anything
// worse, such as a ring that crosses itself, is refused. The first fault ends
// the reading and is returned as a *Fault.
func Decode(r io.Reader, maxVertices int) (Layer, error) {
	d := &decoder{json: json.NewDecoder(r), left: maxVertices, max: maxVertices}
	err := d.document()
	if err == nil {
		if _, after := d.json.Token(); after == io.EOF {
			return d.layer, nil
		}
		err = errors.New("something follows the object")
	}
	if fault := (*Fault)(nil); errors.As(err, &fault) {
		return Layer{}, fault
	}
	return Layer{}, &Fault{Message: "is not readable JSON: " + err.Error()}
}

type decoder struct {
	json      *json.Decoder
	left, max int // positions
	layer     Layer
}

// document reads the outer object. The features of a collection are decoded as
// they pass; the members of anything else are kept until its type is known.
func (d *decoder) document() error {
	if token, err := d.json.Token(); err != nil {
		return err
	} else if token != json.Delim('{') {
		return &Fault{Message: "is not a GeoJSON object"}
	}
	members := map[string]json.RawMessage{}
	streamed := false
	for d.json.More() {
		token, err := d.json.Token()
		if err != nil {
			return err
		}
		name, _ := token.(string)
		if name == "features" {
			streamed = true
			if err := d.features(); err != nil {
				return err
			}
			continue
		}
		var value json.RawMessage
		if err := d.json.Decode(&value); err != nil {
			return err
		}
		members[name] = value
	}
	if _, err := d.json.Token(); err != nil {
		return err
	}
	return d.finish(members, streamed)
}

func (d *decoder) finish(members map[string]json.RawMessage, streamed bool) error {
	if crs, found := members["crs"]; found && !isCRS84(crs) {
		return &Fault{Pointer: "/crs", Message: "only longitude and latitude on WGS 84 (OGC:CRS84) are understood"}
	}
	kind := text(members["type"])
	switch {
	case kind == "FeatureCollection" && streamed:
		return nil
	case kind == "FeatureCollection":
		return &Fault{Pointer: "/features", Message: "is missing"}
	case streamed || members["type"] == nil:
		return &Fault{Pointer: "/type", Message: `must be "FeatureCollection", "Feature" or a geometry type`}
	case kind == "Feature":
		return d.feature(featureMembers{kind, members["id"], members["properties"], members["geometry"]}, "")
	}
	geometry := geometryMembers{kind, members["coordinates"], nil}
	if raw := members["geometries"]; raw != nil {
		if err := json.Unmarshal(raw, &geometry.Geometries); err != nil {
			return &Fault{Pointer: "/geometries", Message: "is not an array of geometries"}
		}
	}
	shape, err := d.valid(geometry, "")
	if err != nil {
		return err
	}
	d.layer.Features = append(d.layer.Features, Feature{Geometry: shape})
	return nil
}

func (d *decoder) features() error {
	if token, err := d.json.Token(); err != nil {
		return err
	} else if token != json.Delim('[') {
		return &Fault{Pointer: "/features", Message: "is not an array"}
	}
	for i := 0; d.json.More(); i++ {
		pointer := "/features/" + strconv.Itoa(i)
		var members featureMembers
		if err := d.json.Decode(&members); err != nil {
			return asFault(err, pointer, "is not a feature")
		}
		if err := d.feature(members, pointer); err != nil {
			return err
		}
	}
	_, err := d.json.Token()
	return err
}

type featureMembers struct {
	Type       string          `json:"type"`
	ID         json.RawMessage `json:"id"`
	Properties json.RawMessage `json:"properties"`
	Geometry   json.RawMessage `json:"geometry"`
}

type geometryMembers struct {
	Type        string            `json:"type"`
	Coordinates json.RawMessage   `json:"coordinates"`
	Geometries  []geometryMembers `json:"geometries"`
}

func (d *decoder) feature(members featureMembers, pointer string) error {
	if members.Type != "Feature" {
		return &Fault{Pointer: pointer + "/type", Message: `must be "Feature"`}
	}
	if first := firstByte(members.ID); first != 0 && first != '"' && first != '-' && (first < '0' || first > '9') && first != 'n' {
		return &Fault{Pointer: pointer + "/id", Message: "must be a string or a number"}
	}
	if first := firstByte(members.Properties); first != 0 && first != '{' && first != 'n' {
		return &Fault{Pointer: pointer + "/properties", Message: "must be an object or null"}
	}
	feature := Feature{ID: notNull(members.ID), Properties: notNull(members.Properties), Pointer: pointer}
	if raw := notNull(members.Geometry); raw != nil {
		at := pointer + "/geometry"
		var geometry geometryMembers
		if err := json.Unmarshal(raw, &geometry); err != nil {
			return asFault(err, at, "is not a geometry")
		}
		var err error
		if feature.Geometry, err = d.valid(geometry, at); err != nil {
			return err
		}
	}
	d.layer.Features = append(d.layer.Features, feature)
	return nil
}

// valid builds a geometry, checks it and cuts it at the antimeridian.
func (d *decoder) valid(members geometryMembers, pointer string) (geom.Geometry, error) {
	shape, err := d.geometry(members, pointer, 0)
	if err != nil {
		return geom.Geometry{}, err
	}
	if err := shape.Validate(); err != nil {
		return geom.Geometry{}, &Fault{Pointer: pointer, Message: "is not valid: " + err.Error()}
	}
	shape, err = Wrap(shape)
	if err != nil {
		return geom.Geometry{}, &Fault{Pointer: pointer, Message: err.Error()}
	}
	return shape, nil
}

// asFault turns an error about the shape of a JSON value into a fault; an
// error about the JSON itself, after which nothing can be read, stays.
func asFault(err error, pointer, message string) error {
	var mistyped *json.UnmarshalTypeError
	if errors.As(err, &mistyped) {
		return &Fault{Pointer: pointer, Message: fmt.Sprintf("%s: member %q cannot be a JSON %s", message, mistyped.Field, mistyped.Value)}
	}
	return err
}

func isCRS84(raw json.RawMessage) bool {
	var crs *struct {
		Properties struct {
			Name string `json:"name"`
		} `json:"properties"`
	}
	if err := json.Unmarshal(raw, &crs); err != nil {
		return false
	}
	known := []string{"urn:ogc:def:crs:OGC:1.3:CRS84", "urn:ogc:def:crs:OGC::CRS84", "OGC:CRS84", "EPSG:4326", "urn:ogc:def:crs:EPSG::4326"}
	return crs == nil || slices.Contains(known, crs.Properties.Name)
}

func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

func notNull(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return nil
	}
	return raw
}

func firstByte(raw json.RawMessage) byte {
	if len(raw) == 0 {
		return 0
	}
	return raw[0]
}
