package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"geomill/sdk/ogc"

	"github.com/google/go-cmp/cmp"
)

// resource is what a made-up server has at a URL.
type resource struct {
	media, content string
	err            error
}

// web is a Fetcher of made-up resources that notes what it was asked for.
type web struct {
	at map[string]resource

	mu    sync.Mutex
	asked []Reference
}

func (w *web) Check(r Reference) error {
	if !strings.HasPrefix(r.Href, "http") {
		return &RemoteError{Kind: RemoteRefused, Detail: "is not followed"}
	}
	return nil
}

func (w *web) Fetch(ctx context.Context, r Reference, to io.Writer) (Fetched, error) {
	w.mu.Lock()
	w.asked = append(w.asked, r)
	w.mu.Unlock()
	found, ok := w.at[r.Href]
	if !ok {
		return Fetched{}, &RemoteError{Kind: RemoteBadAnswer, Detail: "leads nowhere"}
	}
	if found.err == errHangs {
		<-ctx.Done()
		return Fetched{}, context.Cause(ctx)
	}
	for rest := found.content; rest != ""; {
		piece := rest[:min(len(rest), 10_000)]
		if _, err := io.WriteString(to, piece); err != nil {
			return Fetched{}, err
		}
		rest = rest[len(piece):]
	}
	return Fetched{MediaType: found.media}, found.err
}

var errHangs = errors.New("hangs")

// checkWhole is a Config.CheckJSON for small texts.
func checkWhole(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err == nil && (!json.Valid(text) || !utf8.Valid(text)) {
		err = errors.New("unexpected character")
	}
	return err
}

// referring is an intake for a process with an input x of a description.
func referring(t testing.TB, w *web, input string) *intake {
	t.Helper()
	var d ogc.Input
	if err := json.Unmarshal([]byte(input), &d); err != nil {
		t.Fatal(err)
	}
	zero := 0
	p, err := NewProcess(ogc.Process{
		ProcessSummary: ogc.ProcessSummary{ID: "p", Version: "1"},
		Inputs:         map[string]ogc.Input{"x": d, "n": {Schema: json.RawMessage(`{"type":"number"}`), MinOccurs: &zero}},
		Outputs:        map[string]ogc.Output{"o": {Schema: json.RawMessage(`{}`)}},
	}, Policy{}, Plugin{})
	if err != nil {
		t.Fatal(err)
	}
	in := &intake{process: p, dir: filepath.Join(t.TempDir(), "in"), turn: make(chan struct{}, 1)}
	in.fetching = fetching{w, checkWhole, 1 << 20, time.Minute, slog.New(slog.DiscardHandler)}
	return in
}

// run checks inputs and resolves references as Service.prepare does.
func (in *intake) run(ctx context.Context, x string, more ...string) (map[string]Value, error) {
	raw := map[string]Raw{"x": {Text: json.RawMessage(x)}}
	for i := 0; i+1 < len(more); i += 2 {
		raw[more[i]] = Raw{Text: json.RawMessage(more[i+1])}
	}
	values, err := in.check(ctx, raw)
	if err == nil && len(in.refs) > 0 && len(in.faults) == 0 {
		err = in.resolve(ctx, values)
	}
	return values, err
}

