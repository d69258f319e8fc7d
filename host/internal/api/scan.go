package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"
)

// Limits of what the scanner reads.
const (
	maxDepth   = 1000      // arrays and objects within one another
	scanBuffer = 256 << 10 // bytes; also bounds the length of a member name

	// What is kept of a body is its inputs' names and places, and a fault for
	// each of them that is wrong.
	maxInputs    = 4096
	maxInputName = 2048 // bytes, with escapes; ids have at most 200 characters
)

// span is a section of the body, in bytes: from start up to end. The zero span
// is an absent member.
type span struct{ start, end int64 }

func (s span) absent() bool { return s.end == 0 }

// outline says where the members of an execute request are (1.0 execute.yaml).
// Unknown members are checked and forgotten. Of equal names the last counts.
type outline struct {
	inputs                              span
	inputsObject                        bool // inputs is an object
	members                             []inputSpan
	outputs, response, subscriber, mode span
}

// inputSpan is one member of inputs.
type inputSpan struct {
	id string
	span
}

// syntaxError is a body that is not an execute request at all.
type syntaxError struct {
	offset int64
	what   string
}

func (e *syntaxError) Error() string { return fmt.Sprintf("%s at byte %d", e.what, e.offset) }

// scanBytes outlines a body in memory.
func scanBytes(b []byte) (outline, error) {
	s := scanner{buf: b, mark: -1}
	err := s.document()
	return s.out, err
}

// scanReader outlines a body of any size within scanBuffer bytes of memory.
func scanReader(r io.Reader) (outline, error) {
	store := make([]byte, scanBuffer)
	s := scanner{src: r, store: store, buf: store[:0], mark: -1}
	err := s.document()
	return s.out, err
}

// CheckJSON reports whether r holds one JSON value and nothing else, up to the
// limit of nesting, within scanBuffer bytes of memory. Its error names the place,
// or is that of r.
func CheckJSON(r io.Reader) error {
	store := make([]byte, scanBuffer)
	s := scanner{src: r, store: store, buf: store[:0], mark: -1}
	if err := s.value(); err != nil {
		return err
	}
	s.peek()
	if s.more() {
		return s.fail("unexpected text after the JSON value")
	}
	return s.cause
}

// scanner checks JSON text byte by byte and accepts what encoding/json accepts,
// up to its limits. It never looks inside strings: invalid UTF-8 passes, as it
// does there.
type scanner struct {
	src   io.Reader // nil when buf holds everything
	store []byte
	buf   []byte
	pos   int   // next byte of buf
	base  int64 // offset of buf[0] in the body
	mark  int   // when not negative: fill keeps the bytes from here on
	cause error // why src ended, unless io.EOF
	depth int
	out   outline
}

func (s *scanner) offset() int64 { return s.base + int64(s.pos) }

func (s *scanner) fail(what string) error {
	if s.cause != nil {
		return s.cause
	}
	return &syntaxError{s.offset(), what}
}

func (s *scanner) unexpected() error {
	if s.pos >= len(s.buf) {
		return s.fail("unexpected end of JSON")
	}
	return s.fail("unexpected character")
}

// fill gets more bytes into buf, at least one, or reports false.
func (s *scanner) fill() bool {
	if s.src == nil || s.cause != nil {
		return false
	}
	keep := len(s.buf)
	if s.mark >= 0 {
		keep = s.mark
	}
	n := copy(s.store, s.buf[keep:])
	s.base += int64(keep)
	s.pos -= keep
	if s.mark >= 0 {
		s.mark = 0
	}
	s.buf = s.store[:n]
	if n == len(s.store) {
		s.cause = &syntaxError{s.base, "member name is too long"}
		return false
	}
	m, err := io.ReadAtLeast(s.src, s.store[n:], 1)
	s.buf = s.store[:n+m]
	if err != nil && !errors.Is(err, io.EOF) {
		s.cause = err
	}
	return m > 0
}

// more reports whether a byte is at hand.
func (s *scanner) more() bool { return s.pos < len(s.buf) || s.fill() }

// peek skips white space and returns the next byte, or 0 at the end.
func (s *scanner) peek() byte {
	if s.pos < len(s.buf) && s.buf[s.pos] > ' ' {
		return s.buf[s.pos]
	}
	for s.more() {
		switch c := s.buf[s.pos]; c {
		case ' ', '\t', '\r', '\n':
			s.pos++
		default:
			return c
		}
	}
	return 0
}

