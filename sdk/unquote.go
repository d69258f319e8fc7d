package sdk

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// corrupt is an input whose content is not what its schema says.
type corrupt string

func (c corrupt) Error() string { return string(c) }

const errNotString = corrupt("is not a JSON string")

// unquoter reads the text of a JSON string from its JSON form, a piece at a
// time, so that a string of any length can become a file.
type unquoter struct {
	from    *bufio.Reader
	started bool
	done    bool
	rest    []byte // of a decoded escape
	scratch [utf8.UTFMax]byte
}

func newUnquoter(r io.Reader) *unquoter { return &unquoter{from: bufio.NewReaderSize(r, 32<<10)} }

// Read implements io.Reader.
func (u *unquoter) Read(p []byte) (n int, err error) {
	if !u.started {
		if err := u.open(); err != nil {
			return 0, err
		}
	}
	for n < len(p) && !u.done {
		if len(u.rest) > 0 {
			c := copy(p[n:], u.rest)
			u.rest, n = u.rest[c:], n+c
			continue
		}
		c, err := u.from.ReadByte()
		if err != nil {
			return n, ended(err)
		}
		switch {
		case c == '"':
			u.done = true
		case c == '\\':
			if err := u.escape(); err != nil {
				return n, err
			}
		case c < ' ':
			return n, errNotString
		default:
			p[n] = c
			n++
			n += u.plain(p[n:])
		}
	}
	if n == 0 && u.done && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// plain copies what is in memory already and needs no decoding.
func (u *unquoter) plain(p []byte) int {
	run, _ := u.from.Peek(min(len(p), u.from.Buffered())) // never short
	for i, c := range run {
		if c == '"' || c == '\\' || c < ' ' {
			run = run[:i]
			break
		}
	}
	_, _ = u.from.Discard(len(run))
	return copy(p, run)
}

// open skips white space and the first quote.
func (u *unquoter) open() error {
	for {
		c, err := u.from.ReadByte()
		if err != nil {
			return ended(err)
		}
		switch c {
		case ' ', '\t', '\r', '\n':
		case '"':
			u.started = true
			return nil
		default:
			return errNotString
		}
	}
}

func (u *unquoter) escape() error {
	c, err := u.from.ReadByte()
	if err != nil {
		return ended(err)
	}
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		return u.unicode()
	default:
		return errNotString
	}
	u.rest = append(u.scratch[:0], c)
	return nil
}

// unicode decodes what follows \u, and a second half if there is one. Halves
// on their own become U+FFFD, as in encoding/json.
func (u *unquoter) unicode() error {
	var digits [4]byte
	if _, err := io.ReadFull(u.from, digits[:]); err != nil {
		return ended(err)
	}
	r, ok := hex(digits[:])
	if !ok {
		return errNotString
	}
	if utf16.IsSurrogate(r) {
		r = u.secondHalf(r)
	}
	u.rest = utf8.AppendRune(u.scratch[:0], r)
	return nil
}

func (u *unquoter) secondHalf(first rune) rune {
	next, err := u.from.Peek(6)
	if err != nil || next[0] != '\\' || next[1] != 'u' {
		return utf8.RuneError
	}
	second, ok := hex(next[2:])
	pair := utf16.DecodeRune(first, second)
	if !ok || pair == utf8.RuneError {
		return utf8.RuneError
	}
	_, _ = u.from.Discard(6) // has been peeked at
	return pair
}

func hex(digits []byte) (rune, bool) {
	n, err := strconv.ParseUint(string(digits), 16, 16)
	return rune(n), err == nil
}

// ended tells a text that stops too early from one that cannot be read.
func ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errNotString
	}
	return fmt.Errorf("read string: %w", err)
}

// strictBase64 turns the errors of a base64 decoder into faults of the input.
type strictBase64 struct{ from io.Reader }

func newBase64(r io.Reader) io.Reader {
	return strictBase64{base64.NewDecoder(base64.StdEncoding, r)}
}

func (s strictBase64) Read(p []byte) (int, error) {
	n, err := s.from.Read(p)
	var bad base64.CorruptInputError
	if errors.As(err, &bad) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = corrupt("is not base64")
	}
	return n, err
}
