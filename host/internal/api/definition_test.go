package api

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// motley is a service with a process of each kind of schema there is, and one
// whose identifier is hard on tools.
func motley(t testing.TB) *fakeService {
	t.Helper()
	none, many := 0, ogc.Occurs(3)
	unbounded := ogc.Unbounded
	p, err := job.NewProcess(ogc.Process{
		ProcessSummary: ogc.ProcessSummary{ID: "motley:1~a", Version: "1.0.0", Title: "<script>alert('x')</script>", Description: "It's \"quoted\" & <b>bold</b>."},
		Inputs: map[string]ogc.Input{
			"number":   {Schema: json.RawMessage(`{"type":"number","exclusiveMinimum":0,"examples":[1.5]}`)},
			"nullable": {Schema: json.RawMessage(`{"type":["string","null"],"default":null}`)},
			"box":      {Schema: json.RawMessage(`{"format":"ogc-bbox"}`)},
			"shape":    {Schema: json.RawMessage(`{"$ref":"https://geojson.org/schema/Geometry.json"}`), MinOccurs: &none, MaxOccurs: &unbounded, ValuePassing: []string{"byValue"}},
			"tree":     {Schema: json.RawMessage(`{"$schema":"https://json-schema.org/draft/2020-12/schema","$ref":"#/$defs/tree","$defs":{"tree":{"type":"object","properties":{"children":{"type":"array","items":{"$ref":"#/$defs/tree"}}},"additionalProperties":false}}}`), MinOccurs: &none},
			"image":    {Schema: json.RawMessage(`{"type":"string","contentEncoding":"base64","contentMediaType":"image/png"}`), MinOccurs: &none},
			"words":    {Schema: json.RawMessage(`{"type":"string","enum":["it's"]}`), MaxOccurs: &many},
			"tuple":    {Schema: json.RawMessage(`{"type":"array","prefixItems":[{"const":1},{"type":"string"}],"if":{"minItems":3},"then":false}`), MinOccurs: &none},
			"any":      {Schema: json.RawMessage(`{}`), MinOccurs: &none},
		},
		Outputs: map[string]ogc.Output{
			"echo":  {Schema: json.RawMessage(`{"oneOf":[{"type":"string","contentMediaType":"text/csv"},{"type":"object"}]}`)},
			"list":  {Schema: json.RawMessage(`{"type":"integer"}`), MaxOccurs: &many},
			"shape": {Schema: json.RawMessage(`{"$ref":"https://geojson.org/schema/FeatureCollection.json"}`)},
		},
	}, job.Policy{}, job.Plugin{})
	if err != nil {
		t.Fatal(err)
	}
	s := hello(t)
	s.processes = append(s.processes, p)
	return s
}

func TestDefinitionsAreValidOpenAPI(t *testing.T) {
	t.Parallel()
	a := newAPI(t, motley(t))
	for f, version := range map[string]string{"oas30": "3.0.3", "oas31": "3.1.0"} {
		t.Run(f, func(t *testing.T) {
			t.Parallel()
			text := do(t, a, "GET", "/api?f="+f, "").Body.Bytes()
			doc, err := openapi3.NewLoader().LoadFromData(text)
			if err != nil {
				t.Fatal(err)
			}
			if doc.OpenAPI != version {
				t.Errorf("version %s", doc.OpenAPI)
			}
			if err := doc.Validate(t.Context()); err != nil {
				t.Error(err)
			}
			other, err := libopenapi.NewDocument(text)
			if err != nil {
				t.Fatal(err)
			}
			v, errs := validator.NewValidator(other)
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			if ok, errs := v.ValidateDocument(); !ok {
				for _, e := range errs {
					t.Errorf("%s: %s", e.Message, e.Reason)
					for _, s := range e.SchemaValidationErrors {
						t.Errorf("  %s: %s", s.FieldPath, s.Reason)
					}
				}
			}
		})
	}
}

