package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// published is the document without processes, as a client's tool reads it: it
// describes what any process may answer.
var published = sync.OnceValues(func() (*openapi3.T, error) {
	a, err := New(Config{Service: &fakeService{}, SpoolDir: os.TempDir(), KVPExecute: true})
	if err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	a.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api", nil))
	return openapi3.NewLoader().LoadFromData(w.Body.Bytes())
})

// keepsPromise checks that a reply is one that the document knows. Every request
// of the tests of this package goes through it.
func keepsPromise(t testing.TB, a *API, r *http.Request, w *httptest.ResponseRecorder) {
	t.Helper()
	doc, err := published()
	if err != nil {
		t.Fatal(err)
	}
	method := r.Method
	if method == http.MethodHead && w.Code != http.StatusMethodNotAllowed {
		method = http.MethodGet
	}
	address := "/" + strings.TrimSuffix(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/") // one slash more makes no difference
	for _, rt := range a.routes {
		if rt.method != method || !matches(rt.path, address) {
			continue
		}
		path, _ := openPath(rt.path)
		response := doc.Paths.Value(path).GetOperation(method).Responses.Status(w.Code)
		if response == nil {
			t.Errorf("%s %s answers %d, which is not described", r.Method, r.URL, w.Code)
			return
		}
		for name := range response.Value.Headers {
			if response.Value.Headers[name].Value.Required && w.Header().Get(name) == "" {
				t.Errorf("%s %s: %d without %s", r.Method, r.URL, w.Code, name)
			}
		}
		for name := range headerDocs() {
			_, described := response.Value.Headers[name]
			if !described && w.Header().Get(name) != "" && (name != "Link" || method == http.MethodPost) { // documents have links in them, too
				t.Errorf("%s %s: %d with %s, which is not described", r.Method, r.URL, w.Code, name)
			}
		}
		if r.Method != http.MethodHead && w.Body.Len() > 0 {
			keepsBody(t, r, w, response.Value)
		}
		return
	}
}

// keepsBody checks a body against the description of a response.
func keepsBody(t testing.TB, r *http.Request, w *httptest.ResponseRecorder, response *openapi3.Response) {
	t.Helper()
	mediaType := w.Header().Get("Content-Type")
	media := response.Content.Get(mediaType)
	if media == nil {
		t.Errorf("%s %s: %d as %s, which is not described", r.Method, r.URL, w.Code, mediaType)
		return
	}
	if !isJSON(mediaType) || w.Code == http.StatusPartialContent || media.Schema.Value.IsEmpty() {
		return
	}
	var v any
	if err := json.NewDecoder(bytes.NewReader(w.Body.Bytes())).Decode(&v); err != nil {
		t.Errorf("%s %s: %v", r.Method, r.URL, err)
		return
	}
	if err := media.Schema.Value.VisitJSON(v, openapi3.EnableFormatValidation()); err != nil {
		t.Errorf("%s %s: %v", r.Method, r.URL, err)
	}
}
