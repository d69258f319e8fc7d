package sdk

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"geomill/sdk/ogc"
	"geomill/sdk/wire"

	"github.com/google/go-cmp/cmp"
)

type server struct {
	URL  string `json:"url" jsonschema:"format=uri"`
	Name string `json:"name,omitempty" jsonschema:"default=main"`
}

type tileSettings struct {
	Key     Secret   `json:"key" jsonschema:"title=Key,description=Of the catalogue,minLength=8"`
	Zoom    int      `json:"zoom,omitempty" jsonschema:"minimum=1,maximum=20,default=12"`
	Style   string   `json:"style,omitempty" jsonschema:"enum=plain,enum=dark,default=plain"`
	Servers []server `json:"servers,omitempty"`
}

func (s tileSettings) Validate() error {
	var wrong []error
	if s.Style == "dark" && s.Zoom > 15 {
		wrong = append(wrong, Invalid("style", "has no tiles above zoom 15"))
	}
	for range s.Servers[min(2, len(s.Servers)):] {
		wrong = append(wrong, InvalidAt("servers", "/2", "is one too many"))
	}
	if strings.HasPrefix(s.Key.Reveal(), "expired") {
		wrong = append(wrong, errors.New("the catalogue does not know the key"))
	}
	return errors.Join(wrong...)
}

// configured is a plugin with settings and a process that does nothing.
func configured(t *testing.T, settings Configurable) *Handler {
	t.Helper()
	type out struct{ A int }
	h, err := NewHandler(Plugin{Name: "tiles", Version: "1.0.0", Settings: settings},
		New(Info{ID: "tile"}, func(*Job, struct{}) (out, error) { return out{}, nil }))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestTheSchemaOfSettingsComesFromTheirType(t *testing.T) {
	t.Parallel()
	var got, want any
	if err := json.Unmarshal(configured(t, &Settings[tileSettings]{}).Info().SettingsSchema, &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(`{
		"type": "object", "required": ["key"], "additionalProperties": false,
		"properties": {
			"key": {"type": "string", "format": "password", "writeOnly": true, "minLength": 8, "title": "Key", "description": "Of the catalogue"},
			"zoom": {"type": "integer", "minimum": 1, "maximum": 20, "default": 12},
			"style": {"type": "string", "enum": ["plain", "dark"], "default": "plain"},
			"servers": {"type": "array", "items": {"type": "object", "required": ["url"], "additionalProperties": false, "properties": {
				"url": {"type": "string", "format": "uri"}, "name": {"type": "string", "default": "main"}}}}
		}}`), &want); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestSettingsAreThereBeforeTheFirstJob(t *testing.T) {
	t.Parallel()
	var settings Settings[tileSettings]
	if got := settings.Get(); got.Zoom != 0 {
		t.Errorf("before: %+v", got)
	}
	h := configured(t, &settings)
	if p := h.Configure(t.Context(), json.RawMessage(`{"key":"open-sesame","zoom":14.0,"servers":[{"url":"http://a"}]}`), wire.Limits{}); p != nil {
		t.Fatal(p)
	}
	got := settings.Get()
	if got.Key.Reveal() != "open-sesame" || got.Zoom != 14 || got.Style != "plain" || got.Servers[0].Name != "main" {
		t.Errorf("%+v", got)
	}
}

// ownText encodes itself, so it may be anything.
type ownText struct{ text string }

func (o ownText) MarshalJSON() ([]byte, error)     { return json.Marshal(o.text) }
func (o *ownText) UnmarshalJSON(text []byte) error { return json.Unmarshal(text, &o.text) }

// pair describes itself, with a schema for each item.
type pair []any

func (pair) JSONSchema() json.RawMessage {
	return json.RawMessage(`{"type":"array","items":[{"type":"string"},true]}`)
}

func TestSettingsMayHoldAnything(t *testing.T) {
	t.Parallel()
	type inner struct {
		Extra any             `json:"extra,omitempty"`
		Text  json.RawMessage `json:"text,omitempty"`
		Name  string          `json:"name,omitempty" jsonschema:"default=main"`
	}
	type open struct {
		Top    any              `json:"top,omitempty" jsonschema:"title=Top"`
		Inner  inner            `json:"inner"`
		List   []any            `json:"list,omitempty"`
		Map    map[string]any   `json:"map,omitempty"`
		Own    ownText          `json:"own,omitzero"`
		Owns   []ownText        `json:"owns,omitempty"`
		Inners map[string]inner `json:"inners,omitempty"`
		Pair   pair             `json:"pair,omitempty"`
	}
	var settings Settings[open]
	given := `{"top":[1],"inner":{"extra":{"a":1},"text":[true]},"list":[{},"a"],"map":{"a":null},
		"own":"o","owns":["p"],"inners":{"a":{}},"pair":["a",1]}`
	if p := configured(t, &settings).Configure(t.Context(), json.RawMessage(given), wire.Limits{}); p != nil {
		t.Fatal(p)
	}
	got := settings.Get()
	if got.Inner.Name != "main" || string(got.Inner.Text) != "[true]" || got.Own.text != "o" || got.Owns[0].text != "p" ||
		got.Inners["a"].Name != "main" || len(got.List) != 2 || len(got.Pair) != 2 {
		t.Errorf("%+v", got)
	}
}

func TestWrongSettingsAreAllNamed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		settings string
		want     []ogc.Fault
	}{
		{``, []ogc.Fault{{Pointer: "/key", Message: "is required"}}},
		{`{"more":1,"servers":[{"url":"http://a"},{"name":"b","a/b":1}]}`, []ogc.Fault{
			{Pointer: "/key", Message: "is required"},
			{Pointer: "/more", Message: "is not a known member"},
			{Pointer: "/servers/1/url", Message: "is required"},
			{Pointer: "/servers/1/a~1b", Message: "is not a known member"}}},
		{`{"key":"open-sesame","style":"dark","zoom":16,"servers":[{"url":"http://a"},{"url":"http://b"},{"url":"http://c"}]}`, []ogc.Fault{
			{Pointer: "/style", Message: "has no tiles above zoom 15"},
			{Pointer: "/servers/2", Message: "is one too many"}}},
		{`{"key":"expired-sesame"}`, []ogc.Fault{{Message: "the catalogue does not know the key"}}},
		{`{"key":`, []ogc.Fault{{Message: "is not valid JSON: unexpected end of JSON input (byte 7)"}}},
	} {
		problems := configured(t, &Settings[tileSettings]{}).Configure(t.Context(), json.RawMessage(c.settings), wire.Limits{})
		if len(problems) != 1 {
			t.Errorf("%s: %+v", c.settings, problems)
			continue
		}
		if d := cmp.Diff(c.want, problems[0].Faults); d != "" {
			t.Errorf("%s: %s", c.settings, d)
		}
		if strings.Contains(problems[0].Error(), "sesame") {
			t.Errorf("the secret is shown: %v", &problems[0])
		}
	}
}

