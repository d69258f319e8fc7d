package api

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"unicode/utf8"

	"geomill/host/internal/job"
)

// encoding says how the bytes of a value enter a body.
type encoding int

const (
	verbatim encoding = iota // as they are
	inBase64
	escaped // escaped, for between the quotes of a JSON string
	// A JSON array, whose elements are put into objects of their own. Strings
	// among them are of the value's media type, if it has one: text, or base64.
	wrapped
	wrappedBase64
)

// content is a body that is put together from text and values. Values in memory
// become text at once; files are copied when the content is sent, so that memory
// does not grow with them. Its length is known beforehand.
type content struct {
	pieces []piece
	tail   []byte // text after the last file
	size   int64  // of pieces, in bytes
}

// piece is text, and a file after it.
type piece struct {
	text []byte
	file job.Value
	enc  encoding
}

func (c *content) text(s string) { c.tail = append(c.tail, s...) }

// value adds the bytes of a value.
func (c *content) value(v job.Value, enc encoding) error {
	if v.File != "" {
		size, err := encodedSize(v, enc)
		if err != nil {
			return err
		}
		c.size += int64(len(c.tail)) + size
		c.pieces = append(c.pieces, piece{c.tail, v, enc})
		c.tail = nil
		return nil
	}
	b := v.Data
	if b == nil {
		b = v.JSON
	}
	switch enc {
	case verbatim:
		c.tail = append(c.tail, b...)
	case inBase64:
		c.tail = base64.StdEncoding.AppendEncode(c.tail, b)
	case escaped:
		c.tail, _ = appendEscaped(c.tail, b, true)
	case wrapped, wrappedBase64:
		var out bytes.Buffer
		if _, err := newWrapper(&out, v.MediaType, enc == wrappedBase64).Write(b); err != nil {
			return err
		}
		c.tail = append(c.tail, out.Bytes()...)
	}
	return nil
}

// encodedSize returns the length of a file once encoded. How much escaping and
// wrapping take is found by doing it.
func encodedSize(v job.Value, enc encoding) (int64, error) {
	switch enc {
	case inBase64:
		return (v.Size + 2) / 3 * 4, nil
	case escaped, wrapped, wrappedBase64:
		var n counter
		err := copyValue(&n, v, enc)
		return int64(n), err
	}
	return v.Size, nil
}

// counter counts what is written to it.
type counter int64

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}

func (c *content) length() int64 { return c.size + int64(len(c.tail)) }

// send answers 200 with the content.
func (c *content) send(w http.ResponseWriter, mediaType string) error {
	h := w.Header()
	h.Set("Content-Type", mediaType)
	h.Set("Content-Length", strconv.FormatInt(c.length(), 10))
	w.WriteHeader(http.StatusOK)
	if e, ok := w.(*exchange); ok && e.head {
		return nil
	}
	return c.write(w)
}

// write writes the content.
func (c *content) write(w io.Writer) error {
	for _, p := range c.pieces {
		if _, err := w.Write(p.text); err != nil {
			return err
		}
		if err := copyValue(w, p.file, p.enc); err != nil {
			return err
		}
	}
	_, err := w.Write(c.tail)
	return err
}

// copyValue writes a file value, encoded. It fails when the file does not have
// the size that the value says.
func copyValue(w io.Writer, v job.Value, enc encoding) error {
	src, err := v.Open()
	if err != nil {
		return fmt.Errorf("open output: %w", err)
	}
	defer src.Close()
	dst := w
	var closer io.Closer
	switch enc {
	case inBase64:
		e := base64.NewEncoder(base64.StdEncoding, w)
		dst, closer = e, e
	case escaped:
		e := &escaper{w: w}
		dst, closer = e, e
	case wrapped, wrappedBase64:
		dst = newWrapper(w, v.MediaType, enc == wrappedBase64)
	}
	n, err := io.Copy(dst, io.LimitReader(src, v.Size))
	if err == nil && n != v.Size {
		err = io.ErrUnexpectedEOF
	}
	if err == nil && closer != nil {
		err = closer.Close()
	}
	if err != nil {
		return fmt.Errorf("copy output: %w", err)
	}
	return nil
}

// escaper escapes what is written to it for a JSON string.
type escaper struct {
	w    io.Writer
	rest []byte // the start of a rune that goes on in the next write
	out  []byte
}

func (e *escaper) Write(b []byte) (int, error) { return len(b), e.write(b, false) }

// Close writes what a broken last rune becomes.
func (e *escaper) Close() error { return e.write(nil, true) }

func (e *escaper) write(b []byte, last bool) error {
	src := b
	if len(e.rest) > 0 {
		src = append(e.rest, b...)
	}
	var left int
	e.out, left = appendEscaped(e.out[:0], src, last)
	e.rest = append([]byte(nil), src[len(src)-left:]...)
	_, err := e.w.Write(e.out)
	return err
}

// appendEscaped appends src as the inside of a JSON string. What is not UTF-8
// becomes U+FFFD, as encoding/json has it. Unless src is the last part, an
// incomplete rune at its end is left; left is its length.
func appendEscaped(dst, src []byte, last bool) (out []byte, left int) {
	for {
		run := src[:plain(src)]
		src = src[len(run):]
		if utf8.Valid(run) {
			dst = append(dst, run...)
		} else {
			for len(run) > 0 {
				if !last && len(src) == 0 && !utf8.FullRune(run) {
					return dst, len(run)
				}
				r, size := utf8.DecodeRune(run)
				dst, run = utf8.AppendRune(dst, r), run[size:]
			}
		}
		if len(src) == 0 {
			return dst, 0
		}
		dst, src = appendEscape(dst, src[0]), src[1:]
	}
}

// appendEscape appends a quote, a backslash or a control character.
func appendEscape(dst []byte, c byte) []byte {
	const hex = "0123456789abcdef"
	switch {
	case c == '"' || c == '\\':
		return append(dst, '\\', c)
	case c == '\n':
		return append(dst, '\\', 'n')
	case c == '\r':
		return append(dst, '\\', 'r')
	case c == '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}
