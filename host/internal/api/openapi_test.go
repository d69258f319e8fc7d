package api

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"geomill/sdk/ogc"
)

// definitionOf returns the published document.
func definitionOf(t testing.TB, a *API) map[string]any {
	t.Helper()
	w := do(t, a, "GET", "/api", "")
	if w.Code != 200 || w.Header().Get("Content-Type") != mediaOpenAPI {
		t.Fatalf("%d %s", w.Code, w.Header().Get("Content-Type"))
	}
	return decode[map[string]any](t, w)
}

func TestDefinitionDescribesEveryRoute(t *testing.T) {
	t.Parallel()
	a := newAPI(t, hello(t))
	doc := definitionOf(t, a)
	ids := map[string]bool{}
	operations := 0
	for _, item := range doc["paths"].(map[string]any) {
		operations += len(item.(map[string]any))
	}
	own := 0 // operations of hello-world
	for _, rt := range a.routes {
		if strings.HasPrefix(rt.path, "/processes/:processID") {
			own++
		}
	}
	if operations != len(a.routes)+own {
		t.Errorf("%d operations for %d routes", operations, len(a.routes)+own)
	}
	for _, rt := range a.routes {
		path, params := openPath(rt.path)
		op, ok := doc["paths"].(map[string]any)[path].(map[string]any)[strings.ToLower(rt.method)].(map[string]any)
		if !ok {
			t.Errorf("%s %s is missing", rt.method, path)
			continue
		}
		id := op["operationId"].(string)
		if ids[id] || op["summary"] == "" || len(op["responses"].(map[string]any)) == 0 {
			t.Errorf("%s %s: %v", rt.method, path, op)
		}
		ids[id] = true
		text, _ := json.Marshal(op["parameters"])
		for _, p := range params {
			if !strings.Contains(string(text), "/"+p+`"`) {
				t.Errorf("%s %s: parameter %s is missing", rt.method, path, p)
			}
		}
	}
}

func TestReferencesOfTheDefinitionResolve(t *testing.T) {
	t.Parallel()
	doc := definitionOf(t, newAPI(t, hello(t)))
	used := map[string]bool{}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			if to, ok := v["$ref"].(string); ok {
				used[to] = true
				at := any(doc)
				for step := range strings.SplitSeq(strings.TrimPrefix(to, "#/"), "/") {
					m, _ := at.(map[string]any)
					at = m[step]
				}
				if at == nil {
					t.Errorf("%s leads nowhere", to)
				}
			}
			for _, e := range v {
				walk(e)
			}
		}
	}
	walk(doc)
	for kind, components := range doc["components"].(map[string]any) {
		for name := range components.(map[string]any) {
			if to := "#/components/" + kind + "/" + name; !used[to] {
				t.Errorf("%s is not used", to)
			}
		}
	}
}

func TestDefinitionListsTheProcessesThereAre(t *testing.T) {
	t.Parallel()
	s := hello(t)
	a := newAPI(t, s)
	enum := func() any {
		parameters := definitionOf(t, a)["components"].(map[string]any)["parameters"].(map[string]any)
		return parameters["processID"].(map[string]any)["schema"].(map[string]any)["enum"]
	}
	if got, ok := enum().([]any); !ok || len(got) != 1 || got[0] != "hello-world" {
		t.Errorf("processes %v", got)
	}
	s.processes = nil
	if got := enum(); got != nil {
		t.Errorf("processes %v", got)
	}
}