func TestAPluginWithoutSettingsTakesNone(t *testing.T) {
	t.Parallel()
	h := configured(t, nil)
	if h.Info().SettingsSchema != nil {
		t.Errorf("schema %s", h.Info().SettingsSchema)
	}
	for settings, ok := range map[string]bool{"": true, "{}": true, `{"a":1}`: false} {
		if p := h.Configure(t.Context(), json.RawMessage(settings), wire.Limits{}); (p == nil) != ok {
			t.Errorf("%s: %v", settings, p)
		}
	}
}

func TestSettingsOfNoStructAreRefused(t *testing.T) {
	t.Parallel()
	_, err := NewHandler(Plugin{Name: "a", Version: "1", Settings: &Settings[int]{}}, New(Info{ID: "a"}, func(*Job, struct{}) (struct{ A int }, error) {
		return struct{ A int }{}, nil
	}))
	if err == nil || !strings.Contains(err.Error(), "settings: int is not a struct") {
		t.Error(err)
	}
}

func TestSettingsByHandAreThoseOfAFile(t *testing.T) {
	t.Parallel()
	var settings Settings[tileSettings]
	type out struct {
		Zoom int `json:"zoom"`
	}
	h, err := NewHandler(Plugin{Name: "tiles", Version: "1.0.0", Settings: &settings},
		New(Info{ID: "tile"}, func(*Job, struct{}) (out, error) { return out{settings.Get().Zoom}, nil }))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "settings.json")
	if err := os.WriteFile(file, []byte(`{"key":"open-sesame","zoom":7}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args     string
		code     int
		out, err string // parts
	}{
		{"run --settings " + file + " -", 0, `"zoom": 7`, ""},
		{"run -", 2, "", "the settings are not valid: /key is required"},
		{"run --settings " + file + "x -", 2, "", "no such file"},
		{"describe", 0, `"writeOnly": true`, ""},
	} {
		var printed, stderr bytes.Buffer
		cmd := command{handler: h, in: strings.NewReader(`{}`), out: &printed, err: &stderr}
		if code := cmd.run(t.Context(), strings.Fields(c.args)); code != c.code ||
			!strings.Contains(printed.String(), c.out) || !strings.Contains(stderr.String(), c.err) {
			t.Errorf("%s: %d, %s, %s", c.args, code, &printed, &stderr)
		}
	}
}
