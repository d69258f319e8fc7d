package job

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/text/language"

	"geomill/sdk/ogc"
	"geomill/sdk/schema"
	"geomill/sdk/schema/decode"
)

// defaultLanguage is that of descriptions which do not name theirs.
const defaultLanguage = "en"

// published is what readers get of a description, made once.
type published struct {
	inputs    map[string]ogc.Input  // with schemas in the dialect of version 1.0
	outputs   map[string]ogc.Output // likewise
	inputs30  map[string]json.RawMessage
	outputs30 map[string]json.RawMessage

	languages []string         // the first is that of the description itself
	matcher   language.Matcher // nil when there is one language only
}

// publish makes the published forms of a description whose schemas compile.
func publish(d ogc.Process) (p published, err error) {
	p.inputs, p.inputs30 = maps.Clone(d.Inputs), make(map[string]json.RawMessage, len(d.Inputs))
	for id, in := range d.Inputs {
		if in.Schema, p.inputs30[id], err = dialects(in.Schema); err != nil {
			return p, fmt.Errorf("input %s: %w", id, err)
		}
		p.inputs[id] = in
	}
	p.outputs, p.outputs30 = maps.Clone(d.Outputs), make(map[string]json.RawMessage, len(d.Outputs))
	for id, out := range d.Outputs {
		if s := bytes.TrimSpace(out.Schema); s[0] != '{' {
			return p, fmt.Errorf("output %s: schema is not an object", id)
		}
		if out.Schema, p.outputs30[id], err = dialects(out.Schema); err != nil {
			return p, fmt.Errorf("output %s: %w", id, err)
		}
		p.outputs[id] = out
	}
	return p, p.translate(d)
}

func dialects(raw json.RawMessage) (processes10, openAPI30 json.RawMessage, err error) {
	if processes10, err = schema.Processes10(raw); err != nil {
		return nil, nil, err
	}
	openAPI30, err = schema.OpenAPI30(raw)
	return processes10, openAPI30, err
}

// translate checks the translations and makes them ready to be chosen from.
func (p *published) translate(d ogc.Process) error {
	own := d.Language
	if own == "" {
		own = defaultLanguage
	}
	p.languages = append([]string{own}, slices.Sorted(maps.Keys(d.Translations))...)
	tags := make([]language.Tag, len(p.languages))
	for i, name := range p.languages {
		tag, err := language.Parse(name)
		if err != nil {
			return fmt.Errorf("language %q: not a language tag", name)
		}
		tags[i] = tag
	}
	for _, name := range p.languages[1:] {
		t := d.Translations[name]
		for id := range t.Inputs {
			if _, ok := d.Inputs[id]; !ok {
				return fmt.Errorf("language %s: no such input %q", name, id)
			}
		}
		for id := range t.Outputs {
			if _, ok := d.Outputs[id]; !ok {
				return fmt.Errorf("language %s: no such output %q", name, id)
			}
		}
	}
	if len(tags) > 1 {
		p.matcher = language.NewMatcher(tags)
	}
	return nil
}

// Language returns the language of the description that suits a reader best, and
// that of the description itself when none does. translated is false when there
// is nothing to choose from.
func (p *Process) Language(wanted ...language.Tag) (name string, translated bool) {
	m := p.published.matcher
	if m == nil || len(wanted) == 0 {
		return p.published.languages[0], m != nil
	}
	_, i, _ := m.Match(wanted...)
	return p.published.languages[i], true
}

// Summary returns the summary of the process in one of its languages.
func (p *Process) Summary(lang string) ogc.ProcessSummary {
	s := p.ProcessSummary
	if t, ok := s.Translations[lang]; ok {
		say(t, &s.Title, &s.Description, &s.Keywords)
	}
	s.Language, s.Translations = "", nil
	return s
}

// Description returns the description of the process in one of its languages.
// Its schemas are in the dialect of version 1.0, or, if original is set, as
// the plugin declares them.
func (p *Process) Description(lang string, original bool) ogc.Process {
	d := ogc.Process{ProcessSummary: p.Summary(lang), Inputs: p.published.inputs, Outputs: p.published.outputs}
	if original {
		d.Inputs, d.Outputs = p.Inputs, p.Outputs
	}
	t, ok := p.Translations[lang]
	if !ok {
		return d
	}
	d.Inputs, d.Outputs = maps.Clone(d.Inputs), maps.Clone(d.Outputs)
	for id, t := range t.Inputs {
		in := d.Inputs[id]
		say(t, &in.Title, &in.Description, &in.Keywords)
		d.Inputs[id] = in
	}
	for id, t := range t.Outputs {
		out := d.Outputs[id]
		say(t, &out.Title, &out.Description, &out.Keywords)
		d.Outputs[id] = out
	}
	return d
}

// say replaces the texts that a translation has.
func say(t ogc.Translation, title, description *string, keywords *[]string) {
	if t.Title != "" {
		*title = t.Title
	}
	if t.Description != "" {
		*description = t.Description
	}
	if t.Keywords != nil {
		*keywords = t.Keywords
	}
}

// OpenAPI30 returns the schemas of the inputs and outputs for an OpenAPI 3.0
// document. The caller does not change them.
func (p *Process) OpenAPI30() (inputs, outputs map[string]json.RawMessage) {
	return p.published.inputs30, p.published.outputs30
}

// OpenAPI31 returns a schema as components of an OpenAPI 3.1 document; see
// schema.OpenAPI31.
func OpenAPI31(raw json.RawMessage, at, wellKnownAt string) (map[string]json.RawMessage, error) {
	return schema.OpenAPI31(raw, at, wellKnownAt)
}

// WellKnownOpenAPI31 returns the schemas that those of OpenAPI31 refer to; see
// schema.WellKnown.
func WellKnownOpenAPI31(wellKnownAt string) (map[string]json.RawMessage, error) {
	return schema.WellKnown(wellKnownAt)
}

// Admits reports whether a value given as JSON text suits an input as it stands.
func (p *Process) Admits(input string, value json.RawMessage) bool {
	check, ok := p.inputs[input]
	if !ok {
		return false
	}
	v, err := decode.JSON(value)
	return err == nil && len(check.schema.Validate(v)) == 0
}

// HasDefault reports whether an input has a value when it is left out.
func (p *Process) HasDefault(input string) bool { return p.inputs[input].fallback != nil }
