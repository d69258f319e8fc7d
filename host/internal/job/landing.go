package job

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"unicode/utf8"
)

// landing is a writer that keeps up to inlineMax bytes in memory, and more in a
// file.
type landing struct {
	name string        // of the file
	left *atomic.Int64 // bytes that it and others may still take; nil: no limit
	text []byte
	file *os.File
	size int64
}

// Write implements io.Writer. It fails with errFetchSize beyond the limit.
func (l *landing) Write(p []byte) (int, error) {
	if l.left != nil && l.left.Add(-int64(len(p))) < 0 {
		return 0, errFetchSize
	}
	l.size += int64(len(p))
	if l.file == nil && l.size <= inlineMax {
		l.text = append(l.text, p...)
		return len(p), nil
	}
	if l.file == nil {
		if err := l.open(); err != nil {
			return 0, err
		}
	}
	n, err := l.file.Write(p)
	if err != nil {
		err = fmt.Errorf("write input file: %w", err)
	}
	return n, err
}

func (l *landing) open() (err error) {
	if err := os.MkdirAll(filepath.Dir(l.name), 0o700); err != nil {
		return fmt.Errorf("make input directory: %w", err)
	}
	if l.file, err = os.OpenFile(l.name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return fmt.Errorf("create input file: %w", err)
	}
	if _, err := l.file.Write(l.text); err != nil {
		return fmt.Errorf("write input file: %w", err)
	}
	l.text = nil
	return nil
}

// close returns what was written: Data, which is not nil, or a File.
func (l *landing) close() (Value, error) {
	if l.file == nil {
		return Value{Data: append([]byte{}, l.text...)}, nil
	}
	if err := l.file.Close(); err != nil {
		return Value{}, fmt.Errorf("write input file: %w", err)
	}
	return Value{File: l.name, Size: l.size}, nil
}

var errNotText = errors.New("text is not UTF-8")

// quoteBuffer is how much of a text is quoted at a time, in bytes.
const quoteBuffer = 32 << 10

// quote writes UTF-8 text as a JSON string, a piece at a time. It fails with
// errNotText.
func quote(w io.Writer, r io.Reader) error {
	in, out := make([]byte, quoteBuffer), make([]byte, 0, 2*quoteBuffer)
	out = append(out, '"')
	kept := 0 // bytes of a character that the last piece cut
	for {
		n, err := r.Read(in[kept:])
		piece := in[:kept+n]
		if err != nil && err != io.EOF {
			return err
		}
		whole := len(piece)
		if err == nil {
			whole -= cutOff(piece)
		}
		if !utf8.Valid(piece[:whole]) {
			return errNotText
		}
		out = appendQuoted(out, piece[:whole])
		if err == io.EOF {
			out = append(out, '"')
		}
		if _, e := w.Write(out); e != nil || err == io.EOF {
			return e
		}
		out = out[:0]
		kept = copy(in, piece[whole:])
	}
}

// cutOff returns how many bytes at the end of b are the start of a character
// that goes on.
func cutOff(b []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		if c := b[len(b)-n:]; utf8.RuneStart(c[0]) {
			if utf8.FullRune(c) {
				return 0
			}
			return n
		}
	}
	return 0
}

// appendQuoted appends text with the escapes of a JSON string.
func appendQuoted(out, text []byte) []byte {
	const digits = "0123456789abcdef"
	from := 0
	for i, c := range text {
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		out = append(out, text[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			out = append(out, '\\', c)
		case '\n':
			out = append(out, '\\', 'n')
		default:
			out = append(out, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		}
	}
	return append(out, text[from:]...)
}
