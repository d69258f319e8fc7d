package host_test

import (
	"encoding/json"
	"testing"
)

// TestClientsOfPygeoapiFindWhatTheyKnow follows what such a client does: execute
// at once, read the list of outputs, and find the job at the Location.
func TestClientsOfPygeoapiFindWhatTheyKnow(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir(), []string{"hello-world"}, "--compat", "pygeoapi")
	c := newWeb(t, s.url)
	const execution, document = "/processes/hello-world/execution", `{"inputs":{"name":"Ada"},"response":"document"}`
	entry := func(body []byte) any {
		t.Helper()
		var doc struct{ Outputs []map[string]any }
		if err := json.Unmarshal(body, &doc); err != nil || len(doc.Outputs) != 1 || doc.Outputs[0]["id"] != "echo" {
			t.Fatalf("%v: %s", err, body)
		}
		return doc.Outputs[0]["value"]
	}
	r := c.must(t, 200, "POST", execution, document)
	path := r.job()
	if got := entry(r.body); got != "Hello Ada!" || path == "" {
		t.Errorf("%v at %q", got, path)
	}
	c.await(t, path, "successful")
	if got := entry(c.must(t, 200, "GET", path+"/results", "").body); got != "Hello Ada!" {
		t.Errorf("stored: %v", got)
	}
	raw := c.must(t, 200, "POST", execution, `{"inputs":{"name":"Ada"}}`)
	if string(raw.body) != `{"id":"echo","value":"Hello Ada!"}` || raw.job() == path {
		t.Errorf("%s at %s", raw.body, raw.job())
	}
	c.must(t, 200, "DELETE", path, "")
	var e struct{ Code, Description string }
	gone := c.must(t, 404, "GET", path, "")
	if err := json.Unmarshal(gone.body, &e); err != nil || e.Code != "NoSuchJob" || e.Description == "" {
		t.Errorf("%v: %s", err, gone.body)
	}
}
