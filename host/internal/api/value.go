package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// form is how a single value is put into a body.
type form int

const (
	asIs        form = iota // its bytes
	asString                // text as a JSON string
	asQualified             // in a results document of its own
)

// rendering is a value as it is sent: its form, its media type, and the value,
// which differs from the output where a JSON string is sent as text.
type rendering struct {
	form      form
	mediaType string
	value     job.Value
	part      span // of the value's file, when not absent
}

// rendered is the rendering of a whole value.
func rendered(f form, mediaType string, v job.Value) (rendering, error) {
	return rendering{form: f, mediaType: mediaType, value: v}, nil
}

// render chooses the form of a value for a client (spec 4.6): JSON values as
// they are, scalars as text/plain too, text as a JSON string and anything else
// in a results document where the client reads nothing but JSON. It fails with
// 406 when no form fits.
func render(val job.Value, f *ogc.Format, a accept) (rendering, error) {
	val = undisguise(val)
	own := headerType(val)
	if isJSON(own) {
		if len(a) == 0 && f == nil {
			return rendered(asIs, own, val)
		}
		return renderJSON(val, f, a)
	}
	switch a.choose(own, mediaJSON) {
	case own:
		return rendered(asIs, own, val)
	case mediaJSON:
		if isText(own) {
			return rendered(asString, mediaJSON, val)
		}
		return rendered(asQualified, mediaJSON, val)
	}
	return rendering{}, notAcceptable(own, mediaJSON)
}

func renderJSON(val job.Value, f *ogc.Format, a accept) (rendering, error) {
	own := headerType(val)
	offers := []string{own, mediaJSON}
	if isScalar(val) {
		offers = append(offers, mediaText)
		if f != nil && sameType(f.MediaType, mediaText) {
			offers = []string{mediaText, own, mediaJSON}
		}
	}
	switch chosen := a.choose(offers...); chosen {
	case "":
		return rendering{}, notAcceptable(offers...)
	case mediaText:
		return rendered(asIs, headerText[0], textOf(val))
	default:
		return rendered(asIs, chosen, val)
	}
}

// undisguise makes text of a JSON string that has a media type of its own.
func undisguise(v job.Value) job.Value {
	if v.JSON == nil || v.MediaType == "" {
		return v
	}
	v.MediaType = headerType(v)
	if isJSON(v.MediaType) {
		return v
	}
	if v.MediaType == mediaBytes || first(v.JSON) != '"' {
		return job.Value{JSON: v.JSON}
	}
	t := textOf(v)
	t.MediaType = v.MediaType
	return t
}

// isScalar reports whether a value is a JSON string, number or boolean in
// memory.
func isScalar(v job.Value) bool {
	if v.File != "" || v.JSON == nil {
		return false
	}
	c := first(v.JSON)
	return c != '{' && c != '['
}

// textOf returns a scalar as text: the content of a string, else its JSON text.
func textOf(v job.Value) job.Value {
	data := bytes.TrimSpace(v.JSON)
	var s string
	if json.Unmarshal(data, &s) == nil && string(data) != "null" {
		data = []byte(s)
	}
	if data == nil {
		data = []byte{}
	}
	return job.Value{Data: data, MediaType: mediaText}
}

// first returns the first byte of JSON text, or 0.
func first(text []byte) byte {
	text = bytes.TrimLeft(text, " \t\r\n")
	if len(text) == 0 {
		return 0
	}
	return text[0]
}

// one answers with a single value.
func (v view) one(w http.ResponseWriter, res *job.Results, id string) error {
	r, err := render(res.Outputs[id], res.Order.Outputs[id].Format, v.accept)
	if err != nil {
		return err
	}
	if v.stored != nil {
		return serve(w, v.stored, res.Job, id, "", r)
	}
	if r.form == asIs && r.value.JSON != nil {
		h := w.Header()
		h["Content-Type"] = headerJSON
		if r.mediaType != mediaJSON {
			h["Content-Type"] = []string{r.mediaType}
		}
		h["Content-Length"] = []string{strconv.Itoa(len(r.value.JSON))}
		_, err := w.Write(r.value.JSON)
		return err
	}
	var c content
	if err := c.rendering(id, r); err != nil {
		return err
	}
	return c.send(w, r.mediaType)
}

