package api

import (
	"context"
	"encoding/json"
	"testing"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// outputsOf makes descriptions of outputs.
func outputsOf(t testing.TB, text string) map[string]ogc.Output {
	t.Helper()
	var outputs map[string]ogc.Output
	if err := json.Unmarshal([]byte(text), &outputs); err != nil {
		t.Fatal(err)
	}
	return outputs
}

const (
	imageOut   = `{"out":{"schema":{"oneOf":[{"type":"string","contentEncoding":"base64","contentMediaType":"image/png"},{"type":"string","contentEncoding":"base64","contentMediaType":"image/tiff"}]}}}`
	xmlOnlyOut = `{"out":{"schema":{"type":"string","contentMediaType":"text/xml"}}}`
	objectOut  = `{"out":{"schema":{"type":"object"}}}`
	scalarOut  = `{"out":{"schema":{"type":"number"}}}`
	unknownOut = `{"out":{"schema":{}}}`
	arrayOut   = `{"out":{"schema":{"type":"string","contentMediaType":"text/xml"},"maxOccurs":3}}`
	twoOut     = `{"a":{"schema":{"type":"string"}},"b":{"schema":{"type":"number"}}}`
	vectorOut  = `{"out":{"schema":{"oneOf":[{"type":"object","contentMediaType":"application/geo+json"},{"type":"string","contentMediaType":"application/gml+xml"}]}}}`
)

func TestAdmissibilityIsDecidedByTheDescription(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, outputs, selection, response, accept string
		format                                     string
		refused                                    bool
	}{
		{"anything", imageOut, "", "", "*/*", "image/png", false},
		{"the one that is accepted", imageOut, "", "", "image/tiff", "image/tiff", false},
		{"the one that is preferred", imageOut, "", "", "image/png;q=0.5, image/tiff", "image/tiff", false},
		{"JSON above all", imageOut, "", "", "application/json, image/tiff;q=0.5", "", false},
		{"JSON as a last resort", imageOut, "", "", "application/json;q=0.1, image/tiff;q=0.5", "image/tiff", false},
		{"a range of them", imageOut, "", "", "image/*", "image/png", false},
		{"none of them", imageOut, "", "", "image/gif", "", true},
		{"none of them, raw", imageOut, "", "raw", "image/gif", "", true},
		{"raw", imageOut, "", "raw", "image/tiff", "image/tiff", false},
		{"the format is chosen already", imageOut, `{"out":{"format":{"mediaType":"image/png"}}}`, "", "image/*", "", false},
		{"and is not accepted", imageOut, `{"out":{"format":{"mediaType":"image/png"}}}`, "", "image/tiff", "", true},
		{"and not accepted but in JSON", imageOut, `{"out":{"format":{"mediaType":"image/png"}}}`, "", "application/json, image/tiff", "", false},
		{"refused by name", imageOut, "", "", "image/png;q=0, image/*", "image/tiff", false},
		{"a single type", xmlOnlyOut, "", "", "text/*", "", false},
		{"not that type", xmlOnlyOut, "", "", "text/html", "", true},
		{"GeoJSON of an object", objectOut, "", "", "application/geo+json", "", false},
		{"no JSON of an object", objectOut, "", "", "text/plain", "", true},
		{"a number as text", scalarOut, "", "", "text/plain", "", false},
		{"a number as XML", scalarOut, "", "", "text/xml", "", true},
		{"GML", vectorOut, "", "", "application/gml+xml", "application/gml+xml", false},
		{"GeoJSON", vectorOut, "", "", "application/geo+json", "application/geo+json", false},
		{"a schema that does not tell", unknownOut, "", "", "image/png", "", false},
		{"an array of values is JSON", arrayOut, "", "", "text/xml", "", true},
		{"an array of values", arrayOut, "", "", "application/*", "", false},
		{"a document", imageOut, "", "document", "application/json;q=0.1", "", false},
		{"a document that is not admitted", imageOut, "", "document", "image/png", "", true},
		{"a document of one link", imageOut, `{"out":{"transmissionMode":"reference"}}`, "document", "image/png", "", true},
		{"one link", imageOut, `{"out":{"transmissionMode":"reference"}}`, "", "image/gif", "", false},
		{"one link, raw", imageOut, `{"out":{"transmissionMode":"reference"}}`, "raw", "image/gif", "", false},
		{"none", twoOut, `{}`, "document", "image/gif", "", false},
		{"several", twoOut, "", "", "application/json", "", false},
		{"several in parts", twoOut, "", "", "multipart/related", "", false},
		{"several as text", twoOut, "", "", "text/plain", "", true},
		{"one of several as text", twoOut, `{"b":{}}`, "", "text/plain", "", false},
		{"several raw", twoOut, "", "raw", "multipart/*", "", false},
		{"several raw as JSON", twoOut, "", "raw", "application/json", "", false},
		{"several raw as text", twoOut, "", "raw", "text/plain", "", true},
		{"several raw, all of them links", twoOut, `{"a":{"transmissionMode":"reference"},"b":{"transmissionMode":"reference"}}`, "raw", "text/plain", "", false},
		{"several raw, one of them a link", twoOut, `{"a":{"transmissionMode":"reference"},"b":{}}`, "raw", "text/plain", "", true},
		{"an output that is not there", twoOut, `{"c":{}}`, "", "text/plain", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var selection map[string]ogc.OutputSelection
			if c.selection != "" {
				if err := json.Unmarshal([]byte(c.selection), &selection); err != nil {
					t.Fatal(err)
				}
			}
			id, format, err := admissible(outputsOf(t, c.outputs), selection, c.response, parseAccept([]string{c.accept + " "}))
			if (err != nil) != c.refused || format != c.format || format != "" && id != "out" {
				t.Errorf("format %q of %q, %v", format, id, err)
			}
		})
	}
}

