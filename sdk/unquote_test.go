package sdk

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"
)

func FuzzUnquoter(f *testing.F) {
	for _, seed := range []string{`"a"`, ` "\u00e9\ud83d\ude00\ud83d\"\\\n"`, `"\ud800\u0041"`, `"open`, `1`, `"\x"`, `"\u12"`, "\"\n\""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var want string
		wantErr := json.Unmarshal(text, &want)
		got, err := io.ReadAll(newUnquoter(iotest.OneByteReader(strings.NewReader(string(text)))))
		if wantErr != nil || strings.TrimSpace(string(text)) == "null" {
			return
		}
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		// Bytes that are no UTF-8 are kept, which encoding/json does not do.
		if utf8.Valid(text) && string(got) != want {
			t.Fatalf("%q is %q, want %q", text, got, want)
		}
	})
}

func TestBase64TellsBadContentFromBadReads(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"AQI=": "", "A?": "is not base64", "AQ": "is not base64"} {
		_, err := io.ReadAll(newBase64(strings.NewReader(text)))
		message, ok := misfit(err)
		if message != want || ok != (want != "") {
			t.Errorf("%q: error %v, misfit %q", text, err, message)
		}
	}
	large := base64.StdEncoding.EncodeToString(make([]byte, 1<<20))
	if data, err := io.ReadAll(newBase64(strings.NewReader(large))); err != nil || len(data) != 1<<20 {
		t.Errorf("%d bytes, %v", len(data), err)
	}
}
