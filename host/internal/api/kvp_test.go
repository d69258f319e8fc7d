package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// manyKinds is a process with an input of each kind that a query writes in its own
// way. text is an output too.
func manyKinds(t testing.TB) *job.Process {
	t.Helper()
	one, many := ogc.Occurs(1), ogc.Unbounded
	none := 0
	d := ogc.Process{
		ProcessSummary: ogc.ProcessSummary{ID: "kinds", Version: "1"},
		Inputs:         map[string]ogc.Input{},
		Outputs: map[string]ogc.Output{
			"text":  {Schema: json.RawMessage(`{"type":"string"}`)},
			"image": {Schema: json.RawMessage(`{"oneOf":[{"type":"string","contentMediaType":"image/png"},{"type":"string","contentMediaType":"image/svg+xml"}]}`)},
		},
	}
	for id, schema := range map[string]string{
		"text": `{"type":"string"}`, "number": `{"type":"number"}`, "whole": `{"type":"integer"}`, "flag": `{"type":"boolean"}`,
		"object": `{"type":"object"}`, "numbers": `{"type":"array","items":{"type":"number"}}`, "names": `{"type":"array","items":{"type":"string"}}`,
		"either": `{"oneOf":[{"type":"number"},{"type":"string"}]}`, "nullable": `{"type":["integer","null"]}`, "word": `{"enum":["1","a"]}`, "level": `{"enum":[1,2]}`,
		"anything": `{}`, "binary": `{"type":"string","contentEncoding":"base64","contentMediaType":"image/png"}`,
		"box":  `{"allOf":[{"format":"ogc-bbox"},{"type":"object","properties":{"bbox":{}}}]}`,
		"area": `{"type":"object","required":["bbox"],"properties":{"bbox":{"type":"array"},"crs":{"type":"string"}}}`,
		"tags": `{"type":"string"}`, "points": `{"type":"object"}`, "rows": `{"type":"array","items":{"type":"integer"}}`, "counts": `{"type":"integer"}`,
	} {
		in := ogc.Input{Schema: json.RawMessage(schema), MinOccurs: &none, MaxOccurs: &one}
		switch id {
		case "tags", "points", "rows", "counts":
			in.MaxOccurs = &many
		}
		d.Inputs[id] = in
	}
	p, err := job.NewProcess(d, job.Policy{}, job.Plugin{Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestQueriesBecomeExecuteRequests(t *testing.T) {
	t.Parallel()
	p := manyKinds(t)
	for query, want := range map[string]string{
		"":                           `{"inputs":{}}`,
		"text=a+b%26%22c%22":         `{"inputs":{"text":"a b\u0026\"c\""}}`,
		"text=":                      `{"inputs":{"text":""}}`,
		"text=5":                     `{"inputs":{"text":"5"}}`,
		"TEXT=x&Whole=4":             `{"inputs":{"text":"x","whole":4}}`,
		"number=-1.5e3&whole=7":      `{"inputs":{"number":-1.5e3,"whole":7}}`,
		"flag=true&nullable=null":    `{"inputs":{"flag":true,"nullable":null}}`,
		"either=5":                   `{"inputs":{"either":5}}`,
		"either=5a":                  `{"inputs":{"either":"5a"}}`,
		"word=1&level=1":             `{"inputs":{"level":1,"word":"1"}}`,
		"anything=%7B%22a%22:1%7D":   `{"inputs":{"anything":{"a":1}}}`,
		"anything=%7Bnot":            `{"inputs":{"anything":"{not"}}`,
		"object=%7B%22a%22:[1,2]%7D": `{"inputs":{"object":{"a":[1,2]}}}`,
		"numbers=[1,2]":              `{"inputs":{"numbers":[1,2]}}`,
		"numbers=1,2,3":              `{"inputs":{"numbers":[1,2,3]}}`,
		"numbers=":                   `{"inputs":{"numbers":[]}}`,
		"names=a%2Cb,c":              `{"inputs":{"names":["a,b","c"]}}`,
		"tags=a,b%2Cc&tags=d":        `{"inputs":{"tags":["a","b,c","d"]}}`,
		"tags=%5B%22a%22%5D":         `{"inputs":{"tags":["a"]}}`,
		"counts=1,2":                 `{"inputs":{"counts":[1,2]}}`,
		"points=%7B%22x%22:1%7D,%7B%22x%22:2,%22y%22:3%7D": `{"inputs":{"points":[{"x":1},{"x":2,"y":3}]}}`,
		"rows=[[1,2],[3]]":                          `{"inputs":{"rows":[[1,2],[3]]}}`,
		"rows=[1,2]&rows=[3]":                       `{"inputs":{"rows":[[1,2],[3]]}}`,
		"box=1,2,3,4":                               `{"inputs":{"box":{"bbox":[1,2,3,4]}}}`,
		"area=1,2,3,4.5,5,6&area[crs]=urn:x":        `{"inputs":{"area":{"bbox":[1,2,3,4.5,5,6],"crs":"urn:x"}}}`,
		"box=%7B%22bbox%22:[1,2,3,4]%7D":            `{"inputs":{"box":{"bbox":[1,2,3,4]}}}`,
		"binary=AQ%2B%2Fa%3D%3D":                    `{"inputs":{"binary":"AQ+/a=="}}`,
		"binary=A+_-":                               `{"inputs":{"binary":"A+/+"}}`,
		"binary=AQ":                                 `{"inputs":{"binary":"AQ=="}}`,
		"binary[value]=AQI=&binary[mediaType]=a/b":  `{"inputs":{"binary":{"value":"AQI=","mediaType":"a/b"}}}`,
		"object%5Bvalue%5D=%7B%7D&object[schema]=u": `{"inputs":{"object":{"value":{},"schema":"u"}}}`,
		"number=1&number[mediaType]=text/plain":     `{"inputs":{"number":{"value":1,"mediaType":"text/plain"}}}`,
		"object[href]=http://x/y%3Fz&object[type]=application/geo+json&object[title]=T": `{"inputs":{"object":{"href":"http://x/y?z","title":"T","type":"application/geo+json"}}}`,
		"text[include]=true":                                `{"inputs":{},"outputs":{"text":{}}}`,
		"text=a&text[include]=true&text[mediaType]=a/b":     `{"inputs":{"text":"a"},"outputs":{"text":{"format":{"mediaType":"a/b"}}}}`,
		"text[value]=a&text[include]=true&text[mediaType]=": `{"inputs":{"text":{"value":"a"}},"outputs":{"text":{}}}`,
		"text[value]=a&text[mediaType]=text/x":              `{"inputs":{"text":{"value":"a","mediaType":"text/x"}}}`,
		"image[include]=true&image[mediaType]=image/svg+xml&image[encoding]=e&image[schema]=%7B%22a%22:1%7D": `{"inputs":{},"outputs":{"image":{"format":{"mediaType":"image/svg+xml","encoding":"e","schema":{"a":1}}}}}`,
		"image[include]=true&image[transmissionMode]=reference":                                              `{"inputs":{},"outputs":{"image":{"transmissionMode":"reference"}}}`,
		"image[include]=false":                       `{"inputs":{},"outputs":{"text":{}}}`,
		"image[include]=false&text[include]=false":   `{"inputs":{},"outputs":{}}`,
		"response[f]=json&response[prefer]=x&&f1=":   "",
		"response[prefer]=respond-async&profile=abc": `{"inputs":{}}`,
	} {
		k, err := parseKVP(p, query)
		if want == "" {
			if err == nil {
				t.Errorf("%s: no error", query)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", query, faultsOf(err))
			continue
		}
		if string(k.body) != want {
			t.Errorf("%s:\ngot  %s\nwant %s", query, k.body, want)
		}
	}
}

func faultsOf(err error) []ogc.Fault {
	if e, ok := errors.AsType[*job.InvalidError](err); ok {
		return e.Faults
	}
	return nil
}

func TestQueriesThatMakeNoSenseNameEachParameter(t *testing.T) {
	t.Parallel()
	p := manyKinds(t)
	for query, names := range map[string]string{
		"nothing=1":                           "nothing",
		"number=x&whole=&flag=1":              "number whole flag",
		"text=a&text=b":                       "text",
		"text=a&TEXT=b":                       "text",
		"text=%zz":                            "text",
		"text=%ff":                            "text",
		"a%zz=1":                              "a%zz",
		"object=%7B%22a%22":                   "object",
		"object=5":                            "object",
		"numbers=1,x":                         "numbers",
		"counts=1,,2":                         "counts",
		"box=1,2,3":                           "box",
		"box=1,2,3,x":                         "box",
		"box=1,2,3,4&box=1,2,3,4":             "box",
		"box[crs]=urn:x":                      "box",
		"number=1&number[crs]=x":              "number",
		"text[href]=http://x&text=a":          "text",
		"text[type]=a/b":                      "text",
		"text[value]=a&text=b":                "text",
		"text[value]=a&text[value]=b":         "text[value]",
		"text[nothing]=1":                     "text[nothing]",
		"text[=1":                             "text[",
		"text[]=1":                            "text[]",
		"image=1":                             "image",
		"image[include]=yes":                  "image[include]",
		"image[mediaType]=image/png":          "image",
		"object[value]={}&object[schema]={":   "object",
		"response[f]=nonsense":                "response[f]",
		"response[f]=json&response[f]=json":   "response[f]",
		"response[other]=1":                   "response[other]",
		"image[include]=true&image[schema]={": "image[schema]",
	} {
		_, err := parseKVP(p, query)
		faults := faultsOf(err)
		var got []string
		for _, f := range faults {
			got = append(got, f.Input)
			if f.Message == "" {
				t.Errorf("%s: no message", query)
			}
		}
		if len(got) != len(strings.Fields(names)) {
			t.Errorf("%s: %q", query, got)
		}
		for _, name := range strings.Fields(names) {
			if !strings.Contains(" "+strings.Join(got, " ")+" ", " "+name+" ") {
				t.Errorf("%s: %q does not name %s", query, got, name)
			}
		}
	}
	if _, err := parseKVP(p, strings.Repeat("x=1&", 1000)); len(faultsOf(err)) != maxKVPFaults+1 {
		t.Errorf("%d faults are told", len(faultsOf(err)))
	}
}

// kvpService runs the process of manyKinds and tells what it was asked for.
func kvpService(t testing.TB) (*fakeService, *job.Request) {
	p := manyKinds(t)
	var got job.Request
	s := &fakeService{processes: []*job.Process{p}}
	inner := answer(p, map[string]job.Value{"text": {JSON: json.RawMessage(`"hi"`)}}, false)
	s.submit = func(ctx context.Context, r job.Request) (*job.Execution, error) {
		got = r
		if r.Prefer.Async {
			return &job.Execution{Job: job.Job{ID: "j1", ProcessID: p.ID, Status: ogc.Accepted}, Recorded: true}, nil
		}
		return inner(ctx, r)
	}
	return s, &got
}

func withKVP(c *Config) { c.KVPExecute = true }

func TestExecutionByQueryIsAnExecution(t *testing.T) {
	t.Parallel()
	s, got := kvpService(t)
	a := newAPI(t, s, withKVP)
	get := func(query string, headers ...string) (int, string, http.Header) {
		w := do(t, a, "GET", "/processes/kinds/execution?"+query, "", headers...)
		if w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: Cache-Control %q", query, w.Header().Get("Cache-Control"))
		}
		if w.Header().Get("Content-Security-Policy") != "sandbox" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%.100s: a browser would trust the reply: %v", query, w.Header())
		}
		return w.Code, w.Body.String(), w.Header()
	}
	if code, body, _ := get("text=a&counts=1,2&text[include]=true"); code != 200 || body != "hi" && body != `"hi"` && body != `"hi"`+"\n" {
		t.Errorf("%d: %q", code, body)
	}
	if string(got.Inputs["text"].Text) != `"a"` || string(got.Inputs["counts"].Text) != "[1,2]" || len(got.Outputs) != 1 {
		t.Errorf("request %+v", got)
	}
	_, _, h := get("text[include]=true&response[f]=text/plain", "Accept: application/json")
	if !strings.HasPrefix(h.Get("Content-Type"), "text/plain") {
		t.Errorf("response[f] has no effect: %v", h)
	}
	code, _, h := get("response[prefer]=respond-async", "Prefer: wait=5")
	if code != 201 || h.Get("Location") != "http://example.com/jobs/j1" || h.Get("Preference-Applied") != "respond-async" || got.Prefer.Wait == nil {
		t.Errorf("async: %d, %v", code, h)
	}
	if code, _, _ := get("text[include]=true&response[f]=image/png"); code != 406 {
		t.Errorf("not acceptable: %d", code)
	}
	if code, _, _ := get("x=" + strings.Repeat("y", maxKVP)); code != 414 {
		t.Errorf("too long: %d", code)
	}
	w := do(t, a, "GET", "/processes/kinds/execution?number=x&nothing=1", "")
	if e := wantProblem(t, w, 400, ogc.InvalidParameterValue); len(e.Errors) != 2 {
		t.Errorf("%+v", e)
	}
	wantProblem(t, do(t, a, "GET", "/processes/none/execution", ""), 404, ogc.NoSuchProcess)
}

func TestExecutionByQueryIsOffByDefault(t *testing.T) {
	t.Parallel()
	s, _ := kvpService(t)
	if w := do(t, newAPI(t, s), "GET", "/processes/kinds/execution?text=a", ""); w.Code != 405 || w.Header().Get("Allow") != "OPTIONS, POST" {
		t.Errorf("off: %d, %q", w.Code, w.Header().Get("Allow"))
	}
	if w := do(t, newAPI(t, s, withKVP), "HEAD", "/processes/kinds/execution?text=a", ""); w.Code != 405 || w.Header().Get("Allow") != "GET, OPTIONS, POST" {
		t.Errorf("HEAD: %d, %q", w.Code, w.Header().Get("Allow"))
	}
}

func TestDefinitionDescribesExecutionByQuery(t *testing.T) {
	t.Parallel()
	s, _ := kvpService(t)
	for on, a := range map[bool]*API{true: newAPI(t, s, withKVP), false: newAPI(t, s)} {
		item := definitionOf(t, a)["paths"].(map[string]any)["/processes/{processID}/execution"].(map[string]any)
		if _, there := item["get"]; there != on || item["post"] == nil {
			t.Errorf("turned on %t: GET is described: %t", on, there)
		}
	}
}

func FuzzKVP(f *testing.F) {
	for _, q := range []string{
		"text=a&counts=1,2&points={%22x%22:1},{}", "box=1,2,3,4&box[crs]=x", "binary[value]=AQ==&binary[mediaType]=a/b", "object[href]=u&object[type]=t",
		"text[include]=true&text[mediaType]=x/y&response[f]=json&response[prefer]=wait=1", "rows=[[1],[2]]&numbers=[", "a[b]=%zz&&=", "either=1e999",
	} {
		f.Add(q)
	}
	p := manyKinds(f)
	f.Fuzz(func(t *testing.T, query string) {
		k, err := parseKVP(p, query)
		if err != nil {
			if len(faultsOf(err)) == 0 {
				t.Fatalf("not a fault of the client: %v", err)
			}
			return
		}
		if err := checkUTF8(k.body); err != nil {
			t.Fatal(err)
		}
		if strings.Count(query, "[")+strings.Count(query, "%5") < maxDepth/4 { // else it may be nested too deep
			if _, err := scanBytes(k.body); err != nil {
				t.Fatalf("%s is not an execute request: %v", k.body, err)
			}
		}
		var request ogc.Execute
		if err := json.Unmarshal(k.body, &request); err != nil {
			t.Fatal(err)
		}
		for id := range request.Inputs {
			if _, ok := p.Inputs[id]; !ok {
				t.Fatalf("input %q of no process", id)
			}
		}
		if q, err := url.ParseQuery(query); err == nil && len(q) > 0 && len(request.Inputs) == 0 && request.Outputs == nil && k.accept == "" && k.prefer == nil && k.profile == nil {
			t.Fatalf("%q was taken for nothing", query)
		}
	})
}
