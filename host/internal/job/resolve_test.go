package job

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// large is more than stays in memory.
const large = inlineMax + 1000

func TestLargeContentBecomesAFile(t *testing.T) {
	t.Parallel()
	letters := strings.Repeat("a\"", large/2)
	for name, c := range map[string]struct{ input, media, content, want, wantMedia string }{
		"bytes":            {anyBytes, "image/png", letters, letters, "image/png"},
		"JSON":             {anObject, "application/json", `{"a":"` + strings.Repeat("a", large) + `"}`, `{"a":"` + strings.Repeat("a", large) + `"}`, ""},
		"checked JSON":     {points, "application/json", `{"type":"Point","a":"` + strings.Repeat("a", largeInput) + `"}`, `{"type":"Point","a":"` + strings.Repeat("a", largeInput) + `"}`, ""},
		"text":             {aString, "text/plain", letters, `"` + strings.ReplaceAll(letters, `"`, `\"`) + `"`, ""},
		"text that grows":  {aString, "text/plain", letters[:inlineMax-2], `"` + strings.ReplaceAll(letters[:inlineMax-2], `"`, `\"`) + `"`, ""},
		"JSON after blank": {anObject, "application/json", strings.Repeat("\n", large) + `{}`, strings.Repeat("\n", large) + `{}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := referring(t, &web{at: map[string]resource{"http://a": {media: c.media, content: c.content}}}, c.input)
			in.limit = 4 << 20
			values, err := in.run(t.Context(), `{"href":"http://a"}`)
			if err != nil || len(in.faults) > 0 {
				t.Fatal(err, in.faults)
			}
			v := values["x"]
			if v.File == "" || v.Size != int64(len(c.want)) || v.MediaType != c.wantMedia || text(t, v) != c.want {
				t.Errorf("file %q of %d bytes, %s", v.File, v.Size, v.MediaType)
			}
			if d := cmp.Diff([]string{"x"}, left(in)); d != "" {
				t.Errorf("files: %s", d)
			}
			if len(in.turn) > 0 {
				t.Error("the turn was not given back")
			}
		})
	}
}

func TestOccurrencesMayBeByReference(t *testing.T) {
	t.Parallel()
	png := strings.Repeat("png", large/3)
	w := map[string]resource{
		"http://one": {media: "application/json", content: " 1 "}, "http://text": {media: "text/plain", content: "ä"},
		"http://png": {media: "image/png", content: "png"}, "http://large": {media: "image/png", content: png},
		"http://json": {media: "application/json", content: `{"a":"` + strings.Repeat("a", large) + `"}`},
	}
	for name, c := range map[string]struct{ input, x, want string }{
		"one of one":   {aNumber, `[{"href":"http://one"}]`, `[1]`},
		"without list": {aNumber, `{"href":"http://one"}`, `[1]`},
		"first":        {aNumber, `[{"href":"http://one"},2,{"value":3}]`, `[1,2,3]`},
		"between":      {aNumber, `[5,{"href":"http://one"},{"href":"http://one"},6]`, `[5,1,1,6]`},
		"text":         {aString, `["a",{"href":"http://text"}]`, `["a","ä"]`},
		"bytes":        {anyBytes, `["cG5n",{"href":"http://png"}]`, `["cG5n","cG5n"]`},
		"large bytes":  {anyBytes, `[{"href":"http://large"},"cG5n"]`, `["` + base64.StdEncoding.EncodeToString([]byte(png)) + `","cG5n"]`},
		"large JSON":   {anObject, `[{"href":"http://json"},{"value":{}}]`, `[{"a":"` + strings.Repeat("a", large) + `"},{}]`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := referring(t, &web{at: w}, strings.TrimSuffix(c.input, "}")+`,"maxOccurs":"unbounded"}`)
			values, err := in.run(t.Context(), c.x)
			if err != nil || len(in.faults) > 0 {
				t.Fatal(err, in.faults)
			}
			v := values["x"]
			if got := text(t, v); got != c.want || v.MediaType != "" || v.Len() != int64(len(c.want)) {
				t.Errorf("%.100s, want %.100s; %d bytes of %q", got, c.want, v.Len(), v.MediaType)
			}
			if files := left(in); len(files) > 1 {
				t.Errorf("files are left: %v", files)
			}
		})
	}
}

func TestManyReferencesInOneRequestKeepTheirPlaces(t *testing.T) {
	t.Parallel()
	w := &web{at: make(map[string]resource)}
	var x, want []string
	for i := range maxReferences {
		href := fmt.Sprintf("http://a/%d", i)
		w.at[href] = resource{media: "application/json", content: fmt.Sprint(i + 1)}
		x, want = append(x, fmt.Sprintf(`{"href":%q}`, href)), append(want, fmt.Sprint(i+1))
	}
	in := referring(t, w, `{"schema":{"type":"number","minimum":1},"maxOccurs":"unbounded"}`)
	values, err := in.run(t.Context(), "["+strings.Join(x, ",")+"]")
	if err != nil || string(values["x"].JSON) != "["+strings.Join(want, ",")+"]" {
		t.Errorf("%s, %v, %v", values["x"].JSON, in.faults, err)
	}
}

func TestReferencesShareTheirLimits(t *testing.T) {
	t.Parallel()
	half := resource{media: "image/png", content: strings.Repeat("a", 1<<19+1)}
	w := &web{at: map[string]resource{"http://a": half, "http://hangs": {err: errHangs}}}
	in := referring(t, w, strings.TrimSuffix(anyBytes, "}")+`,"maxOccurs":9}`)
	if _, err := in.run(t.Context(), `[{"href":"http://a"}]`); err != nil || len(in.faults) > 0 {
		t.Fatal(err, in.faults)
	}
	in = referring(t, w, strings.TrimSuffix(anyBytes, "}")+`,"maxOccurs":9}`)
	if _, err := in.run(t.Context(), `[{"href":"http://a"},{"href":"http://a"}]`); err != nil || len(in.faults) == 0 {
		t.Fatalf("more than the limit is taken: %v", err)
	}
	in = referring(t, w, anyBytes)
	in.patience = time.Millisecond
	if _, err := in.run(t.Context(), `{"href":"http://hangs"}`); err != nil {
		t.Fatal(err)
	}
	wantFault(t, in, "x /inputs/x/href", "in the time")
}

func TestFailuresThatAreNobodysFaultEndTheRequest(t *testing.T) {
	t.Parallel()
	disk := errors.New("disk on fire")
	w := &web{at: map[string]resource{"http://busy": {err: ErrBusy}, "http://disk": {err: disk}, "http://hangs": {err: errHangs}, "http://large": {media: "image/png", content: strings.Repeat("a", large)}}}
	for href, want := range map[string]error{"http://busy": ErrBusy, "http://disk": disk} {
		in := referring(t, w, anyBytes)
		if _, err := in.run(t.Context(), `{"href":"`+href+`"}`); !errors.Is(err, want) || len(in.faults) > 0 {
			t.Errorf("%s: %v, faults %v", href, err, in.faults)
		}
	}
	gone := errors.New("client has gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	in := referring(t, w, anyBytes)
	time.AfterFunc(time.Millisecond, func() { cancel(gone) })
	if _, err := in.run(ctx, `{"href":"http://hangs"}`); !errors.Is(err, gone) {
		t.Errorf("the client has gone: %v", err)
	}
	in = referring(t, w, anyBytes)
	if err := os.WriteFile(in.dir, nil, 0o600); err != nil { // so that it is no directory
		t.Fatal(err)
	}
	if _, err := in.run(t.Context(), `{"href":"http://large"}`); err == nil || len(in.faults) > 0 {
		t.Errorf("nowhere to write: %v, faults %v", err, in.faults)
	}
}

func TestFetchesAreBoundedInNumber(t *testing.T) {
	t.Parallel()
	w := &counting{web: web{at: map[string]resource{"http://a": {media: "application/json", content: "1"}}}, release: make(chan struct{})}
	in := referring(t, &w.web, `{"schema":{"type":"number"},"maxOccurs":"unbounded"}`)
	in.fetcher = w
	done := make(chan error, 1)
	go func() {
		_, err := in.run(context.Background(), `[`+strings.Repeat(`{"href":"http://a"},`, 19)+`{"href":"http://a"}]`)
		done <- err
	}()
	for range 20 {
		w.release <- struct{}{}
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if w.most > fetchesAtOnce {
		t.Errorf("%d fetches at once", w.most)
	}
}

// counting is a web that knows how many fetches it has under way.
type counting struct {
	web
	release   chan struct{}
	mu        sync.Mutex
	now, most int
}

func (c *counting) Fetch(ctx context.Context, r Reference, w io.Writer) (Fetched, error) {
	c.mu.Lock()
	c.now++
	c.most = max(c.most, c.now)
	c.mu.Unlock()
	<-c.release
	c.mu.Lock()
	c.now--
	c.mu.Unlock()
	return c.web.Fetch(ctx, r, w)
}

func TestTextIsQuoted(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`["\\\x00-\x1f\x7fäž€\x{1F600}a]{0,50}`)).Draw(t, "text")
		if rapid.Bool().Draw(t, "long") {
			text = strings.Repeat("x", rapid.IntRange(quoteBuffer-10, quoteBuffer+10).Draw(t, "before")) + text
		}
		if rapid.IntRange(0, 4).Draw(t, "damage") == 0 {
			text += string(rapid.SliceOfN(rapid.Byte(), 1, 4).Draw(t, "bytes"))
		}
		for _, r := range []func(*bytes.Buffer) error{
			func(w *bytes.Buffer) error { return quote(w, strings.NewReader(text)) },
			func(w *bytes.Buffer) error { return quote(w, iotest.OneByteReader(strings.NewReader(text))) },
			func(w *bytes.Buffer) error { return quote(w, iotest.DataErrReader(strings.NewReader(text))) },
		} {
			var b bytes.Buffer
			err := r(&b)
			if !utf8.ValidString(text) {
				if !errors.Is(err, errNotText) {
					t.Fatalf("%q is taken for text: %v", text, err)
				}
				continue
			}
			var got string
			if err != nil || json.Unmarshal(b.Bytes(), &got) != nil || got != text {
				t.Fatalf("%q became %q: %v", text, &b, err)
			}
		}
	})
}

func TestAnEmptyValueOfBytesSurvivesItsRecord(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(Order{Inputs: map[string]Value{"x": {Data: []byte{}, MediaType: "image/png"}, "y": {JSON: json.RawMessage("1")}}})
	if err != nil {
		t.Fatal(err)
	}
	var o Order
	if err := json.Unmarshal(text, &o); err != nil || o.Inputs["x"].Data == nil || o.Inputs["y"].Data != nil {
		t.Errorf("%s became %+v, %v", text, o.Inputs, err)
	}
}