// TestConformanceOAS is the classes oas30 of 1.0 and 2.0, and oas31: the landing
// page leads to each form of the definition, and only what is described is
// implemented, every status included (see keepsPromise).
func TestConformanceOAS(t *testing.T) {
	t.Parallel()
	a := newAPI(t, motley(t))
	found := map[string]bool{}
	for _, l := range decode[ogc.LandingPage](t, do(t, a, "GET", "/", "")).Links {
		if l.Rel != "service-desc" && l.Rel != "service-doc" {
			continue
		}
		w := do(t, a, "GET", l.Href, "")
		if got := w.Header().Get("Content-Type"); w.Code != 200 || !strings.HasPrefix(got, l.Type) {
			t.Errorf("%s: %d, %s", l.Href, w.Code, got)
		}
		found[l.Type] = true
	}
	for _, mediaType := range []string{mediaOpenAPI, mediaOpenAPI31, mediaHTML} {
		if !found[mediaType] {
			t.Errorf("no link to %s", mediaType)
		}
	}
	for _, rt := range a.routes {
		if len(rt.doc.replies) == 0 || len(rt.doc.errors) == 0 {
			t.Errorf("%s %s says nothing of its replies", rt.method, rt.path)
		}
	}
}

func TestDefinitionIsNegotiated(t *testing.T) {
	t.Parallel()
	a := newAPI(t, hello(t))
	for _, c := range []struct{ query, accept, mediaType, version string }{
		{"", "", mediaOpenAPI, "3.0.3"},
		{"", "*/*", mediaOpenAPI, "3.0.3"},
		{"", "application/*", mediaOpenAPI, "3.0.3"},
		{"", "application/json", mediaJSON, "3.0.3"},
		{"", "application/vnd.oai.openapi+json", mediaOpenAPI, "3.0.3"},
		{"", "application/vnd.oai.openapi+json; version=3.1", mediaOpenAPI31, "3.1.0"},
		{"", `application/vnd.oai.openapi+json;version="3.1.0"`, mediaOpenAPI31, "3.1.0"},
		{"", "application/vnd.oai.openapi+json;version=3.0;q=0.5, application/vnd.oai.openapi+json;version=3.1", mediaOpenAPI31, "3.1.0"},
		{"", "application/vnd.oai.openapi+json;version=2.0, application/json;q=0.1", mediaJSON, "3.0.3"},
		{"?f=oas31", "text/html", mediaOpenAPI31, "3.1.0"},
		{"?f=oas30", "", mediaOpenAPI, "3.0.3"},
		{"?f=json", "", mediaJSON, "3.0.3"},
		{"?f=html", "", "text/html; charset=utf-8", ""},
		{"", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", "text/html; charset=utf-8", ""},
	} {
		w := do(t, a, "GET", "/api"+c.query, "", "Accept: "+c.accept)
		if w.Code != 200 || w.Header().Get("Content-Type") != c.mediaType || w.Header().Get("Vary") != "Accept" {
			t.Errorf("%s %q: %d, %v", c.query, c.accept, w.Code, w.Header())
			continue
		}
		if c.version != "" {
			if got := decode[map[string]any](t, w)["openapi"]; got != c.version {
				t.Errorf("%s %q: OpenAPI %v", c.query, c.accept, got)
			}
		}
	}
	wantProblem(t, do(t, a, "GET", "/api", "", "Accept: application/vnd.oai.openapi+json;version=2.0"), 406, blank)
	wantProblem(t, do(t, a, "GET", "/api?f=yaml", ""), 400, ogc.InvalidQueryParameterValue)
}

func TestDefinitionFollowsTheProcesses(t *testing.T) {
	t.Parallel()
	s := hello(t)
	a := newAPI(t, s)
	first := do(t, a, "GET", "/api", "")
	tag := first.Header().Get("ETag")
	if again := do(t, a, "GET", "/api", "", `If-None-Match: "x", W/`+tag); again.Code != 304 || again.Body.Len() != 0 || again.Header().Get("ETag") != tag {
		t.Errorf("%d, %v", again.Code, again.Header())
	}
	if other := do(t, a, "GET", "http://elsewhere.example/api", ""); other.Header().Get("ETag") == tag {
		t.Error("another address, but the same entity tag")
	} else if url := decode[openapi3.T](t, other).Servers[0].URL; url != "http://elsewhere.example" {
		t.Errorf("server %s", url)
	}
	s.processes = []*job.Process{testProcess(t, "new", objectOutput)}
	later := do(t, a, "GET", "/api", "", "If-None-Match: "+tag)
	if paths := decode[openapi3.T](t, later).Paths; later.Code != 200 || paths.Value("/processes/new/execution") == nil || paths.Value("/processes/hello-world/execution") != nil {
		t.Errorf("%d, paths %v", later.Code, paths.Keys())
	}
}

func TestExecutionsAreTyped(t *testing.T) {
	t.Parallel()
	a := newAPI(t, motley(t))
	doc, err := openapi3.NewLoader().LoadFromData(do(t, a, "GET", "/api", "").Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	op := doc.Paths.Value("/processes/motley:1~a/execution").Post
	body := op.RequestBody.Value.Content.Get(mediaJSON)
	for text, valid := range map[string]bool{
		`{"inputs":{"number":1,"box":{"bbox":[1,2,3,4]},"words":"it's"}}`:                                          true,
		`{"inputs":{"number":{"value":1},"box":{"value":{"bbox":[1,2,3,4]}},"words":["it's"],"image":null}}`:       true,
		`{"inputs":{"number":{"href":"https://example.com"},"box":{},"words":"it's","nullable":null,"any":[1]}}`:   true,
		`{"inputs":{"number":1,"box":{},"words":"it's","tree":{"value":{"children":[{}]}}},"outputs":{"list":{}}}`: true,
		`{"inputs":{"number":0,"box":{},"words":"it's"}}`:                                                          false,
		`{"inputs":{"number":1,"box":{},"words":["it's","it's","it's","it's"]}}`:                                   false,
		`{"inputs":{"number":1,"box":{},"words":"other"}}`:                                                         false,
		`{"inputs":{"number":1,"box":{}}}`:                                                                         false,
		`{"inputs":{"number":1,"box":{},"words":"it's","unknown":1}}`:                                              false,
		`{"inputs":{"number":1,"box":{},"words":"it's"},"outputs":{"unknown":{}}}`:                                 false,
		`{"inputs":{"number":1,"box":{},"words":"it's"},"response":"other"}`:                                       false,
		`{"inputs":{"number":1,"box":{},"words":"it's","tree":{"value":{"other":1}}}}`:                             false,
		`{}`: false,
	} {
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		if err := body.Schema.Value.VisitJSON(v); (err == nil) != valid {
			t.Errorf("%s: %v", text, err)
		}
	}
	want := `{"inputs":{"any":null,"box":{"value":{"bbox":[7,50,8,51]}},"nullable":null,"number":1.5,"words":["it's"]}}`
	example, _ := json.Marshal(body.Example)
	if !slices.Contains([]string{want, strings.Replace(want, `"any":null,`, "", 1)}, string(example)) {
		t.Errorf("example %s", example)
	}
}

func TestDefinitionPageIsSelfContained(t *testing.T) {
	t.Parallel()
	w := do(t, newAPI(t, motley(t)), "GET", "/api?f=html", "")
	text := w.Body.String()
	policy := w.Header().Get("Content-Security-Policy")
	_, style, _ := strings.Cut(text, "<style>")
	style, _, _ = strings.Cut(style, "</style>")
	if !strings.HasPrefix(policy, "default-src 'none'") || style == "" || !strings.Contains(policy, "'sha256-"+hash(style)+"'") {
		t.Errorf("policy %q does not admit the style", policy)
	}
	for _, bad := range []string{"<script", "<b>", "src=", "<link", "@import", "url("} {
		if strings.Contains(text, bad) {
			t.Errorf("%s in the page", bad)
		}
	}
	for _, want := range []string{"hello-world", "/jobs/{jobID}/results", "&lt;script&gt;", "curl -H"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in the page", want)
		}
	}
	for rest := text; ; {
		_, after, more := strings.Cut(rest, `href="`)
		if !more {
			break
		}
		to, _, _ := strings.Cut(after, `"`)
		if u, err := url.Parse(to); err != nil || u.Host != "example.com" {
			t.Errorf("the page leads to %s", to)
		}
		rest = after
	}
	if w.Code != http.StatusOK {
		t.Errorf("%d", w.Code)
	}
}
