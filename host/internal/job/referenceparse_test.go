package job

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAReferenceSaysWhatToAskFor(t *testing.T) {
	t.Parallel()
	accept := func(a string, more ...string) map[string]string {
		h := map[string]string{"Accept": a}
		for i := 0; i+1 < len(more); i += 2 {
			h[more[i]] = more[i+1]
		}
		return h
	}
	const js = "application/json, application/geo+json;q=0.9, */*;q=0.1"
	for name, c := range map[string]struct {
		input, x string
		want     Reference
	}{
		"plain":         {anObject, `{"href":"http://a","rel":"item","hreflang":"de","title":"t","other":[1]}`, Reference{"http://a", "GET", accept(js), nil}},
		"typed":         {anObject, `{"href":"http://a","type":"application/geo+json"}`, Reference{"http://a", "GET", accept("application/geo+json, */*;q=0.1"), nil}},
		"old format":    {anImage, `{"href":"http://a","format":{"mediaType":"image/tiff"}}`, Reference{"http://a", "GET", accept("image/tiff, */*;q=0.1"), nil}},
		"image":         {anImage, `{"href":"http://a"}`, Reference{"http://a", "GET", accept("image/tiff; application=geotiff, */*;q=0.1"), nil}},
		"alternatives":  {either, `{"href":"http://a"}`, Reference{"http://a", "GET", accept("image/tiff, application/gml+xml, " + js), nil}},
		"POST":          {anObject, `{"href":"http://a","method":"POST","body":{"q":[1, 2]}}`, Reference{"http://a", "POST", accept(js, "Content-Type", "application/json"), []byte(`{"q":[1, 2]}`)}},
		"POST nothing":  {anObject, `{"href":"http://a","method":"POST","body":null}`, Reference{"http://a", "POST", accept(js), nil}},
		"POST text":     {anObject, `{"href":"http://a","method":"POST","headers":{"content-TYPE":"text/plain"},"body":"a\nb"}`, Reference{"http://a", "POST", accept(js, "Content-Type", "text/plain"), []byte("a\nb")}},
		"other headers": {anObject, `{"href":"http://a","headers":{"accept":"a/b","Accept-Language":"de"}}`, Reference{"http://a", "GET", accept("a/b", "Accept-Language", "de"), nil}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := new(web)
			in := referring(t, w, c.input)
			if _, err := in.run(t.Context(), c.x); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff([]Reference{c.want}, w.asked); d != "" {
				t.Error(d, in.faults)
			}
		})
	}
}

func TestWrongReferencesAreFaultsBeforeAnythingIsFetched(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		input, x string
		want     []string // pointers below /inputs/x
	}{
		"scheme":           {anObject, `{"href":"file:///etc/passwd"}`, []string{"/href"}},
		"empty":            {anObject, `{"href":""}`, []string{"/href"}},
		"rel of a number":  {anObject, `{"href":"http://a","rel":5}`, []string{"/rel"}},
		"headers":          {anObject, `{"href":"http://a","headers":{"Host":"b","authorization":"c","Accept":"a\r\nb"}}`, []string{"/headers/Accept", "/headers/Host", "/headers/authorization"}},
		"header names":     {anObject, `{"href":"http://a","headers":{"a/b":"c","":"d"}}`, []string{"/headers/", "/headers/a~1b"}},
		"method":           {anObject, `{"href":"http://a","method":"DELETE"}`, []string{"/method"}},
		"body of GET":      {anObject, `{"href":"http://a","body":1}`, []string{"/body"}},
		"body is no text":  {anObject, `{"href":"http://a","method":"POST","headers":{"Content-Type":"text/plain"},"body":1}`, []string{"/body"}},
		"everything":       {anObject, `{"href":"ftp://a","method":"PUT","type":"a","headers":{"X":"y"}}`, []string{"/headers/X", "/href", "/method", "/type"}},
		"by value only":    {`{"schema":{"type":"string"},"valuePassing":["byValue"]}`, `{"href":"http://a"}`, []string{"/href"}},
		"among others":     {`{"schema":{"type":"number"},"maxOccurs":3}`, `[1,{"href":"http://a"},{"href":"gopher://b"}]`, []string{"/2/href"}},
		"href is a number": {aNumber, `{"href":5}`, []string{""}},
		"more than enough": {`{"schema":{},"maxOccurs":"unbounded"}`, `[` + strings.Repeat(`{"href":"http://a"},`, maxReferences) + `{"href":"http://a"}]`, []string{fmt.Sprintf("/%d/href", maxReferences)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := new(web)
			in := referring(t, w, c.input)
			if _, err := in.run(t.Context(), c.x); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range in.faults {
				got = append(got, strings.TrimPrefix(f.Pointer, "/inputs/x"))
			}
			slices.Sort(got)
			if d := cmp.Diff(c.want, got); d != "" || len(w.asked) > 0 {
				t.Errorf("%s%d fetched; %v", d, len(w.asked), in.faults)
			}
		})
	}
}
