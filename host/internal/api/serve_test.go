package api

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// storedAs serves a successful job whose outputs are described as given.
func storedAs(t testing.TB, descriptions string, outputs map[string]job.Value, o job.Order, change ...func(*Config)) *API {
	t.Helper()
	d := ogc.Process{ProcessSummary: ogc.ProcessSummary{ID: "p", Version: "1"}, Outputs: outputsOf(t, descriptions)}
	p, err := job.NewProcess(d, job.Policy{}, job.Plugin{})
	if err != nil {
		t.Fatal(err)
	}
	return newAPI(t, &fakeService{processes: []*job.Process{p}, results: func(id string) (*job.Results, error) {
		return &job.Results{Job: job.Job{ID: id, Attempt: 1}, Process: p, Order: o, Outputs: outputs}, nil
	}}, change...)
}

const manyOutputs = `{
	"numbers":{"schema":{"type":"number"},"maxOccurs":"unbounded"},
	"objects":{"schema":{"type":"object"},"maxOccurs":9},
	"lists":{"schema":{"type":"array"},"maxOccurs":9},
	"images":{"schema":{"type":"string","contentEncoding":"base64","contentMediaType":"image/png"},"maxOccurs":9},
	"texts":{"schema":{"type":"string","contentMediaType":"text/csv"},"maxOccurs":9},
	"array":{"schema":{"type":"array"}},
	"one":{"schema":{"type":"string"},"maxOccurs":2}}`

// many are the values of outputs with several of them, in memory or in files.
func many(t testing.TB, files bool) map[string]job.Value {
	outputs := map[string]job.Value{}
	for id, text := range map[string]string{
		"numbers": ` [1, 2.50,3 ]`, "objects": `[{"a":[{"b":"}\"]"}]}, {"bbox":[1,2,3,4]}, {}]`,
		"lists": `[[1,{"a":2}],[]]`, "images": `["aGk=","AP8="]`, "texts": `["a,\"b\"","é\n"]`, "array": `[1,2]`, "one": `"only"`,
	} {
		outputs[id] = jsonValue(text)
		if files {
			outputs[id] = fileValue(t, text, mediaJSON)
		}
	}
	return outputs
}

func TestOutputsWithSeveralValuesHaveAResourceForEach(t *testing.T) {
	t.Parallel()
	for _, files := range []bool{false, true} {
		a := storedAs(t, manyOutputs, many(t, files), job.Order{})
		for _, c := range []struct{ path, accept, mediaType, count, body string }{
			{"numbers", "*/*", mediaJSON, "3", ` [1, 2.50,3 ]`},
			{"numbers/0", "*/*", mediaJSON, "3", `1`},
			{"numbers/1", "*/*", mediaJSON, "3", `2.50`},
			{"numbers/2", mediaJSON, mediaJSON, "3", `3`},
			{"objects/0", "*/*", mediaJSON, "3", `{"a":[{"b":"}\"]"}]}`},
			{"objects/2", "*/*", mediaJSON, "3", `{}`},
			{"lists/0", "*/*", mediaJSON, "2", `[1,{"a":2}]`},
			{"images", "*/*", mediaJSON, "2", `["aGk=","AP8="]`},
			{"images/0", "*/*", "image/png", "2", "hi"},
			{"images/1", "image/*", "image/png", "2", "\x00\xff"},
			{"images/1", mediaJSON, mediaJSON, "2", `{"images":{"value":"AP8=","encoding":"base64","mediaType":"image/png"}}`},
			{"texts/0", "text/csv", "text/csv", "2", `a,"b"`},
			{"texts/1", mediaJSON, mediaJSON, "2", `"é\n"`},
			{"array", "*/*", mediaJSON, "", `[1,2]`},
			{"array/0", "*/*", mediaJSON, "1", `[1,2]`},
			{"one", "*/*", mediaJSON, "", `"only"`},
			{"one/0", "*/*", mediaJSON, "1", `"only"`},
		} {
			w := do(t, a, "GET", "/jobs/j/results/"+c.path, "", "Accept: "+c.accept)
			if h := w.Header(); w.Code != 200 || h.Get("Content-Type") != c.mediaType || h.Get(headerCount) != c.count || w.Body.String() != c.body {
				t.Errorf("%s: %d %v %q", c.path, w.Code, w.Header(), w.Body)
			}
			head := do(t, a, "HEAD", "/jobs/j/results/"+c.path, "", "Accept: "+c.accept)
			if head.Code != 200 || head.Body.Len() != 0 || head.Header().Get("Content-Length") != itoa(len(c.body)) {
				t.Errorf("HEAD %s: %d %v %q", c.path, head.Code, head.Header(), head.Body)
			}
		}
		w := do(t, a, "GET", "/jobs/j/results/objects/0", "", "Range: bytes=1-4")
		if w.Code != 206 || w.Body.String() != `"a":` || w.Header().Get("Content-Range") != "bytes 1-4/20" {
			t.Errorf("%d %q %v", w.Code, w.Body, w.Header())
		}
		for _, path := range []string{"numbers/3", "numbers/-1", "numbers/x", "numbers/00", "numbers/99999999999999999999", "array/1", "one/1", "absent/0"} {
			want := ogc.ResultNotAvailable
			status := 404
			if path == "absent/0" {
				status, want = 400, ogc.NoSuchOutput
			}
			wantProblem(t, do(t, a, "GET", "/jobs/j/results/"+path, ""), status, want)
		}
	}
}

