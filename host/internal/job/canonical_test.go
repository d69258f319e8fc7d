package job

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

func TestCanonicalJSONTellsValuesNotSpellings(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, class := range [][]string{
		{`1`, `1.0`, `10e-1`, `0.1E+1`, `100e-2`, ` 1 `},
		{`100`, `1e2`, `1E+02`, `100.0`},
		{`0`, `0.0`, `0e9`}, {`-0`, `-0.0`},
		{`0.1`, `1e-1`}, {`0.10000000000000000001`},
		{`9007199254740993`}, {`9007199254740992`},
		{`1e99999999999999999999`}, {`-1`, `-1.0`}, {`12`},
		{`"a"`, `"\u0061"`}, {`"/"`, `"\/"`, `"\u002f"`, `"\u002F"`}, {`"\""`, `"\u0022"`}, {`"\\"`, `"\u005C"`}, {`"\n"`, `"\u000a"`},
		{`"😀"`, `"\ud83d\ude00"`, `"\uD83D\uDE00"`}, {`"\ud83d"`}, {`"\ude00"`}, {`"\ud83d\ud83d"`}, {"\"\ufffd\"", `"\ufffd"`}, {`"\ud83dx"`},
		{`""`}, {`" "`}, {`null`}, {`true`, "\ttrue\n"}, {`false`}, {`"true"`}, {`"1"`},
		{`[]`, `[ ]`}, {`[[]]`}, {`[[],[]]`, "[ [ ] ,\n[ ] ]"}, {`[1,2]`, `[ 1 , 2e0 ]`}, {`[2,1]`}, {`[12]`}, {`[[1],2]`},
		{`{}`, `{ }`}, {`{"a":1,"b":2}`, `{ "b" : 2.0, "\u0061":1 }`}, {`{"a":2,"b":1}`}, {`{"a":1}`}, {`{"a":1,"a":2}`}, {`{"a":2,"a":1}`},
		{`{"a":{"c":[{"y":1,"x":2}],"b":3}}`, `{"a":{"b":3,"c":[{"x":2,"y":1}]}}`},
		{`{"a":"b\",\"c"}`}, {`{"a":"b","c":""}`},
	} {
		form := string(appendCanonical(nil, []byte(class[0])))
		if other, taken := seen[form]; taken {
			t.Errorf("%s and %s are both %q", class[0], other, form)
		}
		seen[form] = class[0]
		for _, spelling := range class {
			if got := string(appendCanonical(nil, []byte(spelling))); got != form {
				t.Errorf("%s is %q, %s is %q", spelling, got, class[0], form)
			}
		}
	}
}

// TestCanonicalJSONIsThatOfTheValue writes random values in two ways.
func TestCanonicalJSONIsThatOfTheValue(t *testing.T) {
	t.Parallel()
	value := func(label string, t *rapid.T) any { return anyJSON(3).Draw(t, label) }
	rapid.Check(t, func(t *rapid.T) {
		a, b := value("a", t), value("b", t)
		spelled := func(v any, indent bool) []byte {
			text, err := json.Marshal(v)
			if indent {
				text, err = json.MarshalIndent(v, " ", "\t")
			}
			if err != nil {
				t.Fatal(err)
			}
			return text
		}
		form := appendCanonical(nil, spelled(a, false))
		if again := appendCanonical(nil, spelled(a, true)); !bytes.Equal(form, again) {
			t.Fatalf("%q and %q", form, again)
		}
		if other := appendCanonical(nil, spelled(b, false)); bytes.Equal(form, other) != reflect.DeepEqual(a, b) {
			t.Fatalf("%s is %q, %s is %q", spelled(a, false), form, spelled(b, false), other)
		}
	})
}

func anyJSON(depth int) *rapid.Generator[any] {
	forms := []*rapid.Generator[any]{
		rapid.Just[any](nil), rapid.Bool().AsAny(), rapid.Float64Range(-1e6, 1e6).Filter(func(f float64) bool { return f != 0 }).AsAny(),
		rapid.SampledFrom([]string{"", "a", "b", "\"", "\\", "é", "<&>", "\u2028"}).AsAny(),
	}
	if depth > 0 {
		inner := anyJSON(depth - 1)
		forms = append(forms, rapid.SliceOfN(inner, 0, 3).AsAny(),
			rapid.MapOfN(rapid.SampledFrom([]string{"", "a", "b", "a\"", "é"}), inner, 0, 3).AsAny())
	}
	return rapid.OneOf(forms...)
}

// FuzzCanonicalJSON checks that the form of any JSON text has the same form.
func FuzzCanonicalJSON(f *testing.F) {
	for _, seed := range []string{`{"b":[1.50,-0,"\ud83d"],"a":{"":null}}`, `[1e400,"\u0000\/"]`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if !json.Valid(text) {
			t.Skip()
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, text); err != nil {
			t.Fatal(err)
		}
		if a, b := appendCanonical(nil, text), appendCanonical(nil, compact.Bytes()); !bytes.Equal(a, b) {
			t.Errorf("%q and %q", a, b)
		}
	})
}
