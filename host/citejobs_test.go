package host_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// accepted executes asynchronously and returns the path of the job, whose
// status document it checks.
func (s *subject) accepted(t *testing.T, e execution) string {
	t.Helper()
	r := s.post(t, e, "Prefer", "respond-async")
	if r.StatusCode != http.StatusCreated {
		t.Fatalf("%v", r)
	}
	r.matches(t, "statusInfo")
	path := s.path(t, r.Header.Get("Location"))
	s.get(t, path).matches(t, "statusInfo")
	return path
}

// simple is a check that a request which is changed from the whole one
// succeeds at once, with results that the suite accepts.
func simple(group, name string, change func(execution) execution) citeCheck {
	return citeCheck{group, name, func(t *testing.T, s *subject) {
		s.execute(t, change(s.whole()))
	}}
}

// citeJobs are the tests of how jobs are created.
func citeJobs() []citeCheck {
	const group = "Jobs"
	same := func(e execution) execution { return e }
	response := func(kind string) func(execution) execution {
		return func(e execution) execution { return e.with("response", kind) }
	}
	async := func(name string) citeCheck {
		return citeCheck{group, name, func(t *testing.T, s *subject) { s.accepted(t, s.whole()) }}
	}
	return []citeCheck{
		async("testJobCreationAutoExecutionMode"),
		simple(group, "testJobCreationDefaultExecutionMode", same),
		simple(group, "testJobCreationDefaultOutputs", func(e execution) execution {
			delete(e, "outputs")
			return e
		}),
		{group, "testJobCreationInputArray", inputArray},
		simple(group, "testJobCreationInputInline", same),
		{group, "testJobCreationInputInlineBbox", inputBbox},
		{group, "testJobCreationInputInlineBinary", noBinaryInput},
		simple(group, "testJobCreationInputInlineMixed", same),
		simple(group, "testJobCreationInputInlineObject", same),
		{group, "testJobCreationInputRef", noBinaryInput},
		{group, "testJobCreationInputValidation", inputValidation},
		simple(group, "testJobCreationInputs", same),
		{group, "testJobCreationOp", trailingBlank},
		async("testJobCreationRequest"),
		async("testJobCreationSuccessAsync"),
		simple(group, "testJobCreationSyncDocument", response("document")),
		simple(group, "testJobCreationSyncRawMixedMulti", response("raw")),
		simple(group, "testJobCreationSyncRawRef", response("raw")),
		simple(group, "testJobCreationSyncRawValueMulti", response("raw")),
		{group, "testJobCreationSyncRawValueOne", func(t *testing.T, s *subject) {
			if r := s.execute(t, s.one(t)); !strings.Contains(string(r.body), sentText) {
				t.Errorf("%v", r)
			}
		}},
		simple(group, "testJobOp", same),
		{group, "testJobSuccess", trailingBlank},
	}
}

// inputArray sends a list to the first input that is one.
func inputArray(t *testing.T, s *subject) {
	for _, in := range s.inputs {
		v := in.typed("array")
		if v == nil {
			continue
		}
		items, _ := v["items"].(map[string]any)
		list, ok := map[any]any{"integer": []int{1, 2, 3}, "string": []string{"test1", "test2", "test3"}}[items["type"]]
		if !ok {
			t.Fatalf("the suite has no list of %v", items["type"])
		}
		sent := s.sent()
		sent[in.id] = list
		wanted := map[string]any{}
		for _, o := range s.outputs {
			if o.schema["type"] == "array" && len(wanted) == 0 {
				wanted = byValue(o)
			}
		}
		got := s.execute(t, execution{"inputs": sent, "outputs": wanted})
		if want, err := json.Marshal(list); err != nil || !bytes.Contains(got.body, want) {
			t.Errorf("%v, want %s", got, want)
		}
		return
	}
	t.Skip("no input is a list")
}

// inputBbox sends a bounding box to the first input that is one.
func inputBbox(t *testing.T, s *subject) {
	for _, in := range s.inputs {
		if !in.bbox() {
			continue
		}
		sent := s.sent()
		sent[in.id] = map[string]any{"bbox": []float64{51.9, 7, 52, 7.1}, "crs": "http://www.opengis.net/def/crs/OGC/1.3/CRS84"}
		wanted := map[string]any{}
		for _, o := range s.outputs {
			if o.schema["allOf"] != nil && o.bbox() {
				wanted[o.id] = byValue(o)[o.id]
			}
		}
		if r := s.execute(t, execution{"inputs": sent, "outputs": wanted}); !strings.Contains(string(r.body), "[51.9,7,52,7.1]") {
			t.Errorf("%v", r)
		}
		return
	}
	t.Skip("no input is a bounding box")
}

// noBinaryInput sends the whole request, as the suite does to a process without
// a binary input. It cannot test one that has some: the image that it would
// send is not in its package, and the one that it would refer to is far away.
func noBinaryInput(t *testing.T, s *subject) {
	for _, in := range s.inputs {
		if in.binary() {
			t.Fatalf("input %s is binary", in.id)
		}
	}
	executedByTheSuite(t, s, s.execute(t, s.whole()))
}

// executedByTheSuite checks the results of a sync execution as the suite does.
// Its schema takes any object, and results as another alternative, and wants
// exactly one of the two; what saves correct results is an integer among them,
// which is a number as well and so makes them no results.
func executedByTheSuite(t *testing.T, s *subject, r reply) {
	t.Helper()
	if len(s.outputs) == 1 {
		parsed[any](t, r)
		return
	}
	r.matches(t, "results")
	for _, v := range parsed[map[string]json.RawMessage](t, r) {
		if !bytes.ContainsAny(v, `"{[.eEtf`) {
			return
		}
	}
	t.Errorf("no result is an integer: %v", r)
}

// inputValidation sends values of an unknown media type.
func inputValidation(t *testing.T, s *subject) {
	executedByTheSuite(t, s, s.execute(t, s.whole()))
	sent := s.sent()
	wrong := 0
	for _, in := range s.inputs {
		for _, v := range in.variants() {
			if v["contentMediaType"] != nil {
				sent[in.id] = map[string]any{"type": "wrong/type_8f3c"}
				wrong++
				break
			}
		}
	}
	if wrong == 0 {
		t.Skip("no input has a media type")
	}
	r := s.post(t, execution{"inputs": sent, "outputs": byValue(s.outputs...)})
	r.fails(t, 400, "InvalidParameterValue")
}

// trailingBlank sends a preference with a blank behind it, which Go's client
// would cut off, and reads the status as whoever names no media type.
func trailingBlank(t *testing.T, s *subject) {
	body, err := json.Marshal(s.whole())
	if err != nil {
		t.Fatal(err)
	}
	host := strings.TrimPrefix(s.url, "http://")
	conn, err := net.DialTimeout("tcp", host, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(conn, "POST /processes/%s/execution HTTP/1.1\r\nHost: %s\r\nAccept: application/json\r\n"+
		"Content-Type: application/json; charset=UTF-8\r\nPrefer: respond-async \r\nContent-Length: %d\r\n\r\n%s",
		s.id, host, len(body), body); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusCreated {
		t.Fatalf("%v, %v", reply{res, text}, err)
	}
	s.must(t, 200, "GET", s.path(t, res.Header.Get("Location")), "").matches(t, "statusInfo")
}
