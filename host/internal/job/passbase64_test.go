package job

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

// spooled checks a request whose input of bytes has this JSON text, which is
// large.
func spooled(t *testing.T, text string) (Value, *intake) {
	t.Helper()
	in := &intake{process: testProcess(t), dir: filepath.Join(t.TempDir(), "in"), turn: make(chan struct{}, 1)}
	values, err := in.check(t.Context(), map[string]Raw{
		"name": {Text: json.RawMessage(`"n"`)}, "bytes": {Section: io.NewSectionReader(strings.NewReader(text), 0, int64(len(text)))},
	})
	if err != nil {
		t.Fatal(err)
	}
	return values["bytes"], in
}

func TestLargeBase64IsDecodedIntoItsFile(t *testing.T) {
	t.Parallel()
	want := bytes.Repeat([]byte{0xff, 0xfe, 0x3f, 7, 1}, largeInput/4)
	plain := base64.StdEncoding.EncodeToString(want)
	for name, text := range map[string]string{
		"plain":             `"` + plain + `"`,
		"escaped slashes":   `"` + strings.ReplaceAll(plain, "/", `\/`) + `"`,
		"another escape":    `"` + strings.Replace(plain, "/", `\u002f`, 1) + `"`,
		"a qualified value": `{"value":"` + plain + `","mediaType":"image/png"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, in := spooled(t, text)
			if len(in.faults) > 0 || v.MediaType != "image/png" || v.Size != int64(len(want)) {
				t.Fatalf("%+v, faults %v", v, in.faults)
			}
			if got, err := os.ReadFile(v.File); err != nil || !bytes.Equal(got, want) {
				t.Errorf("the file differs (%v)", err)
			}
		})
	}
}

func TestLargeTextThatIsNotBase64IsRefused(t *testing.T) {
	t.Parallel()
	good := strings.Repeat("aGk=", largeInput/2)
	for _, text := range []string{`"` + good + `"`, `"` + strings.Repeat("****", largeInput/2) + `"`, `"` + strings.Repeat("aGkh", largeInput/2) + `a"`, strings.Repeat("1", largeInput*2)} {
		if v, in := spooled(t, text); len(in.faults) != 1 || in.faults[0].Input != "bytes" {
			t.Errorf("%.10s: %+v, faults %v", text, v, in.faults)
		}
	}
}

// It is not parallel: it counts all memory that is allocated meanwhile.
func TestLargeBase64IsNotHeldInMemory(t *testing.T) {
	text := `"` + strings.Repeat("aGkh", 8<<20) + `"`
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	spooled(t, text)
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 2<<20 {
		t.Errorf("%d KiB were allocated for %d KiB", grown>>10, len(text)>>10)
	}
}

func TestEscapesOfSlashesAreReadAcrossReads(t *testing.T) {
	t.Parallel()
	for _, one := range []func(io.Reader) io.Reader{iotest.OneByteReader, iotest.HalfReader, iotest.DataErrReader} {
		got, err := io.ReadAll(&unescaper{from: one(strings.NewReader(`a\/\/b\/`))})
		if err != nil || string(got) != "a//b/" {
			t.Errorf("%q, %v", got, err)
		}
		if _, err := io.ReadAll(&unescaper{from: one(strings.NewReader(`a\n`))}); err != errEscaped {
			t.Errorf("another escape: %v", err)
		}
	}
}