// observed sends one request of each kind that the other tests know and calls
// see with what came back.
func observed(t *testing.T, see func(rt route, r *http.Request, status int, h http.Header, body []byte)) {
	a := newAPI(t, oneJob(t, ogc.Successful))
	failed := newAPI(t, oneJob(t, ogc.Failed))
	running := newAPI(t, oneJob(t, ogc.Running))
	for _, c := range []struct {
		a                  *API
		method, path, body string
		accept             string
	}{
		{a, "GET", "/", "", ""}, {a, "GET", "/", "", "image/png"}, {a, "GET", "/?f=x", "", ""},
		{a, "GET", "/conformance", "", ""}, {a, "GET", "/api", "", ""},
		{a, "GET", "/processes", "", ""}, {a, "GET", "/processes?limit=0", "", ""},
		{a, "GET", "/processes/hello-world", "", ""}, {a, "GET", "/processes/none", "", ""},
		{a, "POST", "/processes/hello-world/execution", "{}", ""},
		{a, "POST", "/processes/hello-world/execution", `{"response":"document"}`, ""},
		{a, "POST", "/processes/hello-world/execution", `{"outputs":{}}`, ""},
		{a, "POST", "/processes/hello-world/execution", "[]", ""},
		{a, "POST", "/processes/none/execution", "{}", ""},
		{a, "POST", "/processes/hello-world/execution", "{}", "image/png"},
		{a, "GET", "/jobs", "", ""}, {a, "GET", "/jobs?status=x", "", ""},
		{a, "GET", "/jobs/j1", "", ""}, {failed, "GET", "/jobs/j1", "", ""}, {running, "GET", "/jobs/j1", "", ""},
		{a, "GET", "/jobs/none", "", ""}, {a, "GET", "/jobs/removed", "", ""},
		{running, "DELETE", "/jobs/j1", "", ""}, {a, "DELETE", "/jobs/none", "", ""},
		{a, "GET", "/jobs/j1/results", "", ""}, {failed, "GET", "/jobs/j1/results", "", ""}, {running, "GET", "/jobs/j1/results", "", ""},
		{a, "GET", "/jobs/j1/results?outputs=none", "", ""},
		{a, "GET", "/jobs/j1/results/echo", "", ""}, {a, "GET", "/jobs/j1/results/none", "", ""},
	} {
		w := do(t, c.a, c.method, c.path, c.body, "Accept: "+c.accept)
		r, err := http.NewRequest(c.method, "http://example.com"+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		for _, rt := range c.a.routes {
			if rt.method == c.method && matches(rt.path, r.URL.Path) {
				see(rt, r, w.Code, w.Header(), w.Body.Bytes())
			}
		}
	}
}

func matches(pattern, path string) bool {
	p, s := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(p) != len(s) {
		return false
	}
	for i := range p {
		if p[i] != s[i] && (s[i] == "" || !strings.HasPrefix(p[i], ":")) {
			return false
		}
	}
	return true
}

func TestEveryStatusIsInTheDefinition(t *testing.T) {
	t.Parallel()
	doc := definitionOf(t, newAPI(t, hello(t)))
	seen := 0
	observed(t, func(rt route, r *http.Request, status int, _ http.Header, _ []byte) {
		seen++
		path, _ := openPath(rt.path)
		responses := doc["paths"].(map[string]any)[path].(map[string]any)[strings.ToLower(rt.method)].(map[string]any)["responses"].(map[string]any)
		if responses[strconv.Itoa(status)] == nil {
			t.Errorf("%s %s answers %d, which is not described", r.Method, r.URL, status)
		}
	})
	if seen < 30 {
		t.Errorf("only %d requests had a route", seen)
	}
}

// TestDefinitionTellsWhichAddressesAreAsked is about a part of what the server
// checks of the addresses in a request: those that match may still be refused.
func TestDefinitionTellsWhichAddressesAreAsked(t *testing.T) {
	t.Parallel()
	schemas := definitionOf(t, newAPI(t, hello(t)))["components"].(map[string]any)["schemas"].(map[string]any)
	member := func(schema, name string) map[string]any {
		return schemas[schema].(map[string]any)["properties"].(map[string]any)[name].(map[string]any)
	}
	for where, schema := range map[string]map[string]any{
		"a reference":  member("reference", "href"),
		"a subscriber": member("execute", "subscriber")["properties"].(map[string]any)["successUri"].(map[string]any),
	} {
		pattern := regexp.MustCompile(schema["pattern"].(string))
		for address, want := range map[string]bool{
			"http://a.example": true, "https://a.example:8080/b?c#d": true, "http://[::1]/": true,
			"": false, "/jobs": false, "a.example/b": false, "ftp://a.example/": false, "http:///b": false, "http://a:b@a.example/": false,
		} {
			if pattern.MatchString(address) != want {
				t.Errorf("%s: %q matches %t", where, address, !want)
			}
		}
	}
}

func TestDefinitionWantsNoEmptyNames(t *testing.T) {
	t.Parallel()
	parameters := definitionOf(t, newAPI(t, hello(t)))["components"].(map[string]any)["parameters"].(map[string]any)
	for _, name := range []string{"type", "ofProcess", "outputs"} {
		items := parameters[name].(map[string]any)["schema"].(map[string]any)["items"].(map[string]any)
		if items["minLength"] != float64(1) {
			t.Errorf("%s: %v", name, items)
		}
	}
}
