package api

import (
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

func writeFile(t testing.TB, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "value")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func fileValue(t testing.TB, content, mediaType string) job.Value {
	return job.Value{File: writeFile(t, content), Size: int64(len(content)), MediaType: mediaType}
}

func jsonValue(text string) job.Value { return job.Value{JSON: json.RawMessage(text)} }

// execution serves one process that answers with the outputs.
func execution(t testing.TB, outputs map[string]job.Value, recorded bool, change ...func(*Config)) *API {
	schemas := map[string]string{}
	for id := range outputs {
		schemas[id] = `{}`
	}
	p := testProcess(t, "p", schemas)
	return newAPI(t, &fakeService{processes: []*job.Process{p}, submit: answer(p, outputs, recorded)}, change...)
}

func TestOneOutputIsItsOwnReply(t *testing.T) {
	t.Parallel()
	const none = ""
	for _, c := range []struct {
		name      string
		value     job.Value
		accept    string
		format    string
		mediaType string
		body      string
	}{
		{"an object", jsonValue(`{"a":1}`), "*/*", none, mediaJSON, `{"a":1}`},
		{"a string", jsonValue(`"hi"`), "*/*", none, mediaJSON, `"hi"`},
		{"a string as JSON", jsonValue(`"hi"`), "application/json", none, mediaJSON, `"hi"`},
		{"a string as text", jsonValue(`"h\u00ef\n"`), "text/plain", none, headerText[0], "hï\n"},
		{"a string as text by its format", jsonValue(`"hi"`), "*/*", mediaText, headerText[0], "hi"},
		{"a string as JSON in spite of its format", jsonValue(`"hi"`), mediaJSON, mediaText, mediaJSON, `"hi"`},
		{"an empty string as text", jsonValue(`""`), "text/plain", none, headerText[0], ""},
		{"a number as text", jsonValue(` 12.5`), "text/*", none, headerText[0], "12.5"},
		{"GeoJSON", job.Value{JSON: json.RawMessage(`{}`), MediaType: "application/geo+json"}, "*/*", none, "application/geo+json", `{}`},
		{"GeoJSON as JSON", job.Value{JSON: json.RawMessage(`{}`), MediaType: "application/geo+json"}, mediaJSON, none, mediaJSON, `{}`},
		{"text", job.Value{Data: []byte("a\"b"), MediaType: "text/csv"}, "*/*", none, "text/csv", `a"b`},
		{"text as JSON", job.Value{Data: []byte("a\"b\xff"), MediaType: "text/csv"}, mediaJSON, none, mediaJSON, `"a\"b` + "\ufffd\""},
		{"a string with a media type", job.Value{JSON: json.RawMessage(`"<x/>"`), MediaType: "application/xml"}, "*/*", none, "application/xml", `<x/>`},
		{"an image", job.Value{Data: []byte{1, 2, 255}, MediaType: "image/png"}, "image/*", none, "image/png", "\x01\x02\xff"},
		{"an image as JSON", job.Value{Data: []byte{1, 2, 255}, MediaType: "image/png"}, mediaJSON, none, mediaJSON, `{"out":{"value":"AQL/","encoding":"base64","mediaType":"image/png"}}`},
		{"a JSON file", fileValue(t, `[1,2]`, ""), "*/*", none, mediaJSON, `[1,2]`},
		{"an image file", fileValue(t, "\x01\x02\xff\x00", "image/png"), "*/*", none, "image/png", "\x01\x02\xff\x00"},
		{"an image file as JSON", fileValue(t, "\x01\x02\xff\x00", "image/png"), mediaJSON, none, mediaJSON, `{"out":{"value":"AQL/AA==","encoding":"base64","mediaType":"image/png"}}`},
		{"a text file as JSON", fileValue(t, "é\"\n", "text/plain"), mediaJSON, none, mediaJSON, `"é\"\n"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := execution(t, map[string]job.Value{"out": c.value}, false)
			body := `{}`
			if c.format != none {
				body = `{"outputs":{"out":{"format":{"mediaType":"` + c.format + `"}}}}`
			}
			for _, response := range []string{"", "raw"} {
				if response == "raw" {
					body = strings.Replace(body, "{", `{"response":"raw",`, 1)
					body = strings.Replace(body, ",}", "}", 1)
				}
				w := do(t, a, "POST", "/processes/p/execution", body, "Accept: "+c.accept)
				if w.Code != 200 || w.Header().Get("Content-Type") != c.mediaType || w.Body.String() != c.body {
					t.Errorf("%s: %d %s %q", response, w.Code, w.Header().Get("Content-Type"), w.Body)
				}
				if w.Header().Get("Content-Length") != "" && w.Header().Get("Content-Length") != itoa(len(c.body)) {
					t.Errorf("Content-Length %s", w.Header().Get("Content-Length"))
				}
			}
		})
	}
}

func itoa(n int) string { b, _ := json.Marshal(n); return string(b) }

func TestValuesThatTurnOutUnacceptableAreRefused(t *testing.T) {
	t.Parallel()
	for _, v := range []job.Value{jsonValue(`{}`), {Data: []byte("x"), MediaType: "image/gif"}} {
		a := execution(t, map[string]job.Value{"out": v}, false)
		wantProblem(t, do(t, a, "POST", "/processes/p/execution", "{}", "Accept: image/png"), 406, blank)
	}
}

// several are outputs of every kind.
func several(t testing.TB) map[string]job.Value {
	return map[string]job.Value{
		"array":   jsonValue(`[1, 2]`),
		"bbox":    jsonValue(`{"bbox":[1,2,3,4],"crs":"urn:c"}`),
		"binary":  {Data: []byte{0, 1}, MediaType: "image/png"},
		"csv":     fileValue(t, "a,\"é\"\n", "text/csv"),
		"feature": fileValue(t, ` {"type":"Feature"}`, "application/geo+json"),
		"number":  jsonValue(`12.50`),
		"object":  jsonValue(`{"a":null}`),
		"string":  jsonValue(`"s"`),
		"tiff":    fileValue(t, "\x00\x01\x02\x03", "image/tiff"),
		"xml":     {JSON: json.RawMessage(`"<x/>"`), MediaType: "application/xml"},
	}
}

const severalDocument = `{
	"array":[1,2],
	"bbox":{"bbox":[1,2,3,4],"crs":"urn:c"},
	"binary":{"value":"AAE=","encoding":"base64","mediaType":"image/png"},
	"csv":{"value":"a,\"é\"\n","mediaType":"text/csv"},
	"feature":{"value":{"type":"Feature"},"mediaType":"application/geo+json"},
	"number":12.50,
	"object":{"value":{"a":null}},
	"string":"s",
	"tiff":{"value":"AAECAw==","encoding":"base64","mediaType":"image/tiff"},
	"xml":{"value":"<x/>","mediaType":"application/xml"}}`

func TestSeveralOutputsMakeAResultsDocument(t *testing.T) {
	t.Parallel()
	a := execution(t, several(t), false)
	for _, c := range []struct{ body, accept, link string }{
		{`{}`, "*/*", "<" + profileResults + `>; rel="profile"`},
		{`{}`, "multipart/related, application/json", "<" + profileResults + `>; rel="profile"`},
		{`{"response":"document"}`, "*/*", ""},
	} {
		w := do(t, a, "POST", "/processes/p/execution", c.body, "Accept: "+c.accept)
		if w.Code != 200 || w.Header().Get("Content-Type") != mediaJSON || w.Header().Get("Link") != c.link {
			t.Errorf("%s: %d %v", c.body, w.Code, w.Header())
		}
		if w.Header().Get("Content-Length") != itoa(w.Body.Len()) {
			t.Errorf("%s bytes announced, %d sent", w.Header().Get("Content-Length"), w.Body.Len())
		}
		same(t, w.Body.Bytes(), severalDocument)
	}
	w := do(t, a, "POST", "/processes/p/execution", `{"response":"document","outputs":{"object":{}}}`)
	same(t, w.Body.Bytes(), `{"object":{"value":{"a":null}}}`)
}

func TestTheProfileOfResultsMakesOneOutputADocument(t *testing.T) {
	t.Parallel()
	a := execution(t, map[string]job.Value{"one": jsonValue(`5`)}, false)
	const link = "<" + profileResults + `>; rel="profile"`
	for _, c := range []struct{ query, header, body, want, link string }{
		{"", "Accept: */*", `{}`, `5`, ""},
		{"?profile=ogc-results", "Accept: */*", `{}`, `{"one":5}`, link},
		{"?profile=other", "Accept: */*", `{}`, `5`, ""},
		{"?%zz", "Accept: */*", `{}`, `5`, ""},
		{"", "Accept-Profile: <" + profileResults + ">", `{}`, `{"one":5}`, link},
		{"", `Prefer: profile="` + profileResults + `"`, `{}`, `{"one":5}`, link},
		{"?profile=ogc-results", "Accept: text/plain", `{}`, `5`, ""},
		{"?profile=ogc-results", "Accept: */*", `{"response":"raw"}`, `5`, ""},
	} {
		w := do(t, a, "POST", "/processes/p/execution"+c.query, c.body, c.header)
		if w.Code != 200 || w.Body.String() != c.want || w.Header().Get("Link") != c.link {
			t.Errorf("%s %s %s: %d %s %v", c.query, c.header, c.body, w.Code, w.Body, w.Header())
		}
		if name, applied := strings.CutPrefix(c.header, "Prefer: "); applied && w.Header().Get("Preference-Applied") != name {
			t.Errorf("%s: applied %q", c.header, w.Header().Get("Preference-Applied"))
		}
	}
}

func TestTheSuiteOfVersion1GetsNoLinks(t *testing.T) {
	t.Parallel()
	a := execution(t, several(t), true, func(c *Config) { c.CITE10 = true })
	if w := do(t, a, "POST", "/processes/p/execution", `{}`); w.Code != 200 || w.Header().Get("Link") != "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

// parts reads a multipart/related reply by Content-ID.
func parts(t testing.TB, w *httptest.ResponseRecorder) (map[string]string, map[string]string, map[string]string) {
	t.Helper()
	mediaType, params, err := mime.ParseMediaType(w.Header().Get("Content-Type"))
	if err != nil || mediaType != mediaMultipart || w.Code != 200 {
		t.Fatalf("%d %s: %v: %s", w.Code, w.Header().Get("Content-Type"), err, w.Body)
	}
	if w.Header().Get("Content-Length") != itoa(w.Body.Len()) {
		t.Errorf("%s bytes announced, %d sent", w.Header().Get("Content-Length"), w.Body.Len())
	}
	bodies, types, locations := map[string]string{}, map[string]string{}, map[string]string{}
	r := multipart.NewReader(w.Body, params["boundary"])
	for first := true; ; first = false {
		p, err := r.NextRawPart()
		if err == io.EOF {
			return bodies, types, locations
		}
		if err != nil {
			t.Fatal(err)
		}
		if main, _, _ := strings.Cut(p.Header.Get("Content-Type"), ";"); first && main != params["type"] {
			t.Errorf("the root is %s, announced as %s", main, params["type"])
		}
		b, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		id := p.Header.Get("Content-ID")
		bodies[id], types[id] = string(b), p.Header.Get("Content-Type")
		if l := p.Header.Get("Content-Location"); l != "" {
			locations[id] = l
		}
	}
}

func TestSeveralRawOutputsAreMultipart(t *testing.T) {
	t.Parallel()
	a := execution(t, several(t), false)
	for _, c := range []struct{ body, accept string }{
		{`{"response":"raw"}`, "*/*"},
		{`{"response":"raw"}`, "multipart/*, application/json"},
		{`{}`, "multipart/related"},
	} {
		bodies, types, _ := parts(t, do(t, a, "POST", "/processes/p/execution", c.body, "Accept: "+c.accept))
		if d := cmp.Diff(map[string]string{
			"<array>": "[1, 2]", "<bbox>": `{"bbox":[1,2,3,4],"crs":"urn:c"}`, "<binary>": "\x00\x01", "<csv>": "a,\"é\"\n",
			"<feature>": ` {"type":"Feature"}`, "<number>": "12.50", "<object>": `{"a":null}`, "<string>": "s",
			"<tiff>": "\x00\x01\x02\x03", "<xml>": "<x/>",
		}, bodies); d != "" {
			t.Error(d)
		}
		if types["<string>"] != headerText[0] || types["<number>"] != mediaJSON || types["<tiff>"] != "image/tiff" {
			t.Errorf("types %v", types)
		}
	}
	wantProblem(t, do(t, a, "POST", "/processes/p/execution", `{}`, "Accept: image/png"), 406, blank)
}

func TestMediaTypesOfPluginsStayWhatTheyAre(t *testing.T) {
	t.Parallel()
	evil := "text/plain\r\nContent-ID: <b>\r\n\r\nx"
	outputs := map[string]job.Value{"a": {Data: []byte("1"), MediaType: evil}, "b": {Data: []byte("2"), MediaType: "text/csv"}}
	bodies, types, _ := parts(t, do(t, execution(t, outputs, false), "POST", "/processes/p/execution", `{"response":"raw"}`))
	if d := cmp.Diff(map[string]string{"<a>": "1", "<b>": "2"}, bodies); d != "" || types["<a>"] != "application/octet-stream" {
		t.Errorf("%s, types %v", d, types)
	}
}

func TestNoOutputsMakeNoContent(t *testing.T) {
	t.Parallel()
	for _, outputs := range []map[string]job.Value{nil, {"out": jsonValue("1")}} {
		a := execution(t, map[string]job.Value{"out": jsonValue("1")}, false)
		a.service.(*fakeService).submit = answer(a.service.(*fakeService).processes[0], outputs, false)
		for _, body := range []string{`{"outputs":{}}`, `{"outputs":{},"response":"document"}`, `{"outputs":{},"response":"raw"}`} {
			w := do(t, a, "POST", "/processes/p/execution", body, "Accept: image/png, application/json")
			if w.Code != 204 || w.Body.Len() != 0 {
				t.Errorf("%s: %d %s", body, w.Code, w.Body)
			}
		}
	}
}

func TestOutputsByReferenceAreLinks(t *testing.T) {
	t.Parallel()
	outputs := map[string]job.Value{"a": jsonValue(`"x"`), "b": {Data: []byte("y"), MediaType: "image/png"}}
	a := execution(t, outputs, true)
	const at, rel = "http://example.com/jobs/j1/results/", ogc.RelResults
	const monitor = `<http://example.com/jobs/j1>; rel="monitor"`
	linkB := `{"href":"` + at + `b","rel":"` + rel + `","type":"image/png","length":1,"title":"b"}`

	w := do(t, a, "POST", "/processes/p/execution", `{"response":"document","outputs":{"a":{},"b":{"transmissionMode":"reference"}}}`)
	var doc map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	var want any
	_ = json.Unmarshal([]byte(linkB), &want)
	if d := cmp.Diff(map[string]any{"a": "x", "b": want}, doc); d != "" {
		t.Error(d)
	}
	if got := w.Header().Values("Link"); len(got) != 1 || got[0] != monitor {
		t.Errorf("links %v", got)
	}

	w = do(t, a, "POST", "/processes/p/execution", `{"response":"raw","outputs":{"a":{"transmissionMode":"reference"},"b":{"transmissionMode":"reference"}}}`)
	if d := cmp.Diff([]string{monitor,
		`<` + at + `a>; rel="` + rel + `"; title="a"; type="application/json"`,
		`<` + at + `b>; rel="` + rel + `"; title="b"; type="image/png"`,
	}, w.Header().Values("Link")); d != "" || w.Code != 204 {
		t.Errorf("%d %s", w.Code, d)
	}

	bodies, _, locations := parts(t, do(t, a, "POST", "/processes/p/execution", `{"response":"raw","outputs":{"a":{},"b":{"transmissionMode":"reference"}}}`))
	if d := cmp.Diff(map[string]string{"<a>": "x", "<b>": ""}, bodies); d != "" || locations["<b>"] != at+"b" {
		t.Errorf("%s, locations %v", d, locations)
	}

	w = do(t, a, "POST", "/processes/p/execution", `{"outputs":{"b":{"transmissionMode":"reference"}}}`)
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil || w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if d := cmp.Diff(want, doc["b"]); d != "" {
		t.Error(d)
	}

	// Without a record there is nothing to refer to.
	w = do(t, execution(t, outputs, false), "POST", "/processes/p/execution", `{"response":"document","outputs":{"a":{"transmissionMode":"reference"}}}`)
	same(t, w.Body.Bytes(), `{"a":"x"}`)
}

func TestRepliesWithinTheWaitSaySo(t *testing.T) {
	t.Parallel()
	a := execution(t, map[string]job.Value{"a": jsonValue(`1`)}, true)
	if w := do(t, a, "POST", "/processes/p/execution", `{}`, "Prefer: respond-async, wait=9"); w.Code != 200 || w.Header().Get("Preference-Applied") != "wait=9" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

func TestAReplyThatBreaksOffIsCut(t *testing.T) {
	t.Parallel()
	// The file is shorter than its record says.
	short := fileValue(t, "abc", "image/png")
	short.Size = 10
	server := httptest.NewServer(execution(t, map[string]job.Value{"a": short, "b": jsonValue("1")}, false))
	defer server.Close()
	resp, err := server.Client().Post(server.URL+"/processes/p/execution", mediaJSON, strings.NewReader("{}"))
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	if err == nil {
		t.Error("the client takes a broken reply for a whole one")
	}
	// A file that is missing is found before anything is sent.
	missing := job.Value{File: short.File + "x", Size: 3, MediaType: "text/plain"}
	a := execution(t, map[string]job.Value{"a": missing, "b": jsonValue("1")}, false)
	wantProblem(t, do(t, a, "POST", "/processes/p/execution", "{}"), http.StatusInternalServerError, blank)
}

func TestEscapingAgreesWithEncodingJSON(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.SliceOf(rapid.OneOf(rapid.Byte(), rapid.SampledFrom([]byte("é\"\\\n€😀")))).Draw(t, "raw")
		whole, left := appendEscaped(nil, raw, true)
		var got string
		if err := json.Unmarshal([]byte(`"`+string(whole)+`"`), &got); err != nil || left != 0 {
			t.Fatalf("%q: %v", whole, err)
		}
		if want := strings.ToValidUTF8(string(raw), ""); strings.ReplaceAll(got, "\ufffd", "") != strings.ReplaceAll(want, "\ufffd", "") {
			t.Fatalf("%q becomes %q", raw, got)
		}
		var b strings.Builder
		e := &escaper{w: &b}
		if _, err := io.Copy(struct{ io.Writer }{e}, iotest.OneByteReader(strings.NewReader(string(raw)))); err != nil {
			t.Fatal(err)
		}
		if e.Close() != nil || b.String() != string(whole) {
			t.Fatalf("%q: in pieces %q, whole %q", raw, b.String(), whole)
		}
	})
}
