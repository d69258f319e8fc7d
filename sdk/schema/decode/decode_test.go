package decode

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestJSONRefusesWhatIsNotOneModestValue(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ text, want string }{
		"empty":         {"", "not valid JSON"},
		"truncated":     {`{"a":`, "not valid JSON"},
		"number cut":    {`[1`, "ends too early"},
		"two values":    {`1 2`, "follows"},
		"trailing":      {`[1]x`, "follows"},
		"trailing text": {`"a" "b"`, "not valid JSON"},
		"deep":          {strings.Repeat("[", 1001) + strings.Repeat("]", 1001), "levels deep"},
		"exponent":      {`1e401`, "digits"},
		"small":         {`[-1.5E-99999999999999999999]`, "digits"},
		"digits":        {strings.Repeat("1", 401), "digits"},
		"word":          {`nil`, "not valid JSON"},
		"two exponents": {`1e5e5`, "not valid JSON"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if v, err := JSON([]byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v and error %v, want one with %q", v, err, tt.want)
			}
		})
	}
}

func TestJSONKeepsDigitsAndIgnoresStringContents(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text string
		want any
	}{
		{`9007199254740993`, json.Number("9007199254740993")},
		{` 1e400 `, json.Number("1e400")},
		{`{"a":[1.50,null,true]}`, map[string]any{"a": []any{json.Number("1.50"), nil, true}}},
		{`"[[[ \\\" 1e999999"`, `[[[ \" 1e999999`},
		{`["\\",2]`, []any{`\`, json.Number("2")}},
		{strings.Repeat("[", 1000) + strings.Repeat("]", 1000), nil},
	}
	for _, tt := range tests {
		got, err := JSON([]byte(tt.text))
		if err != nil {
			t.Errorf("%.40s: %v", tt.text, err)
		} else if tt.want != nil && !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s is %#v, want %#v", tt.text, got, tt.want)
		}
	}
}

func FuzzJSON(f *testing.F) {
	for _, seed := range []string{`{"a":[1,-2.5e3,"\"\\",null]}`, `"\\"`, `[[1]] 2`, `1e400`, "\"\xff\"", `{"a":1,"a":2}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		v, err := JSON(raw)
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber()
		var want any
		valid := json.Valid(raw)
		if err != nil {
			modest := !strings.Contains(err.Error(), "digits") && !strings.Contains(err.Error(), "levels")
			if valid && modest {
				t.Fatalf("refused valid %q: %v", raw, err)
			}
			return
		}
		if !valid {
			t.Fatalf("accepted invalid %q", raw)
		}
		if err := d.Decode(&want); err != nil || !reflect.DeepEqual(v, want) {
			t.Fatalf("%q is %#v, want %#v (%v)", raw, v, want, err)
		}
	})
}
