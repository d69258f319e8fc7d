package api

import (
	"encoding/binary"
	"math/bits"
)

// text scans a string after its opening quote.
func (s *scanner) text() error {
	for {
		s.pos += plain(s.buf[s.pos:])
		if !s.more() {
			return s.unexpected()
		}
		switch s.buf[s.pos] {
		case '"':
			s.pos++
			return nil
		case '\\':
			s.pos++
			if err := s.escape(); err != nil {
				return err
			}
		default:
			if s.buf[s.pos] < ' ' {
				return s.fail("control character in a string")
			}
		}
	}
}

func (s *scanner) escape() error {
	if !s.more() {
		return s.unexpected()
	}
	switch s.buf[s.pos] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.pos++
		return nil
	case 'u':
		s.pos++
		for range 4 {
			if !s.more() || !isHex(s.buf[s.pos]) {
				return s.unexpected()
			}
			s.pos++
		}
		return nil
	}
	return s.unexpected()
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// plain returns how many leading bytes of b are neither a quote, nor a
// backslash, nor a control character. It looks at eight bytes at a time: a byte
// of m has its high bit set if the byte of x is one of those, exactly so for the
// lowest.
func plain(b []byte) int {
	const (
		ones  = 0x0101010101010101
		highs = 0x8080808080808080
	)
	i := 0
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		quote, slash := x^(ones*'"'), x^(ones*'\\')
		m := ((quote-ones)&^quote | (slash-ones)&^slash | (x-ones*' ')&^x) & highs
		if m != 0 {
			return i + bits.TrailingZeros64(m)/8
		}
	}
	for ; i < len(b); i++ {
		if c := b[i]; c == '"' || c == '\\' || c < ' ' {
			break
		}
	}
	return i
}

// number scans -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?
func (s *scanner) number() error {
	if s.buf[s.pos] == '-' {
		s.pos++
	}
	if s.more() && s.buf[s.pos] == '0' {
		s.pos++
	} else if !s.digits() {
		return s.unexpected()
	}
	if s.more() && s.buf[s.pos] == '.' {
		s.pos++
		if !s.digits() {
			return s.unexpected()
		}
	}
	if s.more() && (s.buf[s.pos] == 'e' || s.buf[s.pos] == 'E') {
		s.pos++
		if s.more() && (s.buf[s.pos] == '+' || s.buf[s.pos] == '-') {
			s.pos++
		}
		if !s.digits() {
			return s.unexpected()
		}
	}
	return nil
}

// digits skips digits and reports whether there was one.
func (s *scanner) digits() bool {
	some := false
	for s.more() {
		i := s.pos
		for i < len(s.buf) && '0' <= s.buf[i] && s.buf[i] <= '9' {
			i++
		}
		some = some || i > s.pos
		s.pos = i
		if i < len(s.buf) {
			break
		}
	}
	return some
}

func (s *scanner) literal(word string) error {
	for i := range len(word) {
		if !s.more() || s.buf[s.pos] != word[i] {
			return s.unexpected()
		}
		s.pos++
	}
	return nil
}
