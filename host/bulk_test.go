package host_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
	"testing"
)

// TestLargeValuesArriveWhole sends a text of 20 MB inline through echo in
// every form of answer.
func TestLargeValuesArriveWhole(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir(), []string{"echo"})
	c := newWeb(t, s.url)
	const size = 20_000_000
	text := strings.Repeat(`a"ä\n`, size/6)
	quoted, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	body := func(members string) string { return `{` + members + `"inputs":{"text":` + string(quoted) + `}}` }
	same := func(t *testing.T, value json.RawMessage) {
		t.Helper()
		var got string
		if err := json.Unmarshal(value, &got); err != nil || got != text {
			t.Errorf("%d bytes of text, want %d, %v", len(got), len(text), err)
		}
	}
	t.Run("document", func(t *testing.T) {
		var doc map[string]json.RawMessage
		r := c.must(t, 200, "POST", echo, body(`"response":"document","outputs":{"text":{}},`))
		if err := json.Unmarshal(r.body, &doc); err != nil {
			t.Fatal(err)
		}
		same(t, doc["text"])
	})
	t.Run("raw", func(t *testing.T) {
		r := c.must(t, 200, "POST", echo, body(`"response":"raw","outputs":{"text":{}},`))
		same(t, r.body)
	})
	t.Run("results of a job", func(t *testing.T) {
		path := c.must(t, 201, "POST", echo, body(""), "Prefer", "respond-async").job()
		c.await(t, path, "successful")
		whole := c.must(t, 200, "GET", path+"/results/text", "")
		same(t, whole.body)
		c.must(t, 200, "GET", path+"/results", "")
		tag := whole.Header.Get("ETag")
		for asked, want := range map[string][2]int{
			"bytes=0-9": {0, 10}, "bytes=-7": {len(whole.body) - 7, len(whole.body)}, "bytes=10000000-10999999": {10_000_000, 11_000_000},
			fmt.Sprintf("bytes=%d-", len(whole.body)-1): {len(whole.body) - 1, len(whole.body)},
		} {
			r := c.must(t, 206, "GET", path+"/results/text", "", "Range", asked, "If-Range", tag)
			if string(r.body) != string(whole.body[want[0]:want[1]]) ||
				r.Header.Get("Content-Range") != fmt.Sprintf("bytes %d-%d/%d", want[0], want[1]-1, len(whole.body)) {
				t.Errorf("%s: %d bytes, %v", asked, len(r.body), r.Header)
			}
		}
		c.must(t, 416, "GET", path+"/results/text", "", "Range", fmt.Sprintf("bytes=%d-", len(whole.body)))
		c.must(t, 200, "GET", path+"/results/text", "", "Range", "bytes=0-9", "If-Range", `"other"`)
		c.must(t, 304, "GET", path+"/results/text", "", "If-None-Match", tag)
		c.must(t, 200, "DELETE", path, "")
		c.must(t, 410, "GET", path+"/results/text", "")
	})
	c.http.CloseIdleConnections()
	s.settles(t, c, openFiles(t, s.cmd.Process.Pid))
	if err := s.end(t, syscall.SIGTERM); err != nil {
		t.Errorf("the server ended with %v", err)
	}
}
