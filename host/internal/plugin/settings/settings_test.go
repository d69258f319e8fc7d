package settings

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const declared = `{
	"type": "object", "required": ["key"], "additionalProperties": false,
	"properties": {
		"key": {"type": "string", "writeOnly": true, "minLength": 8},
		"zoom": {"type": "integer", "maximum": 20, "default": 12},
		"servers": {"type": "array", "items": {"type": "object", "properties": {
			"url": {"type": "string"}, "login": {"type": "object", "writeOnly": true}}}}
	}}`

const secret = "open-sesame"

// source has the variables given, and the files of this user.
func source(env map[string]string) Source {
	return Source{UID: os.Geteuid(), Env: func(name string) (string, bool) {
		v, ok := env[name]
		return v, ok
	}}
}

// keep writes a secret into a file.
func keep(t testing.TB, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSettingsAreCompletedAndSecretsFetched(t *testing.T) {
	t.Parallel()
	path := keep(t, secret+"\r\n", 0o600)
	s, err := Resolve(json.RawMessage(declared), json.RawMessage(`{"key":{"from-file":"`+path+`"},
		"servers":[{"url":{"from-env":"URL"}},{"login":{"name":{"from-env":"USER"},"password":{"from-env":"PASSWORD"}}}]}`),
		source(map[string]string{"URL": "http://a/?b&c", "USER": "ada", "PASSWORD": "p<w"}))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(s.Reveal()); got != `{"key":"open-sesame","servers":[{"url":"http://a/?b\u0026c"},{"login":{"name":"ada","password":"p\u003cw"}}],"zoom":12}` {
		t.Error(got)
	}
	if got := string(s.Shown()); got != `{"key":"*** (file `+path+`)","servers":[{"url":"*** (environment variable URL)"},{"login":{`+
		`"name":"*** (environment variable USER)","password":"*** (environment variable PASSWORD)"}}],"zoom":12}` {
		t.Error(got)
	}
}

func TestFaultsAreAllNamedByPointer(t *testing.T) {
	t.Parallel()
	good := keep(t, secret, 0o600)
	for _, c := range []struct {
		name, raw string
		want      []Fault
	}{
		{"missing", ``, []Fault{{"/key", "is required"}}},
		{"wrong and unknown", `{"key":{"from-file":"` + good + `"},"zoom":21,"more":1}`, []Fault{
			{"/more", "is not a known member"}, {"/zoom", "must be at most 20"}}},
		{"secret too short", `{"key":{"from-env":"SHORT"}}`, []Fault{{"/key", "must have at least 8 characters, not 5"}}},
		{"written out", `{"key":"open-sesame","zoom":21}`, []Fault{
			{"/key", "is a secret: instead of its value, write {from-file: PATH} or {from-env: NAME} to say where it is"},
			{"/zoom", "must be at most 20"}}},
		{"written out within a secret", `{"key":{"from-file":"` + good + `"},"servers":[{"login":{"name":"ada","password":{"from-env":"SHORT"}}}]}`, []Fault{
			{"/servers/0/login/name", "is a secret: instead of its value, write {from-file: PATH} or {from-env: NAME} to say where it is"}}},
		{"no variable", `{"key":{"from-env":"NOTHING"},"zoom":21}`, []Fault{
			{"/key", `is to come from the environment variable "NOTHING", which the host does not have`}, {"/zoom", "must be at most 20"}}},
		{"no file", `{"key":{"from-file":"/nowhere/key"}}`, []Fault{{"/key", "is to come from the file /nowhere/key, which does not exist"}}},
		{"relative file", `{"key":{"from-file":"key"}}`, []Fault{{"/key", `is to come from the file "key", which is not an absolute path`}}},
		{"nearly a reference", `{"key":{"from-file":"` + good + `","trim":true}}`, []Fault{
			{"/key/from-file", "is a secret: instead of its value, write {from-file: PATH} or {from-env: NAME} to say where it is"},
			{"/key/trim", "is a secret: instead of its value, write {from-file: PATH} or {from-env: NAME} to say where it is"},
			{"/key", "must be a string, not an object"}}},
		{"no object", `[1]`, []Fault{{"", "must be an object"}}},
		{"as a whole", `{"from-env":"SHORT"}`, []Fault{{"/from-env", "is not a known member"}, {"/key", "is required"}}},
		{"too large", `{"key":{"from-env":"LONG"}}`, []Fault{{"", "are larger than 1048576 bytes"}}},
		{"not text", `{"key":{"from-env":"BYTES"}}`, []Fault{{"/key", `is to come from the environment variable "BYTES", which is not UTF-8`}}},
	} {
		_, err := Resolve(json.RawMessage(declared), json.RawMessage(c.raw),
			source(map[string]string{"SHORT": "opens", "LONG": strings.Repeat("a", MaxBytes), "BYTES": "opensesame\xff"}))
		var wrong *Error
		if !errors.As(err, &wrong) {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if d := cmp.Diff(c.want, wrong.Faults); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
		if strings.Contains(err.Error(), "opens") || strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "ada") {
			t.Errorf("%s: the secret is shown: %v", c.name, err)
		}
	}
}

func TestAFileThatOthersCanReadOrChangeIsNoPlaceForASecret(t *testing.T) {
	t.Parallel()
	owner, pipe := source(nil), filepath.Join(t.TempDir(), "pipe")
	stranger := owner
	stranger.UID = 4711
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, path string
		from       Source
		want       string // part; empty: taken
	}{
		{"own", keep(t, secret, 0o400), owner, ""},
		{"of a group", keep(t, secret, 0o640), owner, ""},
		{"read by all", keep(t, secret, 0o604), owner, "can be read by everyone: chmod o-r "},
		{"changed by a group", keep(t, secret, 0o660), owner, "can be changed by others: chmod go-w,o-r "},
		{"changed by all", keep(t, secret, 0o602), owner, "can be changed by others"},
		{"directory", t.TempDir(), owner, "is not a regular file"},
		{"pipe", pipe, owner, "is not a regular file"},
		{"large", keep(t, strings.Repeat("a", secretBytes+1), 0o600), owner, "is larger than 65536 bytes"},
		{"bytes", keep(t, "\xff\xfe", 0o600), owner, "is not UTF-8 text"},
	} {
		text, err := c.from.file(c.path)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		if err == nil && text != secret {
			t.Errorf("%s: %q", c.name, text)
		}
	}
	if os.Geteuid() != 0 { // root's files are believed by all
		if _, err := stranger.file(keep(t, secret, 0o600)); err == nil || !strings.Contains(err.Error(), "is owned by user") {
			t.Error(err)
		}
	}
	if os.Geteuid() == 0 {
		path := keep(t, secret, 0o600)
		if err := os.Chown(path, 65534, 65534); err != nil {
			t.Fatal(err)
		}
		if _, err := stranger.file(path); err == nil || !strings.Contains(err.Error(), "is owned by user 65534: chown 4711 ") {
			t.Error(err)
		}
	}
}

