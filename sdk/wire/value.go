package wire

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"geomill/proto/processv1"
)

// The bounds of the values of one job.
const (
	// maxInlineTotal is how much of all values of one message travels
	// inline, in bytes; the rest crosses as files.
	maxInlineTotal = 512 << 10
	// maxValues is how many outputs a job may have.
	maxValues = 1024
	// maxOutputBytes is how much of the outputs of one job may travel
	// inline, however many messages the plugin makes of it.
	maxOutputBytes = 64 << 20
)

// octetStream is the media type of bytes without one, which as a file could
// not be told from JSON.
const octetStream = "application/octet-stream"

// valueOverhead is what a value costs on the wire beside its bytes, roughly.
const valueOverhead = 32

// valuesToWire converts values that go out. What is larger than inlineMax, or
// does not fit any more, is written to files of the directory sub. It also
// returns the size of the result on the wire, in bytes, roughly.
func valuesToWire(d *jobDir, sub string, values Values, inlineMax int) ([]*processv1.Value, int, error) {
	if len(values) == 0 {
		return nil, 0, nil
	}
	ws := make([]*processv1.Value, 0, len(values))
	room, size := maxInlineTotal, 0
	for _, n := range values {
		id, v := n.ID, n.Value
		if !utf8.ValidString(id) || !utf8.ValidString(v.MediaType) {
			return nil, 0, fmt.Errorf("%q: id and media type must be UTF-8", id)
		}
		limit := min(inlineMax, room)
		w, err := valueToWire(d, sub, id, v, limit)
		if err != nil {
			return nil, 0, fmt.Errorf("%q: %w", id, err)
		}
		inline := inlineSize(w)
		room -= inline
		size += inline + len(id) + len(w.MediaType) + valueOverhead
		w.Id = id
		ws = append(ws, w)
	}
	return ws, size, nil
}

func valueToWire(d *jobDir, sub, id string, v Value, limit int) (*processv1.Value, error) {
	if v.File != "" {
		rel, err := d.rel(v.File)
		if err != nil {
			return nil, err
		}
		return fileToWire(d, rel, v.MediaType)
	}
	data := v.Data
	if v.JSON != nil {
		data = v.JSON
	} else if data == nil {
		return nil, fmt.Errorf("value is empty: neither JSON nor bytes nor a file")
	} else if v.MediaType == "" {
		v.MediaType = octetStream
	}
	if len(data) > limit {
		rel, err := d.write(sub, id, data)
		if err != nil {
			return nil, err
		}
		return fileToWire(d, rel, v.MediaType)
	}
	w := &processv1.Value{MediaType: v.MediaType}
	if v.JSON != nil {
		w.Kind = &processv1.Value_Json{Json: data}
	} else {
		w.Kind = &processv1.Value_Data{Data: data}
	}
	return w, nil
}

func fileToWire(d *jobDir, rel, mediaType string) (*processv1.Value, error) {
	size, err := d.size(rel)
	if err != nil {
		return nil, err
	}
	file := &processv1.File{Path: rel, Size: uint64(size)}
	return &processv1.Value{MediaType: mediaType, Kind: &processv1.Value_File{File: file}}, nil
}

// valueFromWire checks and converts a value that came in. Its errors say what
// the other end did wrong.
func valueFromWire(d *jobDir, w *processv1.Value) (Value, error) {
	v := Value{MediaType: w.GetMediaType()}
	switch k := w.GetKind().(type) {
	case *processv1.Value_Json:
		if !json.Valid(k.Json) {
			return Value{}, fmt.Errorf("value is not valid JSON: %.60q", k.Json)
		}
		v.JSON = k.Json
	case *processv1.Value_Data:
		v.Data = k.Data
		if v.Data == nil {
			v.Data = []byte{}
		}
		if v.MediaType == "" {
			v.MediaType = octetStream
		}
	case *processv1.Value_File:
		size, err := d.size(k.File.GetPath())
		if err != nil {
			return Value{}, err
		}
		if uint64(size) != k.File.GetSize() {
			return Value{}, fmt.Errorf("file %.200q has %d bytes, not %d as announced", k.File.GetPath(), size, k.File.GetSize())
		}
		v.File, v.Size = d.abs(k.File.GetPath()), size
	default:
		return Value{}, fmt.Errorf("value is of no known kind")
	}
	return v, nil
}

func inlineSize(w *processv1.Value) int {
	switch k := w.GetKind().(type) {
	case *processv1.Value_Json:
		return len(k.Json)
	case *processv1.Value_Data:
		return len(k.Data)
	default:
		return 0
	}
}
