// Package decode reads JSON that anybody may have written, within limits.
package decode

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Limits of JSON.
const (
	// MaxDepth is how deep arrays and objects may nest.
	MaxDepth = 1000
	// MaxDigits limits the text of a number, and the size of its exponent:
	// exact arithmetic on more is a burden nobody needs.
	MaxDigits = 400
)

// JSON reads exactly one JSON value: objects as map[string]any, arrays as
// []any, numbers as json.Number. Its errors are fit for a client.
func JSON(raw []byte) (any, error) {
	numbers, err := scan(raw)
	if err != nil {
		return nil, err
	}
	var v any
	if !numbers {
		// A decoder would copy the text, which may be one very long string.
		if err := json.Unmarshal(raw, &v); err != nil {
			return nil, notJSON(err)
		}
		return v, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, notJSON(err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("is not valid JSON: something follows the value")
	}
	return v, nil
}

func notJSON(err error) error {
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("is not valid JSON: %v (byte %d)", syntax, syntax.Offset)
	case errors.Is(err, io.EOF):
		return errors.New("is not valid JSON: it is empty")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("is not valid JSON: it ends too early")
	}
	return errors.New("is not valid JSON")
}

// scan refuses what is too deep or has too long numbers, before memory is
// spent on it, and tells whether there are numbers at all. It leaves
// everything else about the syntax to the decoder.
func scan(raw []byte) (numbers bool, err error) {
	depth := 0
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '"':
			i = endOfString(raw, i)
		case c == '[' || c == '{':
			if depth++; depth > MaxDepth {
				return false, fmt.Errorf("is nested more than %d levels deep", MaxDepth)
			}
		case c == ']' || c == '}':
			depth--
		case c == '-' || c >= '0' && c <= '9':
			end, modest := number(raw, i)
			if !modest {
				return false, fmt.Errorf("has a number of more than %d digits (byte %d)", MaxDigits, i)
			}
			numbers, i = true, end-1
		}
	}
	return numbers, nil
}

// endOfString returns the index of the quote that closes the one at i, or
// len(raw).
func endOfString(raw []byte, i int) int {
	for {
		n := bytes.IndexByte(raw[i+1:], '"')
		if n < 0 {
			return len(raw)
		}
		from := i + 1
		i = from + n
		slashes := 0
		for j := i - 1; j >= from && raw[j] == '\\'; j-- {
			slashes++
		}
		if slashes%2 == 0 {
			return i
		}
	}
}

// number returns where the number at i ends, and whether it stays within
// MaxDigits.
func number(raw []byte, i int) (end int, modest bool) {
	exponent := -1
	for end = i; end < len(raw); end++ {
		c := raw[end]
		if c == 'e' || c == 'E' {
			exponent = end + 1
		} else if (c < '0' || c > '9') && c != '-' && c != '+' && c != '.' {
			break
		}
	}
	if end-i > MaxDigits {
		return end, false
	}
	if exponent < 0 {
		return end, true
	}
	n, err := strconv.Atoi(string(raw[exponent:end]))
	if errors.Is(err, strconv.ErrSyntax) {
		return end, true // for the decoder to refuse
	}
	return end, err == nil && n <= MaxDigits && n >= -MaxDigits
}