func TestDocumentsWrapEachOfSeveralValues(t *testing.T) {
	t.Parallel()
	for _, files := range []bool{false, true} {
		w := do(t, storedAs(t, manyOutputs, many(t, files), job.Order{}), "GET", "/jobs/j/results", "")
		if w.Header().Get("Content-Length") != itoa(w.Body.Len()) {
			t.Errorf("%s bytes announced, %d sent", w.Header().Get("Content-Length"), w.Body.Len())
		}
		same(t, w.Body.Bytes(), `{
			"array":[1,2],
			"images":[{"value":"aGk=","encoding":"base64","mediaType":"image/png"},{"value":"AP8=","encoding":"base64","mediaType":"image/png"}],
			"lists":[[1,{"a":2}],[]],
			"numbers":[1,2.50,3],
			"objects":[{"value":{"a":[{"b":"}\"]"}]}},{"value":{"bbox":[1,2,3,4]}},{"value":{}}],
			"one":"only",
			"texts":[{"value":"a,\"b\"","mediaType":"text/csv"},{"value":"é\n","mediaType":"text/csv"}]}`)
	}
}

func TestStoredRepliesAreNamedByTheirContent(t *testing.T) {
	t.Parallel()
	outputs := several(t)
	plain := storedAs(t, `{"absent":{"schema":{}}}`, outputs, job.Order{})
	links := storedAs(t, `{"absent":{"schema":{}}}`, outputs, job.Order{}, func(c *Config) { c.InlineLimit = 1 })
	raw := storedAs(t, `{"string":{"schema":{}}}`, map[string]job.Value{"string": outputs["string"]}, job.Order{Response: "raw"})
	seen := map[string]string{}
	for _, c := range []struct {
		name, path string
		a          *API
		headers    []string
	}{
		{"the document", "/jobs/j/results", plain, nil},
		{"of another job", "/jobs/k/results", plain, nil},
		{"with links", "/jobs/j/results", links, nil},
		{"a part of it", "/jobs/j/results?outputs=string", plain, nil},
		{"for another host", "/jobs/j/results", plain, []string{"Host: h"}},
		{"a value", "/jobs/j/results/string", plain, nil},
		{"its first", "/jobs/j/results/string/0", plain, nil},
		{"as text", "/jobs/j/results/string", plain, []string{"Accept: text/plain"}},
		{"another value", "/jobs/j/results/tiff", plain, nil},
		{"in JSON", "/jobs/j/results/tiff", plain, []string{"Accept: application/json"}},
		{"the only one, raw", "/jobs/r/results", raw, nil},
	} {
		request := func(more ...string) *httptest.ResponseRecorder {
			path := c.path
			if c.name == "for another host" {
				path = "http://other.example" + path
			}
			return do(t, c.a, "GET", path, "", append(c.headers, more...)...)
		}
		w := request()
		tag := w.Header().Get("ETag")
		if w.Code != 200 || len(tag) < 8 || tag[0] != '"' || !strings.HasPrefix(w.Header().Get("Cache-Control"), "private") {
			t.Errorf("%s: %d %v", c.name, w.Code, w.Header())
		}
		if before, taken := seen[tag]; taken {
			t.Errorf("%s has the tag of %s", c.name, before)
		}
		seen[tag] = c.name
		for _, known := range []string{tag, "W/" + tag, `"x" , ` + tag, "*"} {
			if w := request("If-None-Match: " + known); w.Code != 304 || w.Body.Len() != 0 || w.Header().Get("ETag") != tag {
				t.Errorf("%s, If-None-Match %s: %d %v", c.name, known, w.Code, w.Header())
			}
		}
		if w := request(`If-None-Match: "x"`); w.Code != 200 {
			t.Errorf("%s: %d", c.name, w.Code)
		}
	}
}

