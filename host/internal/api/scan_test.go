package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// agree checks the scanner against encoding/json on one text, from memory and
// from a stream that comes in small pieces.
func agree(t interface {
	Helper()
	Fatalf(string, ...any)
}, text []byte) {
	t.Helper()
	o, err := scanBytes(text)
	streamed, streamErr := scanReader(iotest.HalfReader(bytes.NewReader(text)))
	if (err == nil) != (streamErr == nil) {
		t.Fatalf("%q: in memory %v, streamed %v", text, err, streamErr)
	}
	if s, ok := errors.AsType[*syntaxError](err); ok && (strings.HasPrefix(s.what, "nested") || strings.HasPrefix(s.what, "member name")) {
		return
	}
	valid := json.Valid(text) && bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n"), []byte("{"))
	if (err == nil) != valid {
		t.Fatalf("%q: %v, but encoding/json says %t", text, err, valid)
	}
	if !valid {
		return
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	for name, s := range map[string]span{"inputs": o.inputs, "outputs": o.outputs, "response": o.response, "subscriber": o.subscriber, "mode": o.mode} {
		want, present := members[name]
		if present == s.absent() {
			t.Fatalf("%q: %s present %t", text, name, present)
		}
		if present && !bytes.Equal(text[s.start:s.end], want) {
			t.Fatalf("%q: %s is %q, want %q", text, name, text[s.start:s.end], want)
		}
	}
	var inputs map[string]json.RawMessage
	if o.inputsObject && json.Unmarshal(members["inputs"], &inputs) != nil {
		t.Fatalf("%q: inputs are no object", text)
	}
	found := map[string]span{}
	for i, m := range o.members {
		found[m.id] = m.span
		if streamed.members[i] != m {
			t.Fatalf("%q: streamed %+v, in memory %+v", text, streamed.members[i], m)
		}
	}
	if len(found) != len(inputs) {
		t.Fatalf("%q: %d inputs, want %d", text, len(found), len(inputs))
	}
	for id, s := range found {
		if !bytes.Equal(text[s.start:s.end], inputs[id]) {
			t.Fatalf("%q: input %q is %q", text, id, text[s.start:s.end])
		}
	}
}

var scanSeeds = []string{
	``, ` `, `{}`, ` {} `, `[]`, `null`, `"x"`, `{`, `}`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{,}`, `{"a":1}x`, `{"a":1}{}`,
	`{"inputs":{"a":1,"b":[1,2,{"c":null}]},"outputs":{"x":{}},"response":"raw","mode":"async","subscriber":{}}`,
	`{"inputs":{"a":1},"inputs":{"b":2}}`, `{"inputs":{"a":1,"a":2}}`, `{"inputs":{"a":1},"inputs":7}`,
	`{"inp\u0075ts":{"\u0061":1}}`, `{"inputs" : { "a" : -0.5e+10 } , "x":true}`, "{\"inputs\":{\"\xff\":\"\xff\"}}",
	`{"inputs":{"a":01}}`, `{"a":-}`, `{"a":1.}`, `{"a":.5}`, `{"a":1e}`, `{"a":+1}`, `{"a":tru}`, `{"a":nulll}`, `{"a":"\x"}`,
	`{"a":"\u12g4"}`, `{"a":"\ud800"}`, "{\"a\":\"\n\"}", "{\"a\":\"\x1f\"}", "{\"a\":\"\x7f\"}", `{"a":"` + strings.Repeat("x", 40) + `\"é"}`,
	"\ufeff{}", "{\"a\":1\x00}", `{"a":[1,]}`, `{"a":[}`, `{"a":"`, `{"a":"\`, `{"a":"\u`, `{'a':1}`, `{"a":NaN}`, `{"a" 1}`,
}

func TestScannerAgreesWithEncodingJSON(t *testing.T) {
	t.Parallel()
	for _, s := range scanSeeds {
		agree(t, []byte(s))
	}
}

func FuzzScan(f *testing.F) {
	for _, s := range scanSeeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) { agree(t, text) })
}

func TestScannerAgreesOnRandomDocuments(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.Deferred(func() *rapid.Generator[any] { return randomJSON(3) })
		inputs := rapid.MapOf(rapid.String(), value).Draw(t, "inputs")
		doc := map[string]any{"inputs": inputs, rapid.String().Draw(t, "name"): value.Draw(t, "value")}
		text, err := json.MarshalIndent(doc, "", rapid.SampledFrom([]string{"", " ", "\t"}).Draw(t, "indent"))
		if err != nil {
			t.Fatalf("%v", err)
		}
		agree(t, text)
		// One broken byte.
		i := rapid.IntRange(0, len(text)-1).Draw(t, "place")
		text[i] = rapid.Byte().Draw(t, "byte")
		agree(t, text)
		agree(t, text[:i])
	})
}

func randomJSON(depth int) *rapid.Generator[any] {
	simple := rapid.OneOf(
		rapid.Map(rapid.String(), func(s string) any { return s }),
		rapid.Map(rapid.Float64Range(-1e9, 1e9), func(f float64) any { return f }),
		rapid.Map(rapid.Bool(), func(b bool) any { return b }),
		rapid.Just[any](nil),
	)
	if depth == 0 {
		return simple
	}
	next := rapid.Deferred(func() *rapid.Generator[any] { return randomJSON(depth - 1) })
	return rapid.OneOf(simple,
		rapid.Map(rapid.SliceOfN(next, 0, 3), func(s []any) any { return s }),
		rapid.Map(rapid.MapOfN(rapid.String(), next, 0, 3), func(m map[string]any) any { return m }))
}

func TestScannerStreamsAcrossItsBuffer(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", scanBuffer)
	text := `{"inputs":{"` + long[:1000] + `":"` + long + `\"","n":` + strings.Repeat("1", scanBuffer+7) + `},"outputs":{}}`
	agree(t, []byte(text))
	o, err := scanReader(iotest.OneByteReader(strings.NewReader(text)))
	if err != nil {
		t.Fatal(err)
	}
	if s := o.outputs; text[s.start:s.end] != "{}" {
		t.Errorf("outputs at %+v", s)
	}
}

func TestScannerKeepsItsLimits(t *testing.T) {
	t.Parallel()
	nested := func(n int) string { return `{"a":` + strings.Repeat("[", n-1) + strings.Repeat("]", n-1) + `}` }
	if _, err := scanBytes([]byte(nested(maxDepth))); err != nil {
		t.Errorf("%d deep: %v", maxDepth, err)
	}
	for name, text := range map[string]string{
		"nested more than": nested(maxDepth + 1),
		"nested more":      `{"inputs":` + strings.Repeat(`{"a":`, 100_000),
		"member name":      `{"inputs":{"` + strings.Repeat("x", scanBuffer+1) + `":1}}`,
		"longer than that": `{"inputs":{"` + strings.Repeat("x", maxInputName+1) + `":1}}`,
		"more than 4096":   `{"inputs":{` + strings.Repeat(`"a":1,`, maxInputs) + `"b":1}}`,
	} {
		_, err := scanReader(strings.NewReader(text))
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestScannerReportsWhatItsReaderReports(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk on fire")
	_, err := scanReader(io.MultiReader(strings.NewReader(`{"a":"`), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

func BenchmarkScan(b *testing.B) {
	for name, value := range map[string]string{
		"string":  `"` + strings.Repeat("abcdefgh", 1<<17) + `"`,
		"numbers": "[" + strings.Repeat("[1.25,-3.5],", 1<<16) + "0]",
	} {
		text := []byte(`{"inputs":{"a":` + value + `}}`)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if _, err := scanReader(bytes.NewReader(text)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestCheckOfAStreamAgreesWithEncodingJSON(t *testing.T) {
	t.Parallel()
	for _, s := range append(scanSeeds, "0", "-0", "1 ", " true", "truefalse", "1 2", "[1]]", "[[]", "nul", "1.5e", `"a`, "\x00", "1\x00") {
		err := CheckJSON(iotest.OneByteReader(strings.NewReader(s)))
		if (err == nil) != json.Valid([]byte(s)) {
			t.Errorf("%q: %v", s, err)
		}
	}
	broken := errors.New("disk on fire")
	if err := CheckJSON(io.MultiReader(strings.NewReader("[1"), iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if err := CheckJSON(io.MultiReader(strings.NewReader("[1]"), iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Errorf("after the value: %v", err)
	}
}
