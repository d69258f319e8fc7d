package job

import (
	"encoding/json"
	"strings"
	"testing"

	"golang.org/x/text/language"

	"geomill/sdk/ogc"
)

// described makes a process with an input of a schema and texts in two
// languages more than its own.
func described(t *testing.T, schema string) *Process {
	t.Helper()
	p, err := NewProcess(ogc.Process{
		ProcessSummary: ogc.ProcessSummary{
			ID: "p", Version: "1", Title: "Title", Description: "Text", Keywords: []string{"word"},
			Translations: map[string]ogc.Translation{
				"de": {Title: "Titel", Inputs: map[string]ogc.Translation{"in": {Title: "Eingabe", Keywords: []string{"Wort"}}},
					Outputs: map[string]ogc.Translation{"out": {Description: "Ausgabe"}}},
				"pt-BR": {Title: "Título"},
			},
		},
		Inputs:  map[string]ogc.Input{"in": {Title: "Input", Schema: json.RawMessage(schema)}},
		Outputs: map[string]ogc.Output{"out": {Title: "Output", Schema: json.RawMessage(`{"type":["string","null"]}`)}},
	}, Policy{}, Plugin{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDescriptionsAreInBothDialects(t *testing.T) {
	t.Parallel()
	const schema = `{"const":1,"$comment":"mine"}`
	p := described(t, schema)
	if got := string(p.Description("en", true).Inputs["in"].Schema); got != schema {
		t.Errorf("original %s", got)
	}
	served := p.Description("en", false)
	if got := string(served.Inputs["in"].Schema); got != `{"enum":[1]}` {
		t.Errorf("input %s", got)
	}
	if got := string(served.Outputs["out"].Schema); got != `{"nullable":true,"type":"string"}` {
		t.Errorf("output %s", got)
	}
	if string(p.Inputs["in"].Schema) != schema {
		t.Errorf("the process has changed: %s", p.Inputs["in"].Schema)
	}
}

func TestDescriptionsAreTranslated(t *testing.T) {
	t.Parallel()
	p := described(t, `{}`)
	for _, c := range []struct{ accept, want string }{
		{"", "en"}, {"de", "de"}, {"de-AT;q=0.8, en;q=0.1", "de"}, {"fr", "en"}, {"pt", "pt-BR"}, {"fr, de;q=0.1", "de"}, {"*", "en"},
	} {
		tags, _, err := language.ParseAcceptLanguage(c.accept)
		if err != nil {
			t.Fatal(err)
		}
		if got, translated := p.Language(tags...); got != c.want || !translated {
			t.Errorf("%q: %s, %t", c.accept, got, translated)
		}
	}
	d := p.Description("de", false)
	if d.Title != "Titel" || d.Description != "Text" || d.Inputs["in"].Title != "Eingabe" || d.Inputs["in"].Keywords[0] != "Wort" ||
		d.Outputs["out"].Title != "Output" || d.Outputs["out"].Description != "Ausgabe" || d.Translations != nil {
		t.Errorf("German: %+v", d)
	}
	if d := p.Description("en", false); d.Title != "Title" || d.Inputs["in"].Title != "Input" || d.Translations != nil {
		t.Errorf("English: %+v", d)
	}
	if s := p.Summary("pt-BR"); s.Title != "Título" || s.Description != "Text" {
		t.Errorf("summary %+v", s)
	}
}

func TestTranslationsOfWhatIsNotThereAreRefused(t *testing.T) {
	t.Parallel()
	for want, translations := range map[string]map[string]ogc.Translation{
		"not a language tag":  {"no language": {}},
		`no such input "x"`:   {"de": {Inputs: map[string]ogc.Translation{"x": {}}}},
		`no such output "in"`: {"de": {Outputs: map[string]ogc.Translation{"in": {}}}},
	} {
		d := described(t, `{}`).Process
		d.Translations = translations
		if _, err := NewProcess(d, Policy{}, Plugin{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
