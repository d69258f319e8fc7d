package api

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"geomill/host/internal/job"
)

// An output with maxOccurs above one is a JSON array of its values (2.0
// /req/core/job-result-success; spec 3, "Cardinality encoding"). The values in a
// file are found and wrapped as they stream by.

// hasSeveral reports whether an output is an array of its values: its
// description says so, and it is one.
func hasSeveral(res *job.Results, id string) (bool, error) {
	if res.Process == nil {
		return false, nil
	}
	out, defined := res.Process.Outputs[id]
	if !defined || out.Max() == 1 {
		return false, nil
	}
	v := res.Outputs[id]
	if !isJSON(v.MediaType) || v.Data != nil {
		return false, nil
	}
	c, err := firstByte(v)
	return c == '[', err
}

// firstByte returns the first byte of a JSON value.
func firstByte(v job.Value) (byte, error) {
	if v.File == "" {
		return first(v.JSON), nil
	}
	src, err := v.Open()
	if err != nil {
		return 0, fmt.Errorf("open output: %w", err)
	}
	defer src.Close()
	text, err := io.ReadAll(io.LimitReader(src, maxBox))
	if err != nil {
		return 0, fmt.Errorf("read output: %w", err)
	}
	return first(text), nil
}

// formOf returns the format of the values of an output, as its schema declares
// it; of several the default one. JSON values have none.
func formOf(res *job.Results, id string) outputFormat {
	var s formatSchema
	if json.Unmarshal(res.Process.Outputs[id].Schema, &s) != nil {
		return outputFormat{}
	}
	if formats := s.formats(); len(formats) > 0 && formats[0].declared && !isJSON(formats[0].mediaType) {
		return formats[0]
	}
	return outputFormat{}
}

// occurrences adds the array of the values of an output, each as it would be
// alone: objects and what has a media type in an object of their own.
func (c *content) occurrences(res *job.Results, id string) error {
	v, f := res.Outputs[id], formOf(res, id)
	v.MediaType = f.mediaType
	if f.binary {
		return c.value(v, wrappedBase64)
	}
	return c.value(v, wrapped)
}

// wrapper puts the elements of a JSON array, which is written to it, into
// objects of their own: {"value": element}. Those that need none stay bare:
// arrays, scalars and, when suffix is empty, strings.
type wrapper struct {
	w      io.Writer
	suffix string // what follows a string in its object
	depth  int
	quoted bool // within a string
	escape bool // after a backslash
	out    []byte
}

// newWrapper makes a wrapper for the elements of a media type.
func newWrapper(w io.Writer, mediaType string, binary bool) *wrapper {
	wr := &wrapper{w: w}
	if mediaType == "" {
		return wr
	}
	var c content
	if binary {
		c.text(`,"encoding":"base64"`)
	}
	c.text(`,"mediaType":`)
	c.string(mediaType)
	c.text("}")
	wr.suffix = string(c.tail)
	return wr
}

func (w *wrapper) Write(b []byte) (int, error) {
	w.out = w.out[:0]
	for _, c := range b {
		w.next(c)
	}
	_, err := w.w.Write(w.out)
	return len(b), err
}

func (w *wrapper) next(c byte) {
	const prefix = `{"value":`
	element := w.depth == 1
	if w.quoted {
		w.out = append(w.out, c)
		switch {
		case w.escape:
			w.escape = false
		case c == '\\':
			w.escape = true
		case c == '"':
			if w.quoted = false; element {
				w.out = append(w.out, w.suffix...)
			}
		}
		return
	}
	switch c {
	case '"':
		if w.quoted = true; element && w.suffix != "" {
			w.out = append(w.out, prefix...)
		}
	case '{', '[':
		if w.depth++; element && c == '{' {
			w.out = append(w.out, prefix...)
		}
	case '}', ']':
		if w.depth--; w.depth == 1 && c == '}' {
			w.out = append(w.out, '}')
		}
	}
	w.out = append(w.out, c)
}

// element is one value of an output: a section of its text.
type element struct {
	span
	count int // of the values of the output
}

// findElement finds the value of an index in a JSON array. Without one the span is
// absent.
func findElement(v job.Value, index int) (e element, err error) {
	s := scanner{buf: v.JSON, mark: -1}
	if v.File != "" {
		src, err := v.Open()
		if err != nil {
			return e, fmt.Errorf("open output: %w", err)
		}
		defer src.Close()
		store := make([]byte, scanBuffer)
		s = scanner{src: src, store: store, buf: store[:0], mark: -1}
	}
	s.peek()
	s.pos++ // the bracket
	for s.peek() != ']' {
		start := s.offset()
		if err := s.value(); err != nil {
			return e, fmt.Errorf("read output: %w", err)
		}
		if e.count == index {
			e.span = span{start, s.offset()}
		}
		e.count++
		switch s.peek() {
		case ',':
			s.pos++
		case ']':
		default:
			return e, fmt.Errorf("read output: %w", s.unexpected())
		}
	}
	return e, nil
}

// maxDecoded is the longest text, in bytes, of which a value is made that is
// not JSON: it is decoded in memory.
const maxDecoded = 16 << 20

// value returns the element as a value of its own: what the schema says is text
// or binary without its JSON. section tells that it is the element's span of the
// file that the value names.
func (e element) value(res *job.Results, id string) (v job.Value, section bool, err error) {
	whole, f := res.Outputs[id], formOf(res, id)
	if whole.File != "" && (e.end-e.start > maxDecoded || f.mediaType == "") {
		return whole, true, nil
	}
	text := whole.JSON
	if whole.File == "" {
		text = text[e.start:e.end:e.end]
	} else if text, err = readSpan(whole.File, e.span); err != nil {
		return v, false, err
	}
	v = job.Value{JSON: text}
	if f.mediaType == "" || first(text) != '"' {
		return v, false, nil
	}
	t := textOf(v)
	t.MediaType = f.mediaType
	if f.binary {
		// What is not as its description says is shown as it is.
		if t.Data, err = base64.StdEncoding.DecodeString(string(t.Data)); err != nil {
			return v, false, nil
		}
	}
	return t, false, nil
}

func readSpan(name string, s span) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open output: %w", err)
	}
	defer file.Close()
	text := make([]byte, s.end-s.start)
	if _, err := file.ReadAt(text, s.start); err != nil {
		return nil, fmt.Errorf("read output: %w", err)
	}
	return text, nil
}