func TestAPluginWithoutASchemaTakesNoSettings(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]error{"": nil, "{}": nil, `{"a":1}`: ErrNone} {
		s, err := Resolve(nil, json.RawMessage(raw), source(nil))
		if s != nil || !errors.Is(err, want) {
			t.Errorf("%s: %v, %v", raw, s, err)
		}
	}
	var none *Settings
	if none.Reveal() != nil || none.Shown() != nil || none.Hide(secret) != secret || none.Conceals() || !none.Equal(nil) || none.String() != "" {
		t.Error("no settings are not empty")
	}
}

func TestAWrongSchemaIsThePluginsFault(t *testing.T) {
	t.Parallel()
	_, err := Resolve(json.RawMessage(`{"type":"objekt"}`), nil, source(nil))
	if err == nil || !strings.Contains(err.Error(), "the plugin declares them by a wrong schema") {
		t.Error(err)
	}
}

func TestSettingsAreEqualWhenThePluginIsToldTheSame(t *testing.T) {
	t.Parallel()
	of := func(text string) *Settings {
		s, err := Resolve(json.RawMessage(declared), json.RawMessage(`{"key":{"from-env":"KEY"}}`), source(map[string]string{"KEY": text}))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if a, b := of(secret), of(secret); !a.Equal(b) || a.Equal(of("open-barley")) || a.Equal(nil) {
		t.Error("Equal is wrong")
	}
}

func TestSecretsArePrintedNowhere(t *testing.T) {
	t.Parallel()
	s, err := Resolve(json.RawMessage(declared), json.RawMessage(`{"key":{"from-env":"KEY"}}`), source(map[string]string{"KEY": secret}))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	encoded, err := json.Marshal(map[string]any{"s": s})
	fmt.Fprintf(&b, "%v %+v %#v %s %q %x %d %s %v", s, s, s, s, s, s, s, encoded, err)
	fmt.Fprintf(&b, "%v %+v", struct{ s *Settings }{s}, []any{s})
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "s", s, "in", struct{ S *Settings }{s})
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "s", s, "in", struct{ S *Settings }{s})
	if strings.Contains(b.String(), secret) || strings.Contains(b.String(), fmt.Sprintf("%x", secret)) {
		t.Error(b.String())
	}
}

