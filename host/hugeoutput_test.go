package host_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// peakMemory returns the most memory that the server has had resident, in bytes.
func (s *server) peakMemory(t testing.TB) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	var kB int64
	if _, err := fmt.Sscan(rest, &kB); err != nil {
		t.Fatal(err)
	}
	return kB << 10
}

// tail counts what is written to it and keeps the last three bytes.
type tail struct {
	n    int64
	last []byte
}

func (w *tail) Write(b []byte) (int, error) {
	w.n += int64(len(b))
	w.last = append(w.last, b[max(0, len(b)-3):]...)
	w.last = w.last[max(0, len(w.last)-3):]
	return len(b), nil
}

// TestHugeOutputIsServedWithMemoryFlat has a plugin make 2 GiB, and reads them
// whole, and the start of them in the other forms of answer.
func TestHugeOutputIsServedWithMemoryFlat(t *testing.T) {
	t.Parallel()
	const size = 2 << 30
	dir := t.TempDir()
	at := filepath.Join(dir, "plugins", "sparse")
	if err := os.Mkdir(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "sparse")
	if out, err := exec.Command("go", "build", "-o", binary, "./testdata/sparse").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	place(t, binary, at)
	s := startServer(t, dir, nil)
	c := newWeb(t, s.url)
	body := fmt.Sprintf(`{"inputs":{"bytes":%d}}`, size)
	c.must(t, 200, "POST", "/processes/sparse/execution", `{"inputs":{"bytes":3}}`)
	before := s.peakMemory(t)

	path := c.must(t, 201, "POST", "/processes/sparse/execution", body, "Prefer", "respond-async").job()
	c.await(t, path, "successful")
	got := c.stream(t, "GET", path+"/results/raster", "", size)
	if got.n != size || string(got.last) != "end" {
		t.Errorf("%d bytes, the last %q", got.n, got.last)
	}
	const some = 64 << 20
	c.stream(t, "POST", "/processes/sparse/execution", body, some)
	c.stream(t, "GET", path+"/results", "", some, "Prefer", "return=representation")
	r := c.must(t, 206, "GET", path+"/results/raster", "", "Range", "bytes=-5")
	if !bytes.Equal(r.body, []byte("\x00\x00end")) || r.Header.Get("Content-Range") != fmt.Sprintf("bytes %d-%d/%d", size-5, size-1, size) {
		t.Errorf("%q, %v", r.body, r.Header)
	}
	if r := c.must(t, 200, "GET", path+"/results", ""); len(r.body) > 1000 || !strings.Contains(string(r.body), `"length":2147483648`) {
		t.Errorf("the document is %v", r)
	}
	if grown := s.peakMemory(t) - before; grown > 64<<20 {
		t.Errorf("the memory of the server has grown by %d bytes", grown)
	} else {
		t.Logf("from %d MiB, the memory of the server has grown by %d KiB", before>>20, grown>>10)
	}
}

// stream reads limit bytes of an answer with status 200, keeping next to none, and
// hangs up.
func (c *web) stream(t testing.TB, method, path, body string, limit int64, header ...string) tail {
	t.Helper()
	req, err := http.NewRequest(method, c.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := c.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var got tail
	if res.StatusCode != 200 {
		t.Fatalf("%s %s: %s", method, path, res.Status)
	}
	if _, err := io.CopyN(&got, res.Body, limit); err != nil {
		t.Fatalf("%s %s: %d bytes, %v", method, path, got.n, err)
	}
	return got
}