// rendering adds a value in the form that was chosen.
func (c *content) rendering(id string, r rendering) error {
	switch r.form {
	case asString:
		return c.quotedValue(r.value)
	case asQualified:
		c.text("{")
		c.string(id)
		c.text(":")
		if err := c.qualified(r.value); err != nil {
			return err
		}
		c.text("}")
		return nil
	}
	return c.value(r.value, verbatim)
}

func (c *content) quotedValue(v job.Value) error {
	c.text(`"`)
	if err := c.value(v, escaped); err != nil {
		return err
	}
	c.text(`"`)
	return nil
}

// qualified adds a value as results documents have it (1.0 results.yaml, 2.0
// qualifiedInputValue.yaml): scalars, arrays and bounding boxes bare, the rest
// with its format.
func (c *content) qualified(v job.Value) error {
	v = undisguise(v)
	t := headerType(v)
	if isJSON(t) {
		bare, err := isBare(v)
		if err != nil {
			return err
		}
		if bare {
			return c.value(v, verbatim)
		}
		c.text(`{"value":`)
		if err := c.value(v, verbatim); err != nil {
			return err
		}
		if t != mediaJSON {
			c.text(`,"mediaType":`)
			c.string(t)
		}
		c.text("}")
		return nil
	}
	c.text("{")
	return c.qualifiedMembers(v, t)
}

// qualifiedMembers adds a value that is not JSON, with its media type, as the
// members of an object, and the object's end.
func (c *content) qualifiedMembers(v job.Value, t string) error {
	c.text(`"value":"`)
	enc := inBase64
	if isText(t) {
		enc = escaped
	}
	if err := c.value(v, enc); err != nil {
		return err
	}
	c.text(`"`)
	if enc == inBase64 {
		c.text(`,"encoding":"base64"`)
	}
	c.text(`,"mediaType":`)
	c.string(t)
	c.text("}")
	return nil
}

// string adds a JSON string.
func (c *content) string(s string) {
	c.text(`"`)
	c.tail, _ = appendEscaped(c.tail, []byte(s), true)
	c.text(`"`)
}

// link adds a reference to an output.
func (c *content) link(address, id string, v job.Value) error {
	b, err := json.Marshal(linkTo(address, id, undisguise(v)))
	if err != nil {
		return fmt.Errorf("encode link: %w", err)
	}
	c.tail = append(c.tail, b...)
	return nil
}

func linkTo(address, id string, v job.Value) ogc.Link {
	return ogc.Link{Href: address + id, Rel: ogc.RelResults, Type: headerType(v), Title: id, Length: v.Len()}
}

// maxBox is the longest JSON text, in bytes, that is looked at for a bounding
// box.
const maxBox = 1024

// isBare reports whether a JSON value stands in a results document as it is.
func isBare(v job.Value) (bool, error) {
	text := v.JSON
	if v.File != "" {
		src, err := v.Open()
		if err != nil {
			return false, fmt.Errorf("open output: %w", err)
		}
		defer src.Close()
		if text, err = io.ReadAll(io.LimitReader(src, maxBox)); err != nil {
			return false, fmt.Errorf("read output: %w", err)
		}
	}
	if first(text) != '{' {
		return true, nil
	}
	if v.Len() > maxBox {
		return false, nil
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(text, &members) != nil {
		return false, nil
	}
	box, isBox := members["bbox"]
	_, hasCRS := members["crs"]
	return isBox && first(box) == '[' && (len(members) == 1 || hasCRS && len(members) == 2), nil
}