// text returns what a value holds.
func text(t testing.TB, v Value) string {
	t.Helper()
	r, err := v.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const (
	aNumber  = `{"schema":{"type":"number","minimum":1}}`
	anObject = `{"schema":{"type":"object"}}`
	points   = `{"schema":{"type":"object","required":["type"],"properties":{"type":{"const":"Point"}}}}`
	aString  = `{"schema":{"type":"string"}}`
	aWord    = `{"schema":{"type":"string","maxLength":5}}`
	aTable   = `{"schema":{"type":"string","contentMediaType":"text/csv"}}`
	anImage  = `{"schema":{"type":"string","contentEncoding":"base64","contentMediaType":"image/tiff; application=geotiff"}}`
	anyBytes = `{"schema":{"type":"string","contentEncoding":"base64","contentMediaType":"application/octet-stream"}}`
	small    = `{"schema":{"type":"string","contentEncoding":"base64","minLength":1,"maxLength":8}}`
	either   = `{"schema":{"oneOf":[{"type":"string","contentEncoding":"base64","contentMediaType":"image/tiff"},{"type":"string","contentMediaType":"application/gml+xml"},{"type":"object"}]}}`
	anything = `{"schema":{}}`
	quotedJS = `{"schema":{"type":"string","contentMediaType":"application/json"}}`
	nullable = `{"schema":{"type":["string","null"]}}`
)

// TestContentBecomesAValue says what becomes of content by what the request
// declares, what the server says, and what the input takes.
func TestContentBecomesAValue(t *testing.T) {
	t.Parallel()
	const point = `{"type":"Point"}`
	for _, c := range []struct {
		name, input, declared, sent, content string
		json, data, media                    string // the value, or
		at, fault                            string // where the fault is and what it says
	}{
		{name: "JSON", input: aNumber, sent: "application/json", content: " 5\n", json: "5"},
		{name: "JSON with parameters", input: aNumber, sent: "application/json; charset=utf-8", content: "5", json: "5"},
		{name: "JSON of another name", input: points, sent: "application/geo+json", content: point, json: point},
		{name: "JSON, no type at all", input: points, content: point, json: point},
		{name: "JSON as bytes", input: points, sent: "application/octet-stream", content: point, json: point},
		{name: "JSON as plain text", input: points, sent: "text/plain; charset=utf-8", content: point, json: point},
		{name: "JSON declared", input: points, declared: "application/geo+json", sent: "text/plain", content: point, json: point},
		{name: "JSON declared, nothing sent", input: points, declared: "application/geo+json", content: point, json: point},
		{name: "JSON that is not", input: points, sent: "application/json", content: `{"type":`, at: "/href", fault: "not valid JSON: unexpected"},
		{name: "JSON that is empty", input: points, sent: "application/json", content: " ", at: "/href", fault: "not valid JSON"},
		{name: "JSON that is not UTF-8", input: anything, sent: "application/json", content: "\"\xff\"", at: "/href", fault: "not valid JSON"},
		{name: "JSON that does not fit", input: aNumber, sent: "application/json", content: "0", at: "/href", fault: "does not fit"},
		{name: "JSON that does not fit within", input: points, sent: "application/json", content: `{"type":"Line"}`, at: "/href", fault: "at /type"},
		{name: "a web page for JSON", input: points, sent: "text/html", content: "<html>", at: "/href", fault: "leads to text/html, for which"},
		{name: "a web page for declared JSON", input: points, declared: "application/json", sent: "text/html", content: "<html>", at: "/type", fault: "the server sent text/html"},
		{name: "an image for JSON", input: anObject, sent: "image/png", content: "png", at: "/href", fault: "it takes JSON"},
		{name: "an image is declared for JSON", input: anObject, declared: "image/png", at: "/type", fault: "it takes JSON"},

		{name: "text", input: aString, sent: "text/plain", content: "a\"ä\n", json: `"a\"ä\n"`},
		{name: "text of another kind", input: aString, sent: "text/x-wkt", content: "POINT", json: `"POINT"`},
		{name: "XML as text", input: aString, sent: "application/gml+xml", content: "<a/>", json: `"<a/>"`},
		{name: "a JSON string", input: aString, sent: "application/json", content: `"a"`, json: `"a"`},
		{name: "a JSON object for a string", input: aString, sent: "application/json", content: `{}`, at: "/href", fault: "does not fit"},
		{name: "empty text", input: aString, sent: "text/plain", json: `""`},
		{name: "text that is too long", input: aWord, sent: "text/plain", content: "abcdef", at: "/href", fault: "does not fit"},
		{name: "text that is not UTF-8", input: aString, sent: "text/plain", content: "\xff", at: "/href", fault: "not UTF-8"},
		{name: "text for a string or null", input: nullable, sent: "text/plain", content: "a", json: `"a"`},
		{name: "text for anything", input: anything, sent: "text/plain", content: "1", json: "1"},
		{name: "text that is no JSON for anything", input: anything, sent: "text/plain", content: "a", at: "/href", fault: "not valid JSON"},
		{name: "a table", input: aTable, sent: "text/csv", content: "a,b", json: `"a,b"`},
		{name: "a table, declared", input: aTable, declared: "text/csv", sent: "text/plain", content: "a,b", json: `"a,b"`},
		{name: "a table as bytes", input: aTable, sent: "application/octet-stream", content: "a,b", json: `"a,b"`},
		{name: "another kind for a table", input: aTable, sent: "image/png", content: "a,b", at: "/href", fault: "it takes text/csv, JSON"},
		{name: "JSON text in a string", input: quotedJS, sent: "application/json", content: `{"a":1}`, json: `"{\"a\":1}"`},

		{name: "an image", input: anImage, sent: "image/tiff", content: "tiff", data: "tiff", media: "image/tiff"},
		{name: "an image with the parameter", input: anImage, sent: "image/tiff; application=geotiff", content: "tiff", data: "tiff", media: "image/tiff; application=geotiff"},
		{name: "an image with another parameter", input: anImage, sent: "image/tiff; application=other", content: "tiff", at: "/href", fault: "it takes image/tiff; application=geotiff"},
		{name: "an image of unknown type", input: anImage, sent: "application/octet-stream", content: "tiff", data: "tiff", media: "image/tiff; application=geotiff"},
		{name: "an image declared", input: anImage, declared: "image/TIFF", sent: "application/octet-stream", content: "tiff", data: "tiff", media: "image/tiff"},
		{name: "an image declared and confirmed", input: anImage, declared: "image/tiff", sent: "image/tiff; application=geotiff", content: "tiff", data: "tiff", media: "image/tiff; application=geotiff"},
		{name: "an image declared as another", input: anImage, declared: "image/png", at: "/type", fault: "it takes image/tiff"},
		{name: "another image than declared", input: anImage, declared: "image/tiff", sent: "image/png", content: "png", at: "/type", fault: "the server sent image/png"},
		{name: "a message for an image", input: anImage, declared: "image/tiff", sent: "text/plain", content: "sorry", at: "/type", fault: "the server sent text/plain"},
		{name: "JSON for an image", input: anImage, sent: "application/json", content: "{}", at: "/href", fault: "it takes image/tiff"},
		{name: "any bytes", input: anyBytes, sent: "image/png", content: "png", data: "png", media: "image/png"},
		{name: "any bytes of unknown type", input: anyBytes, content: "png", data: "png", media: octets},
		{name: "JSON as any bytes", input: anyBytes, sent: "application/json", content: "{}", data: "{}", media: octets},
		{name: "no bytes", input: anyBytes, sent: "image/png", media: "image/png"},
		{name: "as many bytes as fit", input: small, sent: "image/png", content: "123456", data: "123456", media: "image/png"},
		{name: "too many bytes", input: small, sent: "image/png", content: "1234567", at: "/href", fault: "at most 8"},
		{name: "too few bytes", input: small, sent: "image/png", at: "/href", fault: "at least 1"},

		{name: "alternatives: bytes", input: either, sent: "image/tiff", content: "tiff", data: "tiff", media: "image/tiff"},
		{name: "alternatives: text", input: either, sent: "application/gml+xml", content: "<a/>", json: `"<a/>"`},
		{name: "alternatives: JSON", input: either, sent: "application/geo+json", content: `{}`, json: `{}`},
		{name: "alternatives: the first for an unknown type", input: either, content: "{}", data: "{}", media: "image/tiff"},
		{name: "alternatives: none", input: either, sent: "image/png", content: "png", at: "/href", fault: "it takes image/tiff, application/gml+xml, JSON"},

		{name: "a type that is none", input: aString, declared: "text", at: "/type", fault: "not a media type"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := &web{at: map[string]resource{"http://a/b": {media: normalMedia(c.sent), content: c.content}}}
			in := referring(t, w, c.input)
			values, err := in.run(t.Context(), fmt.Sprintf(`{"href":"http://a/b","type":%q}`, c.declared))
			if err != nil {
				t.Fatal(err)
			}
			if c.at != "" {
				wantFault(t, in, "x /inputs/x"+c.at, c.fault)
				if c.name == "a type that is none" && len(w.asked) > 0 {
					t.Error("the server was asked")
				}
				return
			}
			v := values["x"]
			if len(in.faults) > 0 || string(v.JSON) != c.json || string(v.Data) != c.data || v.MediaType != c.media || c.media != "" && v.Data == nil {
				t.Errorf("value %q %q %s, faults %v", v.JSON, v.Data, v.MediaType, in.faults)
			}
		})
	}
}

