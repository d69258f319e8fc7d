package job

import (
	"bytes"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// appendCanonical appends text, which is valid JSON, in a form that is the same
// for equal values and for no others: without white space, members of objects
// sorted by name, strings unescaped as far as may be, numbers as digits and a
// power of ten (1, 1.0 and 10e-1 are one number; 0 and -0, or two decimals that
// a float64 cannot tell apart, are not). What a name given twice means is the
// reader's affair: both members stay, in their order.
func appendCanonical(dst, text []byte) []byte {
	c := canonical{text: text, dst: dst}
	c.value()
	return c.dst
}

// canonical reads text from at and writes to dst.
type canonical struct {
	text []byte
	at   int
	dst  []byte
}

func (c *canonical) space() {
	for c.at < len(c.text) && c.text[c.at] <= ' ' {
		c.at++
	}
}

func (c *canonical) value() {
	c.space()
	switch b := c.text[c.at]; {
	case b == '{':
		c.object()
	case b == '[':
		c.array()
	case b == '"':
		c.string()
	case b == '-' || b >= '0' && b <= '9':
		c.number()
	default: // true, false or null
		for c.at < len(c.text) && c.text[c.at] >= 'a' && c.text[c.at] <= 'z' {
			c.dst = append(c.dst, c.text[c.at])
			c.at++
		}
	}
}

func (c *canonical) array() {
	c.dst = append(c.dst, '[')
	c.at++
	for c.next(']') {
		c.value()
		c.dst = append(c.dst, ',')
	}
	c.dst = append(c.dst, ']')
}

// next goes on to the next element, or past the end, of an array or object.
func (c *canonical) next(end byte) bool {
	c.space()
	switch c.text[c.at] {
	case end:
		c.at++
		return false
	case ',':
		c.at++
		c.space()
	}
	return true
}

func (c *canonical) object() {
	c.dst = append(c.dst, '{')
	c.at++
	start := len(c.dst)
	var members []member
	for c.next('}') {
		from := len(c.dst)
		c.string()
		named := len(c.dst)
		c.space()
		c.at++ // the colon
		c.value()
		c.dst = append(c.dst, ',')
		members = append(members, member{from - start, named - start, len(c.dst) - start})
	}
	all := bytes.Clone(c.dst[start:])
	slices.SortStableFunc(members, func(a, b member) int {
		return bytes.Compare(all[a.from:a.named], all[b.from:b.named])
	})
	c.dst = c.dst[:start]
	for _, m := range members {
		c.dst = append(c.dst, all[m.from:m.to]...)
	}
	c.dst = append(c.dst, '}')
}

// member is where the name and value of an object's member are.
type member struct{ from, named, to int }

// string writes the characters, with a backslash before quotes and backslashes.
func (c *canonical) string() {
	c.dst = append(c.dst, '"')
	for c.at++; c.text[c.at] != '"'; c.at++ {
		b := c.text[c.at]
		if b != '\\' {
			c.dst = append(c.dst, b)
			continue
		}
		c.at++
		switch b = c.text[c.at]; b {
		case 'u':
			c.escaped()
		case '"', '\\':
			c.dst = append(c.dst, '\\', b)
		default:
			c.dst = append(c.dst, plain(b))
		}
	}
	c.at++
	c.dst = append(c.dst, '"')
}

// plain returns the character of a short escape.
func plain(b byte) byte {
	switch b {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return b
}

// escaped writes the character of \uXXXX, or of two of them. Half a pair, which
// is no character, becomes the three bytes that it would have if it were one.
func (c *canonical) escaped() {
	r := c.hex(c.at + 1)
	c.at += 4
	if utf16.IsSurrogate(r) && c.at+6 < len(c.text) && c.text[c.at+1] == '\\' && c.text[c.at+2] == 'u' {
		if pair := utf16.DecodeRune(r, c.hex(c.at+3)); pair != utf8.RuneError {
			r = pair
			c.at += 6
		}
	}
	switch {
	case r == '"' || r == '\\':
		c.dst = append(c.dst, '\\', byte(r))
	case utf16.IsSurrogate(r):
		c.dst = append(c.dst, 0xe0|byte(r>>12), 0x80|byte(r>>6&0x3f), 0x80|byte(r&0x3f))
	default:
		c.dst = utf8.AppendRune(c.dst, r)
	}
}

func (c *canonical) hex(at int) rune {
	n, _ := strconv.ParseUint(string(c.text[at:at+4]), 16, 16) // valid JSON
	return rune(n)
}

// number writes the digits that count, and the power of ten.
func (c *canonical) number() {
	from := c.at
	for c.at < len(c.text) && bytes.IndexByte([]byte("+-.0123456789eE"), c.text[c.at]) >= 0 {
		c.at++
	}
	text := c.text[from:c.at]
	digits, power, scientific := bytes.Cut(bytes.ToLower(text), []byte{'e'})
	exponent := int64(0)
	if scientific {
		n, err := strconv.ParseInt(string(power), 10, 32)
		if err != nil { // of a size that nobody calculates with
			c.dst = append(c.dst, text...)
			return
		}
		exponent = n
	}
	if digits[0] == '-' {
		c.dst = append(c.dst, '-')
		digits = digits[1:]
	}
	whole, fraction, _ := bytes.Cut(digits, []byte{'.'})
	exponent -= int64(len(fraction))
	all := bytes.TrimLeft(slices.Concat(whole, fraction), "0")
	counting := bytes.TrimRight(all, "0")
	if len(counting) == 0 {
		c.dst = append(c.dst, '0')
		return
	}
	exponent += int64(len(all) - len(counting))
	c.dst = append(c.dst, counting...)
	c.dst = append(c.dst, 'e')
	c.dst = strconv.AppendInt(c.dst, exponent, 10)
}
