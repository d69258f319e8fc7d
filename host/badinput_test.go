package host_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

const (
	exceptions = "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0/"
	maxBody    = 1 << 20 // of the server that gets bad input
)

// document is what tests read of a problem document.
type document struct {
	Type   string `json:"type"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Errors []struct {
		Input   string `json:"input"`
		Pointer string `json:"pointer"`
		Message string `json:"message"`
	} `json:"errors"`
}

// faulty is a request that is answered with a problem.
type faulty struct {
	name, method, path, body string
	header                   []string
	status                   int
	exception                string   // type, or its last part
	faults                   []string // every "input pointer" that must be named, and no other
}

// TestBadInput has one server that all rows are sent to.
func TestBadInput(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir(), []string{"echo", "hello-world", "sleep"}, "--max-body", fmt.Sprint(maxBody))
	c := newWeb(t, s.url)
	t.Run("execute", func(t *testing.T) { testFaulty(t, c, faultyExecutions()) })
	t.Run("resources", func(t *testing.T) { testFaulty(t, c, faultyResources(t, c)) })
	t.Run("ids", func(t *testing.T) { testOddIDs(t, c) })
	t.Run("methods", func(t *testing.T) { testMethods(t, c) })
	t.Run("head", func(t *testing.T) { testHead(t, c) })
	t.Run("accept", func(t *testing.T) { testAccept(t, c) })
	t.Run("wire", func(t *testing.T) { testBrokenWire(t, s.url) })
	c.must(t, 200, "POST", hello, `{"inputs":{"name":"still here"}}`)
	if err := s.end(t, 15); err != nil {
		t.Errorf("the server ended with %v", err)
	}
	for _, word := range []string{"panic", "request failed"} {
		if strings.Contains(s.log.String(), word) {
			t.Errorf("the log has %q:\n%s", word, s.log.String())
		}
	}
}

const (
	hello = "/processes/hello-world/execution"
	echo  = "/processes/echo/execution"
	sleep = "/processes/sleep/execution"
)

func faultyExecutions() []faulty {
	bad := func(name, path, body string, faults ...string) faulty {
		return faulty{name, "POST", path, body, nil, 400, "InvalidParameterValue", faults}
	}
	with := func(f faulty, status int, exception string, header ...string) faulty {
		f.header, f.status, f.exception = header, status, exception
		return f
	}
	fine := `{"inputs":{"name":"x"}}`
	return []faulty{
		bad("not JSON", hello, `name=x`),
		bad("empty", hello, ""),
		bad("blank", hello, " \n"),
		bad("array", hello, `[]`),
		bad("null", hello, `null`),
		bad("string", hello, `"inputs"`),
		bad("number", hello, `1`),
		bad("cut off", hello, `{"inputs":{"name":"x"`),
		bad("two values", hello, fine+fine),
		bad("trailing comma", hello, `{"inputs":{"name":"x",}}`),
		bad("single quotes", hello, `{'inputs':{}}`),
		bad("NaN", hello, `{"inputs":{"name":NaN}}`),
		bad("byte order mark", hello, "\ufeff"+fine),
		bad("NUL", hello, "{\"inputs\":{\"name\":\"a\x00b\"}}"),
		bad("not UTF-8", hello, "{\"inputs\":{\"name\":\"\xff\xfe\"}}"),
		bad("not UTF-8, spooled", hello, "{\"inputs\":{\"name\":\""+strings.Repeat("ä", maxBody/3)+"\xc3\"}}"),
		bad("not UTF-8 in the name of an input", hello, "{\"inputs\":{\"\xff\":1}}"),
		bad("UTF-16", hello, "\xff\xfe{\x00}\x00"),
		bad("nested arrays", hello, `{"inputs":{"name":`+strings.Repeat("[", 100_000)+strings.Repeat("]", 100_000)+`}}`),
		bad("nested objects", hello, strings.Repeat(`{"inputs":`, 50_000)+`1`+strings.Repeat(`}`, 50_000)),
		bad("nested and open", hello, `{"inputs":{"name":`+strings.Repeat("[", 500_000)),
		bad("nested unknown member", hello, `{"x":`+strings.Repeat("[", 100_000)+strings.Repeat("]", 100_000)+`,"inputs":{"name":"x"}}`),
		bad("the last of duplicates counts", hello, `{"inputs":{"name":"x","name":7}}`, "name /inputs/name"),
		bad("the last of duplicate inputs counts", hello, `{"inputs":{"name":"x"},"inputs":{}}`, "name /inputs/name"),
		bad("inputs are no object", hello, `{"inputs":["x"]}`, " /inputs"),
		bad("no inputs", hello, `{}`, "name /inputs/name"),
		bad("no required input", hello, `{"inputs":{}}`, "name /inputs/name"),
		bad("null for a required input", hello, `{"inputs":{"name":null}}`, "name /inputs/name"),
		bad("wrong type", hello, `{"inputs":{"name":7}}`, "name /inputs/name"),
		bad("unknown input", hello, `{"inputs":{"name":"x","nam":"y"}}`, "nam /inputs/nam"),
		bad("odd input id", hello, `{"inputs":{"name":"x","a/b~c\u0000":1}}`, "a/b~c\x00 /inputs/a~1b~0c\x00"),
		bad("empty input id", hello, `{"inputs":{"name":"x","":1}}`, " /inputs/"),
		bad("all faults together", echo,
			`{"inputs":{"pause":"long","numbers":[1,"2",3.5],"bbox":{"bbox":[1]},"mixed":7,"other":1},"outputs":{"nothing":{}},"response":"pretty"}`,
			"text /inputs/text", "pause /inputs/pause", "numbers /inputs/numbers/1", "numbers /inputs/numbers/2",
			"bbox /inputs/bbox/bbox", "mixed /inputs/mixed", "other /inputs/other", "nothing /outputs/nothing", " /response"),
		bad("negative pause", echo, `{"inputs":{"text":"x","pause":-1}}`, "pause /inputs/pause"),
		bad("too much", sleep, `{"inputs":{"seconds":1e300}}`, "seconds /inputs/seconds"),
		bad("too much for a float", sleep, `{"inputs":{"seconds":1e999}}`, "seconds /inputs/seconds"),
		bad("fraction for an integer", sleep, `{"inputs":{"seconds":0,"steps":1.5}}`, "steps /inputs/steps"),
		bad("integer out of range", sleep, `{"inputs":{"seconds":0,"steps":99999999999999999999999}}`, "steps /inputs/steps"),
		bad("array for one value", hello, `{"inputs":{"name":["x","y"]}}`, "name /inputs/name"),
		bad("unknown response", hello, `{"inputs":{"name":"x"},"response":"html"}`, " /response"),
		bad("response is no string", hello, `{"inputs":{"name":"x"},"response":[1]}`, " /response"),
		bad("unknown mode", hello, `{"inputs":{"name":"x"},"mode":"later"}`, " /mode"),
		bad("outputs are no object", hello, `{"inputs":{"name":"x"},"outputs":["echo"]}`, " /outputs"),
		bad("output is no object", hello, `{"inputs":{"name":"x"},"outputs":{"echo":1}}`, "echo /outputs/echo"),
		bad("unknown transmission mode", hello, `{"inputs":{"name":"x"},"outputs":{"echo":{"transmissionMode":"pigeon"}}}`,
			"echo /outputs/echo/transmissionMode"),
		bad("transmission mode is no string", hello, `{"inputs":{"name":"x"},"outputs":{"echo":{"transmissionMode":{}}}}`,
			"echo /outputs/echo/transmissionMode"),
		bad("format is no object", hello, `{"inputs":{"name":"x"},"outputs":{"echo":{"format":"json"}}}`, "echo /outputs/echo/format"),
		bad("format not offered", hello, `{"inputs":{"name":"x"},"outputs":{"echo":{"format":{"mediaType":"image/tiff"}}}}`,
			"echo /outputs/echo/format/mediaType"),
		bad("subscriber is no object", hello, `{"inputs":{"name":"x"},"subscriber":"http://localhost/"}`, " /subscriber"),
		with(bad("unknown output", hello, `{"inputs":{"name":"x"},"outputs":{"ech":{}}}`, "ech /outputs/ech"), 400, ""),
		with(bad("async too", hello, `{"inputs":{"name":7}}`, "name /inputs/name"), 400, "InvalidParameterValue", "Prefer", "respond-async"),
		with(bad("too large", hello, `{"inputs":{"name":"`+strings.Repeat("x", maxBody)+`"}}`), 413, "about:blank"),
		with(bad("text", hello, fine), 415, "about:blank", "Content-Type", "text/plain"),
		with(bad("XML", hello, fine), 415, "about:blank", "Content-Type", "application/xml"),
		with(bad("other charset", hello, fine), 415, "about:blank", "Content-Type", "application/json; charset=iso-8859-1"),
		with(bad("no media type", hello, fine), 415, "about:blank", "Content-Type", ";;;"),
		with(bad("compressed", hello, fine), 415, "about:blank", "Content-Encoding", "gzip"),
		with(bad("not acceptable", hello, `{"inputs":{"name":"x"},"response":"document"}`), 406, "about:blank", "Accept", "image/png"),
		with(bad("unknown process", "/processes/none/execution", fine), 404, exceptions+"no-such-process"),
		with(bad("unknown process, bad body", "/processes/none/execution", `{`), 404, exceptions+"no-such-process"),
	}
}

// faultyResources lists bad requests for everything but executions.
func faultyResources(t *testing.T, c *web) []faulty {
	done := c.submit(t, "hello-world", `{"name":"done"}`)
	c.await(t, done, "successful")
	running := c.submit(t, "sleep", `{"seconds":600}`)
	t.Cleanup(func() { c.must(t, 200, "DELETE", running, "") })
	failed := c.submit(t, "sleep", `{"seconds":0,"fail":"on demand"}`)
	c.await(t, failed, "failed")
	gone := c.submit(t, "hello-world", `{"name":"gone"}`)
	c.await(t, gone, "successful")
	c.must(t, 200, "DELETE", gone, "")
	none := c.must(t, 201, "POST", hello, `{"inputs":{"name":"x"},"outputs":{}}`, "Prefer", "respond-async").job()
	c.await(t, none, "successful")

	var rows []faulty
	row := func(status int, exception, method, path string, header ...string) {
		rows = append(rows, faulty{method + " " + path + strings.Join(header, " "), method, path, "", header, status, exception, nil})
	}
	for _, p := range []string{"/nothing", "/nothing/", "/processes/echo/nothing", done + "/nothing", done + "/results/echo/0/0", "/api/x"} {
		row(404, "about:blank", "GET", p)
	}
	row(404, exceptions+"no-such-process", "GET", "/processes/none")
	for _, suffix := range []string{"", "/results", "/results/echo"} {
		row(404, exceptions+"no-such-job", "GET", "/jobs/none"+suffix)
		row(410, exceptions+"no-such-job", "GET", gone+suffix)
	}
	row(404, exceptions+"no-such-job", "DELETE", "/jobs/none")
	row(410, exceptions+"no-such-job", "DELETE", gone)
	row(404, exceptions+"result-not-ready", "GET", running+"/results")
	row(404, exceptions+"result-not-ready", "GET", running+"/results/slept")
	row(404, exceptions+"result-not-available", "GET", none+"/results")
	row(400, exceptions+"no-such-output", "GET", done+"/results/none")
	row(400, exceptions+"no-such-output", "GET", done+"/results?outputs=none")
	row(400, exceptions+"no-such-output", "GET", done+"/results?outputs=echo,none")
	row(500, "urn:geomill:problem:process-failed", "GET", failed+"/results") // the process's failure, not the server's

	badQuery := exceptions + "invalid-query-parameter-value"
	for _, list := range []string{"/jobs", "/processes"} {
		for _, q := range []string{"limit=0", "limit=-1", "limit=x", "limit=1.5", "limit=", "limit=%00", "limit=-99999999999999999999", "cursor=x", "cursor=",
			"cursor=" + strings.Repeat("A", 5000), "f=xml", "f=", "%zz", "a=1;b=2", "cursor=b2E%3D%3D"} {
			row(400, badQuery, "GET", list+"?"+q)
		}
		row(406, "about:blank", "GET", list+"?f=html")
	}
	for _, q := range []string{"status=done", "status=", "status=failed,", "status=failed,done", "datetime=yesterday", "datetime=", "datetime=../..", "datetime=/", "datetime=2024-13-01T00:00:00Z",
		"datetime=2025-01-01T00:00:00Z/2024-01-01T00:00:00Z", "minDuration=-1", "minDuration=x", "minDuration=", "maxDuration=1.5", "processID=", "type="} {
		row(400, badQuery, "GET", "/jobs?"+q)
	}
	row(400, badQuery, "GET", done+"/results?outputs=")
	row(400, badQuery, "GET", done+"/results?%zz")
	row(416, "about:blank", "GET", done+"/results/echo", "Range", "bytes=9999-")
	return rows
}

func testFaulty(t *testing.T, c *web, rows []faulty) {
	for _, f := range rows {
		t.Run(name(f.name), func(t *testing.T) {
			r, err := c.send(f.method, f.path, f.body, f.header...)
			if err != nil {
				t.Fatal(err)
			}
			d := problem(t, r, f.status)
			if f.exception != "" && !strings.HasSuffix(d.Type, f.exception) {
				t.Errorf("type %q, want %q: %v", d.Type, f.exception, r)
			}
			var faults []string
			for _, e := range d.Errors {
				faults = append(faults, e.Input+" "+e.Pointer)
				if e.Message == "" {
					t.Errorf("a fault without a message: %v", r)
				}
			}
			slices.Sort(faults)
			slices.Sort(f.faults)
			if f.faults != nil && !slices.Equal(faults, f.faults) {
				t.Errorf("faults %q, want %q: %v", faults, f.faults, r)
			}
		})
	}
}

// name shortens what would be an unwieldy name of a test.
func name(s string) string {
	s = strings.ReplaceAll(s, "/", "_")
	return s[:min(len(s), 80)]
}

// problem checks that an answer is a problem document of the status.
func problem(t *testing.T, r reply, status int) document {
	t.Helper()
	var d document
	if r.StatusCode != status {
		t.Fatalf("%v, want %d", r, status)
	}
	if got := r.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type %q: %v", got, r)
	}
	if err := json.Unmarshal(r.body, &d); err != nil {
		t.Fatalf("no problem document: %v: %v", err, r)
	}
	if d.Type == "" || d.Status != status || r.Header.Get("X-Request-Id") == "" {
		t.Errorf("incomplete: %v", r)
	}
	return d
}

// testOddIDs puts odd identifiers into every path.
func testOddIDs(t *testing.T, c *web) {
	done := c.submit(t, "hello-world", `{"name":"x"}`)
	c.await(t, done, "successful")
	ids := []string{"%2F", "%2f..%2f", "..", ".", "%2e%2e", "%00", "x%00", "%20", "a%20b", "%C3%A4", "ä", "%ff%fe", "%F0%9F%98%80", "%0d%0aX-Evil:%20y", "%5C", "%22", "%3Cscript%3E", "*", ":jobID", "%25", "%3F", "%23", "-",
		"HELLO-WORLD", "hello-world%00", "hello-world%20", "hello-world%2Fexecution", "00000000-0000-0000-0000-000000000000", "none;a=b", strings.Repeat("x", 10_000), strings.Repeat("%00", 5_000)}
	for _, id := range ids {
		for _, at := range []struct{ method, path string }{
			{"GET", "/processes/" + id}, {"POST", "/processes/" + id + "/execution"}, {"GET", "/jobs/" + id}, {"DELETE", "/jobs/" + id},
			{"GET", "/jobs/" + id + "/results"}, {"GET", "/jobs/" + id + "/results/echo"}, {"GET", done + "/results/" + id},
			{"GET", "/jobs?processID=" + id}, {"GET", "/" + id},
		} {
			t.Run(name(at.method+at.path), func(t *testing.T) {
				r, err := c.send(at.method, at.path, `{"inputs":{}}`)
				if err != nil {
					t.Fatal(err)
				}
				// A filter that fits nothing is fine; %2F may complete another path.
				fine := strings.Contains(at.path, "processID=") || strings.EqualFold(id, "%2F")
				if !slices.Contains([]int{400, 404, 405}, r.StatusCode) && !(fine && r.StatusCode == 200) {
					t.Error(r)
				}
				if r.Header.Get("X-Evil") != "" || !json.Valid(r.body) {
					t.Errorf("%v %v", r.Header, r)
				}
				for _, b := range r.body {
					if b < ' ' && b != '\n' {
						t.Fatalf("control character in %q", r.body)
					}
				}
			})
		}
	}
	r, err := c.send("GET", "/processes/"+strings.Repeat("x", 1<<20), "")
	if err != nil || r.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a path of 1 MiB: %v, %v", r, err)
	}
}

// testMethods sends every method to every path.
func testMethods(t *testing.T, c *web) {
	job := c.submit(t, "hello-world", `{"name":"x"}`)
	c.await(t, job, "successful")
	for path, allowed := range map[string]string{
		"/": "GET, HEAD, OPTIONS", "/conformance": "GET, HEAD, OPTIONS", "/api": "GET, HEAD, OPTIONS", "/processes": "GET, HEAD, OPTIONS",
		"/processes/echo": "GET, HEAD, OPTIONS", "/processes/none": "GET, HEAD, OPTIONS", echo: "OPTIONS, POST",
		"/jobs": "GET, HEAD, OPTIONS", "/jobs/none": "DELETE, GET, HEAD, OPTIONS", job + "/results": "GET, HEAD, OPTIONS", job + "/results/echo": "GET, HEAD, OPTIONS",
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PROPFIND", "get", "OPTIONS"} {
			if method != "OPTIONS" && slices.Contains(strings.Split(allowed, ", "), method) {
				continue
			}
			t.Run(name(method+path), func(t *testing.T) {
				r, err := c.send(method, path, "")
				if err != nil {
					t.Fatal(err)
				}
				if r.Header.Get("Allow") != allowed {
					t.Errorf("Allow: %q, want %q", r.Header.Get("Allow"), allowed)
				}
				switch method {
				case "OPTIONS":
					if r.StatusCode != 204 || len(r.body) > 0 {
						t.Error(r)
					}
				case "HEAD":
					if r.StatusCode != 405 {
						t.Error(r)
					}
				default:
					problem(t, r, 405)
				}
			})
		}
	}
}

// testHead compares HEAD with GET.
func testHead(t *testing.T, c *web) {
	job := c.submit(t, "hello-world", `{"name":"x"}`)
	c.await(t, job, "successful")
	for _, path := range []string{"/", "/conformance", "/api", "/processes", "/processes/echo", "/processes/none", "/jobs?limit=1", "/jobs?limit=0", job, "/jobs/none", job + "/results", job + "/results/echo", "/none"} {
		t.Run(name(path), func(t *testing.T) {
			get, err := c.send("GET", path, "", "X-Request-Id", "same")
			if err != nil {
				t.Fatal(err)
			}
			head, err := c.send("HEAD", path, "", "X-Request-Id", "same")
			if err != nil {
				t.Fatal(err)
			}
			get.Header.Del("Date")
			head.Header.Del("Date")
			if head.StatusCode != get.StatusCode || len(head.body) != 0 || fmt.Sprint(head.Header) != fmt.Sprint(get.Header) || head.ContentLength != get.ContentLength {
				t.Errorf("HEAD %d %v\nGET  %d %v", head.StatusCode, head.Header, get.StatusCode, get.Header)
			}
		})
	}
}

// testAccept sends oddities of Accept and Prefer to documents and executions.
func testAccept(t *testing.T, c *web) {
	for accept, status := range map[string]int{
		"": 200, "*/*": 200, "application/*": 200, "*/*;q=0.1": 200, "application/json;q=0.001": 200, "APPLICATION/JSON": 200,
		"application/json, application/javascript, text/javascript, text/json": 200, "text/html,application/xhtml+xml,*/*;q=0.8": 200,
		"garbage": 200, ",,,": 200, ";q=1": 200, "*/json": 200, `"`: 200, "application/json;profile=\"a,b;c\"": 200, strings.Repeat("a/b,", 5000) + "*/*": 200,
		"text/html": 406, "application/json;q=0": 406, "*/*;q=0": 406, "image/*": 406, "application/json;q=0, */*": 406, "application/xml": 406,
	} {
		for _, path := range []string{"/", "/conformance", "/api", "/processes", "/processes/echo", "/jobs"} {
			if path == "/api" && (accept == "text/html" || strings.Contains(accept, "application/json;q=0,")) {
				continue // it has other types besides
			}
			t.Run(name(accept+path), func(t *testing.T) {
				r, err := c.send("GET", path, "", "Accept", accept)
				if err != nil {
					t.Fatal(err)
				}
				if r.StatusCode != status {
					t.Errorf("%v, want %d", r, status)
				}
			})
		}
	}
	for prefer, status := range map[string]int{
		"": 200, ",": 200, "wait": 200, "wait=x": 200, "wait=-1": 200, "wait=1e3": 200, "wait=\"5": 200, "respond-async=0": 201, "RESPOND-ASYNC": 201, "respond-async;a=b": 201,
		"respond-async, wait=0": 201, "handling=strict, foo=\"bar, respond-async\"": 200, strings.Repeat("x,", 20000): 200, "wait=99999999999999999999999": 200, "return=none": 200,
	} {
		t.Run(name("prefer "+prefer), func(t *testing.T) {
			if r, err := c.send("POST", hello, `{"inputs":{"name":"x"}}`, "Prefer", prefer); err != nil || r.StatusCode != status {
				t.Errorf("%v, %v, want %d", r, err, status)
			}
		})
	}
}