func wantFault(t testing.TB, in *intake, place, message string) {
	t.Helper()
	if len(in.faults) != 1 || in.faults[0].Input+" "+in.faults[0].Pointer != place || !strings.Contains(in.faults[0].Message, message) {
		t.Errorf("faults %+v, want %s: %s", in.faults, place, message)
	}
}

func TestNothingIsFetchedForARequestWithOtherFaults(t *testing.T) {
	t.Parallel()
	w := new(web)
	in := referring(t, w, anObject)
	if _, err := in.run(t.Context(), `{"href":"http://a"}`, "n", `"five"`); err != nil {
		t.Fatal(err)
	}
	wantFault(t, in, "n /inputs/n", "")
	if len(w.asked) > 0 {
		t.Error("a server was asked")
	}
}

func TestEveryReferenceThatFailsIsReported(t *testing.T) {
	t.Parallel()
	w := &web{at: map[string]resource{"http://fine": {media: "application/json", content: "1"}, "http://wrong": {media: "application/json", content: `"a"`}}}
	in := referring(t, w, `{"schema":{"type":"number"},"maxOccurs":"unbounded"}`)
	if _, err := in.run(t.Context(), `[{"href":"http://none"},{"href":"http://fine"},{"href":"http://wrong"},{"href":"http://none/2"}]`); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range in.faults {
		got = append(got, f.Pointer)
	}
	if d := cmp.Diff([]string{"/inputs/x/0/href", "/inputs/x/2/href", "/inputs/x/3/href"}, got); d != "" {
		t.Error(d)
	}
}

