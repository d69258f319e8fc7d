package api

import (
	"errors"
	"io"
	"unicode/utf8"
)

// notUTF8 is what a body in another encoding, or a damaged one, is refused with.
// JSON that is exchanged is UTF-8 (RFC 8259, section 8.1), and what a process
// is given it may give back: other bytes would make our own replies unreadable.
func notUTF8(offset int64) error { return &syntaxError{offset, "text that is not UTF-8"} }

// checkUTF8 fails with a *syntaxError at the first byte that is not UTF-8.
func checkUTF8(text []byte) error {
	if utf8.Valid(text) {
		return nil
	}
	at := 0
	for {
		c, size := utf8.DecodeRune(text[at:])
		if c == utf8.RuneError && size <= 1 {
			return notUTF8(int64(at))
		}
		at += size
	}
}

// utf8Reader fails with a *syntaxError near the first bytes that are not UTF-8.
type utf8Reader struct {
	src    io.Reader
	offset int64
	part   [utf8.UTFMax]byte // the start of a character that the last read cut
	cut    int
}

func (r *utf8Reader) Read(p []byte) (int, error) {
	n, err := r.src.Read(p)
	if !r.valid(p[:n]) || r.cut > 0 && errors.Is(err, io.EOF) {
		return 0, notUTF8(r.offset)
	}
	r.offset += int64(n)
	return n, err
}

// valid checks the next bytes. It keeps a character of which they hold only the
// start, for the next call.
func (r *utf8Reader) valid(b []byte) bool {
	for r.cut > 0 && len(b) > 0 {
		r.part[r.cut] = b[0]
		r.cut++
		b = b[1:]
		if utf8.FullRune(r.part[:r.cut]) {
			if !utf8.Valid(r.part[:r.cut]) {
				return false
			}
			r.cut = 0
		}
	}
	end := len(b)
	for back := 1; back < utf8.UTFMax && back <= len(b); back++ {
		if utf8.RuneStart(b[len(b)-back]) {
			if !utf8.FullRune(b[len(b)-back:]) {
				end = len(b) - back
			}
			break
		}
	}
	r.cut += copy(r.part[r.cut:], b[end:])
	return utf8.Valid(b[:end])
}

// CheckInput is CheckJSON for what comes from outside, which is to be UTF-8 too.
func CheckInput(r io.Reader) error { return CheckJSON(&utf8Reader{src: r}) }
