package api

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"
)

// FuzzTextThatIsNotUTF8IsRefused compares with unicode/utf8, whatever the
// pieces in which a body is read.
func FuzzTextThatIsNotUTF8IsRefused(f *testing.F) {
	for _, s := range []string{"", "a", "ä", "€", "😀", "a😀b", "\xff", "a\xc3", "\xe2\x82", "\xf0\x9f\x98", "\xed\xa0\x80", "\xc0\x80", "\xf4\x90\x80\x80",
		"ä\x80", "\x80\x80\x80\x80", "x\xf0\x9fä", strings.Repeat("ä", 700) + "\xc3"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := checkUTF8(b); (err == nil) != utf8.Valid(b) {
			t.Errorf("checkUTF8(%q) = %v", b, err)
		}
		for name, src := range map[string]io.Reader{
			"whole": bytes.NewReader(b), "bytes": iotest.OneByteReader(bytes.NewReader(b)), "halves": iotest.HalfReader(bytes.NewReader(b)),
			"with the end": iotest.DataErrReader(bytes.NewReader(b)),
		} {
			got, err := io.ReadAll(&utf8Reader{src: src})
			if (err == nil) != utf8.Valid(b) || err == nil && !bytes.Equal(got, b) {
				t.Errorf("%s: %q read as %q, %v", name, b, got, err)
			}
			if _, ok := errors.AsType[*syntaxError](err); err != nil && !ok {
				t.Errorf("%s: %T", name, err)
			}
		}
	})
}