func TestAcceptChoosesTheFormatThatIsComputed(t *testing.T) {
	t.Parallel()
	p := testProcess(t, "p", map[string]string{"out": string(outputsOf(t, imageOut)["out"].Schema)})
	s := &fakeService{processes: []*job.Process{p}}
	run := answer(p, map[string]job.Value{"out": {Data: []byte("x"), MediaType: "image/tiff"}}, false)
	var got map[string]ogc.OutputSelection
	s.submit = spy(run, &got)
	w := do(t, newAPI(t, s), "POST", "/processes/p/execution", `{}`, "Accept: image/tiff, image/png;q=0.3")
	if w.Code != 200 || got["out"].Format == nil || got["out"].Format.MediaType != "image/tiff" {
		t.Errorf("%d, selection %+v", w.Code, got)
	}
	if do(t, newAPI(t, s), "POST", "/processes/p/execution", `{}`, "Accept: application/json"); got != nil {
		t.Errorf("selection %+v", got)
	}
}

func TestFormatsThatOutputsLackAreFaultsByName(t *testing.T) {
	t.Parallel()
	const schema = `{"oneOf":[
		{"type":"string","contentEncoding":"base64","contentMediaType":"image/tiff"},
		{"type":"string","contentMediaType":"application/gml+xml; version=3.2","contentSchema":"http://example.com/gml.xsd"},
		{"type":"object"}]}`
	out := ogc.Output{Schema: json.RawMessage(schema)}
	for _, c := range []struct{ format, pointer string }{
		{`{}`, ""},
		{`{"mediaType":"image/tiff"}`, ""},
		{`{"mediaType":"IMAGE/TIFF","encoding":"base64"}`, ""},
		{`{"mediaType":"image/tiff","encoding":"binary"}`, ""},
		{`{"mediaType":"application/gml+xml"}`, ""},
		{`{"mediaType":"application/gml+xml;version=3.2","encoding":"UTF-8","schema":"http://example.com/gml.xsd"}`, ""},
		{`{"mediaType":"application/json"}`, ""},
		{`{"mediaType":"image/png"}`, "mediaType"},
		{`{"mediaType":"application/gml+xml;version=2.1"}`, "mediaType"},
		{`{"mediaType":"image/tiff","encoding":"gzip"}`, "encoding"},
		{`{"mediaType":"application/gml+xml","encoding":"base64"}`, "encoding"},
		{`{"mediaType":"application/gml+xml","schema":"http://example.com/other.xsd"}`, "schema"},
		{`{"mediaType":"application/gml+xml","schema":{"type":"object"}}`, "schema"},
	} {
		var f ogc.Format
		if err := json.Unmarshal([]byte(c.format), &f); err != nil {
			t.Fatal(err)
		}
		if member, message := checkFormat(formatsOf(out), f); member != c.pointer || (message == "") != (member == "") {
			t.Errorf("%s: %q %q", c.format, member, message)
		}
	}
	p := testProcess(t, "p", map[string]string{"out": string(outputsOf(t, imageOut)["out"].Schema)})
	a := newAPI(t, &fakeService{processes: []*job.Process{p}})
	e := wantProblem(t, do(t, a, "POST", "/processes/p/execution", `{"outputs":{"out":{"format":{"mediaType":"image/tiff","encoding":"gzip"}}}}`), 400, ogc.InvalidParameterValue)
	if len(e.Errors) != 1 || e.Errors[0].Input != "out" || e.Errors[0].Pointer != "/outputs/out/format/encoding" {
		t.Errorf("faults %+v", e.Errors)
	}
}

// spy notes the selection of each request.
func spy(submit submitFunc, got *map[string]ogc.OutputSelection) submitFunc {
	return func(ctx context.Context, r job.Request) (*job.Execution, error) {
		*got = r.Outputs
		return submit(ctx, r)
	}
}

type submitFunc = func(context.Context, job.Request) (*job.Execution, error)