func TestRangesHoldForTheirEntityTagOnly(t *testing.T) {
	t.Parallel()
	for name, v := range map[string]job.Value{
		"memory": {Data: []byte("0123456789"), MediaType: "image/tiff"}, "file": fileValue(t, "0123456789", "image/tiff"),
	} {
		a := stored(t, map[string]job.Value{"out": v}, job.Order{})
		tag := do(t, a, "HEAD", "/jobs/j/results/out", "").Header().Get("ETag")
		for _, c := range []struct {
			ifRange string
			status  int
			body    string
		}{{tag, 206, "789"}, {`"x"`, 200, "0123456789"}, {"W/" + tag, 200, "0123456789"}} {
			w := do(t, a, "GET", "/jobs/j/results/out", "", "Range: bytes=-3", "If-Range: "+c.ifRange)
			if w.Code != c.status || w.Body.String() != c.body {
				t.Errorf("%s, %s: %d %q", name, c.ifRange, w.Code, w.Body)
			}
		}
	}
}

func TestOutputsAreSavedUnderAHarmlessName(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, mediaType, want string }{
		{"a", mediaJSON, ""}, {"a", "application/geo+json", ""}, {"a", "text/plain; charset=utf-8", ""},
		{"a", "image/png", `inline; filename="a.png"`},
		{"dem", "image/tiff; application=geotiff", `attachment; filename="dem.tif"`},
		{"a", "text/html", `attachment; filename="a.html"`},
		{"a", "image/svg+xml", `attachment; filename="a.svg"`},
		{"a:b~c/1", "Application/GML+XML", `attachment; filename="a_b_c_1.gml"`},
		{"a\"\r\nx", "application/x-unheard-of", `attachment; filename="a___x.bin"`},
		{"..", "application/zip", `attachment; filename="...zip"`},
	} {
		if got := disposition(c.name, c.mediaType); got != c.want {
			t.Errorf("%q as %s: %s", c.name, c.mediaType, got)
		}
	}
	w := do(t, stored(t, several(t), job.Order{}), "GET", "/jobs/j/results/tiff", "")
	if w.Header().Get("Content-Disposition") != `attachment; filename="tiff.tif"` || w.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%v", w.Header())
	}
	w = do(t, stored(t, several(t), job.Order{}), "GET", "/jobs/j/results/tiff", "", "Range: bytes=9-")
	if wantProblem(t, w, 416, blank); w.Header().Get("Content-Disposition") != "" || w.Header().Get("Cache-Control") != "" {
		t.Errorf("%v", w.Header())
	}
}

func TestMediaTypesAreFitForHeaders(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"": mediaJSON, "image/tiff": "image/tiff", "Image/TIFF": "Image/TIFF",
		`text/csv; header="present"`:                 "text/csv; header=present",
		`multipart/x; type="a/b"`:                    `multipart/x; type="a/b"`,
		"text/plain\r\nSet-Cookie: a=b":              mediaBytes,
		"text/plain; a=\"b\r\nSet-Cookie: a=b\"":     mediaBytes,
		"text/plain; a=\"\t\"":                       mediaBytes,
		"nonsense":                                   mediaBytes,
		"a/b/c":                                      mediaBytes,
		"text/pl\u00e4in":                            mediaBytes,
		"image/tiff; application=geotiff; profile=x": "image/tiff; application=geotiff; profile=x",
	} {
		if got := headerType(job.Value{MediaType: given}); got != want {
			t.Errorf("%q becomes %q, want %q", given, got, want)
		}
	}
	// In a Link the quotes of a parameter are escaped.
	v := job.Value{Data: []byte("x"), MediaType: `multipart/x; type="a/b"`}
	a := stored(t, map[string]job.Value{"out": v}, job.Order{Response: "raw", Outputs: map[string]ogc.OutputSelection{"out": {TransmissionMode: "reference"}}})
	w := do(t, a, "GET", "/jobs/j/results", "")
	want := `<http://example.com/jobs/j/results/out>; rel="` + ogc.RelResults + `"; title="out"; type="multipart/x; type=\"a/b\""`
	if d := cmp.Diff([]string{want}, w.Header().Values("Link")); d != "" || w.Code != 204 {
		t.Errorf("%d %s", w.Code, d)
	}
}