// An object that is a valid value and also looks like a reference.
func TestAnObjectWithAnHrefOfItsOwn(t *testing.T) {
	t.Parallel()
	const aLink = `{"schema":{"type":"object","required":["href"],"properties":{"href":{"type":"string"}}}}`
	w := &web{at: map[string]resource{
		"http://link": {media: "application/json", content: `{"href":"http://inner"}`},
		"http://page": {media: "text/html", content: "<html>"},
		"http://json": {media: "application/json", content: `[]`},
	}}
	for name, c := range map[string]struct {
		input, x, want string
		asked          int
	}{
		"the reference reading comes first":  {aLink, `{"href":"http://link"}`, `{"href":"http://inner"}`, 1},
		"what it leads to is no value":       {aLink, `{"href":"http://page"}`, `{"href":"http://page"}`, 1},
		"what it leads to does not fit":      {aLink, `{"href":"http://json"}`, `{"href":"http://json"}`, 1},
		"it leads nowhere":                   {aLink, `{"href":"http://none"}`, `{"href":"http://none"}`, 1},
		"it is not allowed":                  {aLink, `{"href":"mailto:a@b"}`, `{"href":"mailto:a@b"}`, 0},
		"it is declared as no value":         {aLink, `{"href":"http://link","type":"image/png"}`, `{"href":"http://link","type":"image/png"}`, 0},
		"it is wrapped":                      {aLink, `{"value":{"href":"http://link"}}`, `{"href":"http://link"}`, 0},
		"references are not taken":           {`{"schema":{"type":"object"},"valuePassing":["byValue"]}`, `{"href":"http://link"}`, `{"href":"http://link"}`, 0},
		"the schema does not know of hrefs":  {anObject, `{"href":"http://link"}`, `{"href":"http://inner"}`, 1},
		"in an alternative":                  {`{"schema":{"oneOf":[{"type":"number"},{"$ref":"#/$defs/l"}],"$defs":{"l":{"properties":{"href":{}}}}}}`, `{"href":"http://page"}`, `{"href":"http://page"}`, 1},
		"within an object is not its own":    {`{"schema":{"type":"object","properties":{"a":{"properties":{"href":{}}}}}}`, `{"href":"http://link"}`, `{"href":"http://inner"}`, 1},
		"an href that is no string is plain": {anObject, `{"href":5}`, `{"href":5}`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each := &web{at: w.at}
			in := referring(t, each, c.input)
			values, err := in.run(t.Context(), c.x)
			if err != nil || len(in.faults) > 0 || string(values["x"].JSON) != c.want || len(each.asked) != c.asked {
				t.Errorf("%s after %d requests, faults %v, %v", values["x"].JSON, len(each.asked), in.faults, err)
			}
		})
	}
}

