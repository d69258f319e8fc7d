package api

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// repeated is a reader of n times the same byte.
type repeated struct {
	c byte
	n int64
}

func (r *repeated) Read(p []byte) (int, error) {
	if r.n == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), r.n)
	for i := range p[:n] {
		p[i] = r.c
	}
	r.n -= n
	return int(n), nil
}

// allocated returns how many bytes f allocates, and so more than it ever holds.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

const large = 24 << 20 // bytes, of which a sixth may be allocated

// The tests here are not parallel: they count what the whole program allocates.

func TestLargeInputsStayOutOfMemory(t *testing.T) {
	s := hello(t)
	inner := s.submit
	s.submit = func(ctx context.Context, r job.Request) (*job.Execution, error) {
		section := r.Inputs["name"].Section
		ends := make([]byte, 1)
		if _, err := section.ReadAt(ends, section.Size()-1); err != nil || section.Size() != large+2 || ends[0] != '"' {
			t.Errorf("%d bytes that end with %q, %v", section.Size(), ends, err)
		}
		return inner(ctx, r)
	}
	a := newAPI(t, s)
	const head, tail = `{"inputs":{"name":"`, `"}}`
	for _, length := range []int64{int64(len(head) + large + len(tail)), -1} {
		w := &sink{http.Header{}}
		n := allocated(func() {
			r := httptest.NewRequest("POST", helloExecution, io.MultiReader(
				strings.NewReader(head), &repeated{'x', large}, strings.NewReader(tail)))
			r.ContentLength = length
			a.ServeHTTP(w, r)
		})
		if w.h.Get("Content-Length") == "" || n > large/6 {
			t.Errorf("%v; %d bytes allocated", w.h, n)
		}
	}
}

func TestLargeOutputsStayOutOfMemory(t *testing.T) {
	name := t.TempDir() + "/large"
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(f, &repeated{'7', large}); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	outputs := map[string]job.Value{
		"json": {File: name, Size: large},
		"text": {File: name, Size: large, MediaType: "text/plain"},
		"tiff": {File: name, Size: large, MediaType: "image/tiff"},
	}
	a := stored(t, outputs, job.Order{}, func(c *Config) { c.InlineLimit = -1 })
	for _, c := range []struct{ path, accept string }{
		{"/jobs/j/results", mediaJSON},
		{"/jobs/j/results", mediaMultipart},
		{"/jobs/j/results/json", mediaJSON},
		{"/jobs/j/results/text", mediaJSON},
		{"/jobs/j/results/tiff", "*/*"},
	} {
		w := &sink{http.Header{}}
		n := allocated(func() {
			r := httptest.NewRequest("GET", c.path, nil)
			r.Header.Set("Accept", c.accept)
			a.ServeHTTP(w, r)
		})
		if size, _ := strconv.Atoi(w.h.Get("Content-Length")); size < large || n > large/6 {
			t.Errorf("%s as %s: %v; %d bytes allocated", c.path, c.accept, w.h, n)
		}
	}
}

func TestManyInputsStayOutOfMemory(t *testing.T) {
	a := newAPI(t, hello(t))
	const member = `"abcdefgh":1,`
	wantProblem(t, do(t, a, "POST", helloExecution, `{`), 400, ogc.InvalidParameterValue) // reads the published document
	body := `{"inputs":{` + strings.Repeat(member, large/len(member)) + `"z":1}}`
	n := allocated(func() {
		w := do(t, a, "POST", helloExecution, body)
		wantProblem(t, w, 400, ogc.InvalidParameterValue)
	})
	if n > large/6 {
		t.Errorf("%d bytes allocated", n)
	}
}