func TestHideFindsWhatIsWrittenInOtherForms(t *testing.T) {
	t.Parallel()
	s := &Settings{hide: replacer([]string{`a"b<c d/e`, "abc", "line number one\nline number two\nend", "sesame", "sesame-street"})}
	for text, want := range map[string]string{
		`it is a"b<c d/e.`:                  `it is ***.`,
		`{"k":"a\"b<c d/e"}`:                `{"k":"***"}`,
		`{"k":"a\"b\u003cc d/e"}`:           `{"k":"***"}`,
		`get http://x/?k=a%22b%3Cc+d%2Fe&l`: `get http://x/?k=***&l`,
		`get http://x/a%22b%3Cc%20d%2Fe`:    `get http://x/***`,
		`abc is too short to be found`:      `abc is too short to be found`,
		`> line number two <`:               `> *** <`,
		`the end`:                           `the end`,
		`in sesame-street`:                  `in ***`,
		``:                                  ``,
	} {
		if got := s.Hide(text); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestHideJSONLeavesJSON(t *testing.T) {
	t.Parallel()
	s := &Settings{hide: replacer([]string{"12345", "sesame"})}
	for text, want := range map[string]string{
		`{"a":"open sesame","b":1}`: `{"a":"open ***","b":1}`,
		`{"a":12345}`:               `{"hidden":"***"}`,
		``:                          ``,
	} {
		if got := string(s.HideJSON(json.RawMessage(text))); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestNoSecretIsLeftInATextThatHoldsIt(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.StringN(shortest, 20, 60).Draw(t, "secret")
		before, after := rapid.String().Draw(t, "before"), rapid.String().Draw(t, "after")
		if strings.Contains(mask, secret) || strings.Contains(before+mask+after, secret) {
			t.Skip("the text around holds it too")
		}
		s := &Settings{hide: replacer([]string{secret})}
		if got := s.Hide(before + secret + after); strings.Contains(got, secret) {
			t.Fatalf("%q", got)
		}
		text, err := json.Marshal(map[string]string{"a": before + secret + after})
		if err != nil {
			t.Fatal(err)
		}
		var back map[string]string
		if hidden := s.HideJSON(text); json.Unmarshal(hidden, &back) != nil || strings.Contains(back["a"], secret) {
			t.Fatalf("%s", hidden)
		}
	})
}

func FuzzResolve(f *testing.F) {
	f.Add(declared, `{"key":{"from-env":"KEY"}}`)
	f.Add(`{"writeOnly":true}`, `{"a":[{"b":1}],"c/d~":{"from-env":"KEY"}}`)
	f.Add(`{"$ref":"#"}`, `{}`)
	f.Fuzz(func(t *testing.T, declared, raw string) {
		s, err := Resolve(json.RawMessage(declared), json.RawMessage(raw), source(map[string]string{"KEY": secret}))
		if err != nil {
			if strings.Contains(err.Error(), secret) && !strings.Contains(declared+raw, secret) {
				t.Error(err)
			}
			return
		}
		if len(declared) > 0 && (!json.Valid(s.Reveal()) || !json.Valid(s.Shown())) {
			t.Errorf("%s %s", s.Reveal(), s.Shown())
		}
	})
}
