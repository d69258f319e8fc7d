package archive

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// written is a backup of these parts, by name and content.
func written(t testing.TB, parts ...[2]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b, "1.2.3", time.Unix(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range parts {
		if err := w.Add(p[0], int64(len(p[1])), strings.NewReader(p[1])); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(len(parts)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// read returns the parts of a backup, those before an error too.
func read(backup []byte) (parts [][2]string, summary Summary, err error) {
	r, err := NewReader(bytes.NewReader(backup))
	if err != nil {
		return nil, summary, err
	}
	defer r.Close()
	for {
		p, err := r.Next()
		if err == io.EOF {
			return parts, r.Summary(), nil
		}
		if err != nil {
			return parts, summary, err
		}
		content, err := io.ReadAll(io.LimitReader(p, 1<<20))
		if err != nil {
			return parts, summary, err
		}
		parts = append(parts, [2]string{p.Name, string(content)})
	}
}

var sample = [][2]string{{"a", "one"}, {"b/c", ""}, {"d/" + strings.Repeat("long", 50), strings.Repeat("x", 5000)}}

func TestABackupIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	backup := written(t, sample...)
	parts, summary, err := read(backup)
	if err != nil || fmt.Sprint(parts) != fmt.Sprint(sample) {
		t.Errorf("got %.200v, %v", parts, err)
	}
	if summary.Parts != 3 || summary.Bytes != 5003 || summary.Jobs != 3 {
		t.Errorf("got %+v", summary)
	}
	if verified, err := Verify(bytes.NewReader(backup)); err != nil || verified != summary {
		t.Errorf("Verify without reading: %+v, %v", verified, err)
	}
}

func TestABackupThatIsCutOffIsDamaged(t *testing.T) {
	t.Parallel()
	backup := written(t, sample...)
	for n := range backup {
		if _, _, err := read(backup[:n]); err == nil {
			t.Errorf("the first %d of %d bytes are taken for a backup", n, len(backup))
		}
	}
}

// TestABackupWithAFlippedBitIsDamaged, or decompresses to the very same bytes: the
// compression has more than one way to write some.
func TestABackupWithAFlippedBitIsDamaged(t *testing.T) {
	t.Parallel()
	decompressed := func(b []byte) []byte {
		zip, err := zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil
		}
		defer zip.Close()
		content, _ := io.ReadAll(zip)
		return content
	}
	noise := make([]byte, 2000)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	backup := written(t, append(sample, [2]string{"noise", string(noise)})...)
	for n := range backup {
		altered := bytes.Clone(backup)
		altered[n] ^= 1 << (n % 8)
		if _, _, err := read(altered); err == nil && !bytes.Equal(decompressed(altered), decompressed(backup)) {
			t.Errorf("byte %d of %d, altered, goes unnoticed", n, len(backup))
		}
	}
	if _, _, err := read(append(bytes.Clone(backup), "more"...)); !errors.Is(err, ErrDamaged) {
		t.Errorf("more after the end: %v", err)
	}
}

// hand makes a backup by hand: a valid manifest, then what fill writes.
func hand(t testing.TB, fill func(w *tar.Writer)) []byte {
	t.Helper()
	var b bytes.Buffer
	zip, err := zstd.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(zip)
	put(w, &tar.Header{Name: manifestName, Typeflag: tar.TypeReg}, `{"format":1}`)
	fill(w)
	if err := errors.Join(w.Flush(), zip.Close()); err != nil {
		t.Log(err) // some are not to be whole
	}
	return b.Bytes()
}

func put(w *tar.Writer, h *tar.Header, content string) {
	if h.Size == 0 {
		h.Size = int64(len(content))
	}
	_ = w.WriteHeader(h)
	_, _ = io.WriteString(w, content)
}

func TestHostileBackupsAreRefused(t *testing.T) {
	t.Parallel()
	header := func(h tar.Header, content string) func(*tar.Writer) {
		return func(w *tar.Writer) { put(w, &h, content) }
	}
	for name, row := range map[string]struct {
		fill func(*tar.Writer)
		want string
	}{
		"parent":        {header(tar.Header{Name: "../x", Typeflag: tar.TypeReg}, "1"), "no name of a part"},
		"inner parent":  {header(tar.Header{Name: "a/../../x", Typeflag: tar.TypeReg}, "1"), "no name of a part"},
		"absolute":      {header(tar.Header{Name: "/etc/x", Typeflag: tar.TypeReg}, "1"), "no name of a part"},
		"dot":           {header(tar.Header{Name: "./x", Typeflag: tar.TypeReg}, "1"), "no name of a part"},
		"long name":     {header(tar.Header{Name: strings.Repeat("x", 2000), Typeflag: tar.TypeReg}, "1"), "no name of a part"},
		"symbolic link": {header(tar.Header{Name: "x", Typeflag: tar.TypeSymlink, Linkname: "/etc"}, ""), "not a regular file"},
		"hard link":     {header(tar.Header{Name: "x", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"}, ""), "not a regular file"},
		"directory":     {header(tar.Header{Name: "x/", Typeflag: tar.TypeDir}, ""), "not a regular file"},
		"device":        {header(tar.Header{Name: "x", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 5}, ""), "not a regular file"},
		"fifo":          {header(tar.Header{Name: "x", Typeflag: tar.TypeFifo}, ""), "not a regular file"},
		"attribute":     {header(tar.Header{Name: "x", Typeflag: tar.TypeReg, PAXRecords: map[string]string{"GEOMILL.x": "1"}}, "1"), "has an attribute"},
		"huge size":     {header(tar.Header{Name: "x", Typeflag: tar.TypeReg, Size: 1 << 60}, "1"), "damaged or cut off"},
		"no end":        {func(w *tar.Writer) { _ = w.Close() }, "its end is missing"},
		"false end":     {header(tar.Header{Name: endName, Typeflag: tar.TypeReg}, `{"parts":0,"bytes":0,"sha256":""}`), "checksum does not fit"},
		"end is a list": {header(tar.Header{Name: endName, Typeflag: tar.TypeReg}, `[]`), "end.json"},
		"huge end":      {header(tar.Header{Name: endName, Typeflag: tar.TypeReg}, strings.Repeat(" ", maxStatement+1)), "end.json has"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := read(hand(t, row.fill))
			if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, want %q", err, row.want)
			}
		})
	}
}

func TestWhatIsNoBackupIsCalledSo(t *testing.T) {
	t.Parallel()
	zipped := func(s string) []byte {
		var b bytes.Buffer
		zip, _ := zstd.NewWriter(&b)
		_, _ = io.WriteString(zip, s)
		_ = zip.Close()
		return b.Bytes()
	}
	var newer, other bytes.Buffer
	w := tar.NewWriter(&newer)
	put(w, &tar.Header{Name: manifestName, Typeflag: tar.TypeReg}, `{"format":2,"geomill":"9\u001b[2J"}`)
	w = tar.NewWriter(&other)
	put(w, &tar.Header{Name: "README", Typeflag: tar.TypeReg}, "hello")
	for name, row := range map[string]struct {
		backup []byte
		want   string
	}{
		"empty":       {nil, "this is no backup of Geomill"},
		"text":        {[]byte("hello, world, this is long enough"), "this is no backup of Geomill"},
		"zipped text": {zipped(strings.Repeat("hello", 1000)), "this is no backup of Geomill"},
		"other tar":   {zipped(other.String()), "this is no backup of Geomill"},
		"newer":       {zipped(newer.String()), `the backup has format 2, made by geomill "9\x1b[2J"; this geomill reads format 1`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, _, err := read(row.backup); err == nil || !strings.HasPrefix(err.Error(), row.want) {
				t.Errorf("got %v, want %q", err, row.want)
			}
		})
	}
}

func TestAPartOfAnotherSizeIsNotWritten(t *testing.T) {
	t.Parallel()
	w, err := NewWriter(io.Discard, "", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Add("short", 4, strings.NewReader("123")); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
	if _, err := w.Close(0); err == nil {
		t.Error("the backup is ended all the same")
	}
}

func FuzzReader(f *testing.F) {
	f.Add(written(f, sample...))
	f.Add(hand(f, func(w *tar.Writer) { put(w, &tar.Header{Name: "x", Typeflag: tar.TypeReg}, "1") }))
	f.Add([]byte("hello"))
	f.Fuzz(func(t *testing.T, backup []byte) {
		parts, summary, err := read(backup)
		if err == nil && summary.Parts != len(parts) {
			t.Errorf("%d parts, %+v", len(parts), summary)
		}
		for _, p := range parts {
			if checkName(p[0]) != nil {
				t.Errorf("name %q", p[0])
			}
		}
	})
}