func TestWithoutAFetcherReferencesAreRefused(t *testing.T) {
	t.Parallel()
	in := referring(t, nil, points)
	in.fetching = fetching{}
	if _, err := in.run(t.Context(), `{"href":"http://a"}`); err != nil {
		t.Fatal(err)
	}
	wantFault(t, in, "x /inputs/x/href", "not accepted by this server")
}

// FuzzReferenceObject looks for objects that make the intake fail or panic.
func FuzzReferenceObject(f *testing.F) {
	for _, seed := range []string{`{"href":"http://a"}`, `{"href":null}`, `{"href":"","type":"a/b;c=d"}`, `{"href":"http://a","headers":{"accept":"x"},"body":[],"method":"POST"}`,
		`[{"href":"http://b"},{"href":"ftp://"}]`, `{"value":1,"href":"http://a"}`, `{"href":"http://a","format":{"mediaType":5}}`, `{"href":"http://a","HREF":1}`} {
		f.Add(seed)
	}
	inputs := []string{aNumber, anObject, aTable, anImage, either, anything, `{"schema":{"type":"object","properties":{"href":{}}},"maxOccurs":2}`}
	f.Fuzz(func(t *testing.T, x string) {
		if !json.Valid([]byte(x)) {
			return
		}
		for _, input := range inputs {
			in := referring(t, &web{at: map[string]resource{"http://a": {media: "text/plain", content: "1"}, "http://b": {content: `{"a":2}`}}}, input)
			values, err := in.run(t.Context(), x)
			if err != nil {
				t.Fatalf("%s: %v", input, err)
			}
			v, ok := values["x"]
			if len(in.faults) == 0 && ok && v.MediaType == "" && !json.Valid([]byte(text(t, v))) {
				t.Errorf("%s: value %+v is not JSON", input, v)
			}
		}
	})
}

// left lists the files of an intake.
func left(in *intake) []string {
	var names []string
	entries, _ := os.ReadDir(in.dir)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestAReferenceThatIsNotFetchedIsToldFromOtherFaults(t *testing.T) {
	t.Parallel()
	w := &web{at: map[string]resource{"http://text": {media: "application/json", content: `"x"`}}}
	in := referring(t, w, aNumber)
	for href, want := range map[string]string{"http://none": TypeReference, "http://text": ""} {
		in.faults = nil
		if _, err := in.run(t.Context(), `{"href":"`+href+`"}`); err != nil || len(in.faults) != 1 || in.faults[0].Type != want {
			t.Errorf("%s: %+v, %v; want the type %q", href, in.faults, err, want)
		}
		in.refs = nil
	}
}