// document scans the whole body: one object and nothing after it.
func (s *scanner) document() error {
	if s.peek() != '{' {
		if s.more() {
			return s.fail("not a JSON object: unexpected character")
		}
		return s.fail("not a JSON object: unexpected end")
	}
	if err := s.object((*scanner).topMember); err != nil {
		return err
	}
	s.peek()
	if s.more() {
		return s.fail("unexpected text after the JSON object")
	}
	return s.cause
}

// topMember scans the value of a member of the execute request.
func (s *scanner) topMember(name []byte) error {
	var known *span
	inputs := false
	switch string(name) {
	case "inputs":
		known, inputs = &s.out.inputs, true
	case "outputs":
		known = &s.out.outputs
	case "response":
		known = &s.out.response
	case "subscriber":
		known = &s.out.subscriber
	case "mode":
		known = &s.out.mode
	default:
		return s.value()
	}
	c := s.peek()
	start := s.offset()
	var err error
	if inputs {
		s.out.members = s.out.members[:0]
		s.out.inputsObject = c == '{'
	}
	if inputs && c == '{' {
		err = s.object((*scanner).inputMember)
	} else {
		err = s.value()
	}
	*known = span{start, s.offset()}
	return err
}

// inputMember scans the value of a member of inputs.
func (s *scanner) inputMember(name []byte) error {
	switch {
	case len(name) > maxInputName:
		return s.fail("member name is longer than that of any input")
	case len(s.out.members) == maxInputs:
		return s.fail(fmt.Sprintf("more than %d inputs", maxInputs))
	}
	id := string(name)
	s.peek()
	start := s.offset()
	err := s.value()
	s.out.members = append(s.out.members, inputSpan{id, span{start, s.offset()}})
	return err
}

// value scans any JSON value.
func (s *scanner) value() error {
	switch c := s.peek(); {
	case c == '"':
		s.pos++
		return s.text()
	case c == '{':
		return s.object(nil)
	case c == '[':
		return s.array()
	case c == '-' || '0' <= c && c <= '9':
		return s.number()
	case c == 't':
		return s.literal("true")
	case c == 'f':
		return s.literal("false")
	case c == 'n':
		return s.literal("null")
	}
	return s.unexpected()
}

func (s *scanner) enter() error {
	s.pos++
	if s.depth++; s.depth > maxDepth {
		return s.fail(fmt.Sprintf("nested more than %d deep", maxDepth))
	}
	return nil
}

// object scans an object. member, if any, gets each decoded name and scans the
// value; the name is valid only until it does.
func (s *scanner) object(member func(*scanner, []byte) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	if s.peek() == '}' {
		s.pos++
		s.depth--
		return nil
	}
	for {
		if s.peek() != '"' {
			return s.unexpected()
		}
		s.pos++
		if err := s.member(member); err != nil {
			return err
		}
		switch s.peek() {
		case ',':
			s.pos++
		case '}':
			s.pos++
			s.depth--
			return nil
		default:
			return s.unexpected()
		}
	}
}

// member scans a name, after its opening quote, a colon and a value.
func (s *scanner) member(member func(*scanner, []byte) error) error {
	if member == nil {
		if err := s.text(); err != nil {
			return err
		}
		if err := s.colon(); err != nil {
			return err
		}
		return s.value()
	}
	s.mark = s.pos
	if err := s.text(); err != nil {
		return err
	}
	name := s.buf[s.mark : s.pos-1]
	s.mark = -1
	if s.src != nil {
		name = slices.Clone(name)
	}
	if err := s.colon(); err != nil {
		return err
	}
	return member(s, decodeName(name))
}

func (s *scanner) colon() error {
	if s.peek() != ':' {
		return s.unexpected()
	}
	s.pos++
	return nil
}

// decodeName resolves the escapes of a valid JSON string without its quotes.
func decodeName(raw []byte) []byte {
	if slices.Index(raw, '\\') < 0 && utf8.Valid(raw) {
		return raw
	}
	quoted := append(append([]byte{'"'}, raw...), '"')
	var name string
	if err := json.Unmarshal(quoted, &name); err != nil {
		return raw
	}
	return []byte(name)
}

func (s *scanner) array() error {
	if err := s.enter(); err != nil {
		return err
	}
	if s.peek() == ']' {
		s.pos++
		s.depth--
		return nil
	}
	for {
		if err := s.value(); err != nil {
			return err
		}
		switch s.peek() {
		case ',':
			s.pos++
		case ']':
			s.pos++
			s.depth--
			return nil
		default:
			return s.unexpected()
		}
	}
}
