package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// loadDefinition reads the published document as a client's tool would.
func loadDefinition(t *testing.T) *openapi3.T {
	t.Helper()
	w := do(t, newAPI(t, hello(t)), "GET", "/api", "")
	doc, err := openapi3.NewLoader().LoadFromData(w.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestDefinitionIsValidOpenAPI(t *testing.T) {
	t.Parallel()
	if err := loadDefinition(t).Validate(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestRepliesMatchTheDefinition(t *testing.T) {
	t.Parallel()
	doc := loadDefinition(t)
	observed(t, func(rt route, r *http.Request, status int, h http.Header, body []byte) {
		path, _ := openPath(rt.path)
		response := doc.Paths.Value(path).GetOperation(rt.method).Responses.Status(status)
		if response == nil {
			t.Errorf("%s %s: %d is not described", r.Method, r.URL, status)
			return
		}
		if len(body) == 0 {
			return
		}
		media := response.Value.Content.Get(h.Get("Content-Type"))
		if media == nil {
			t.Errorf("%s %s: %s is not described", r.Method, r.URL, h.Get("Content-Type"))
			return
		}
		var v any
		if err := json.NewDecoder(bytes.NewReader(body)).Decode(&v); err != nil {
			t.Fatal(err)
		}
		if err := media.Schema.Value.VisitJSON(v, openapi3.EnableFormatValidation()); err != nil {
			t.Errorf("%s %s: %v", r.Method, r.URL, err)
		}
	})
}