func FuzzMediaTypesStayWithinTheirHeader(f *testing.F) {
	for _, s := range []string{"a/b", `a/b; c="d\"e"`, "a/b;c=d\r\ne: f", "a/b; c*=utf-8''%0d%0a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := headerType(job.Value{Data: []byte{1}, MediaType: s})
		if !strings.Contains(got, "/") || strings.ContainsFunc(got, func(c rune) bool { return c < ' ' || c > '~' }) {
			t.Fatalf("%q becomes %q", s, got)
		}
	})
}

// reading notes what is handed to ReadFrom.
type reading struct {
	http.ResponseWriter
	sources []io.Reader
}

func (r *reading) ReadFrom(src io.Reader) (int64, error) {
	r.sources = append(r.sources, src)
	return io.Copy(struct{ io.Writer }{r.ResponseWriter}, src)
}

// The kernel can send a file by itself only when net/http is given the file.
func TestFilesReachTheConnectionAsFiles(t *testing.T) {
	t.Parallel()
	file := fileValue(t, "0123456789", "image/tiff")
	a := stored(t, map[string]job.Value{"out": file, "x": jsonValue("1")}, job.Order{Response: "raw"})
	for _, path := range []string{"/jobs/j/results/out", "/jobs/j/results/out/0", "/jobs/j/results"} {
		w := &reading{ResponseWriter: httptest.NewRecorder()}
		a.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if len(w.sources) != 1 {
			t.Errorf("%s: %d sources", path, len(w.sources))
			continue
		}
		limited, ok := w.sources[0].(*io.LimitedReader)
		if !ok {
			t.Errorf("%s: a %T is read", path, w.sources[0])
			continue
		}
		if _, ok := limited.R.(*os.File); !ok {
			t.Errorf("%s: a %T is read", path, limited.R)
		}
	}
}

func TestASingleOutputByReferenceIsElsewhere(t *testing.T) {
	t.Parallel()
	a := execution(t, map[string]job.Value{"out": {Data: []byte("x"), MediaType: "image/png"}}, true)
	const body = `{"outputs":{"out":{"transmissionMode":"reference"}}}`
	w := do(t, a, "POST", "/processes/p/execution", body, "Accept: image/png")
	if w.Code != 303 || w.Header().Get("Location") != "http://example.com/jobs/j1/results/out" || w.Body.Len() != 0 {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	if w := do(t, a, "POST", "/processes/p/execution", body); w.Code != 200 || decode[map[string]ogc.Link](t, w)["out"].Href == "" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestSeveralRawOutputsTakeTheFormThatIsAdmitted(t *testing.T) {
	t.Parallel()
	a := execution(t, several(t), false)
	w := do(t, a, "POST", "/processes/p/execution", `{"response":"raw"}`, "Accept: application/json")
	same(t, w.Body.Bytes(), severalDocument)
	if w.Code != 200 || w.Header().Get("Link") != "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	wantProblem(t, do(t, stored(t, several(t), job.Order{Response: "raw"}), "GET", "/jobs/j/results", "", "Accept: text/plain"), 406, blank)
}

func TestAppliedReturnPreferencesAreEchoed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		recorded     bool
		prefer, want string
	}{
		{false, "return=representation", "return=representation"}, {false, "return=minimal", ""},
		{true, "return=minimal", "return=minimal"}, {true, "return=representation", "return=representation"}, {true, "", ""},
	} {
		a := execution(t, several(t), c.recorded)
		if w := do(t, a, "POST", "/processes/p/execution", `{}`, "Prefer: "+c.prefer); w.Header().Get("Preference-Applied") != c.want {
			t.Errorf("%+v: %v", c, w.Header())
		}
	}
}
