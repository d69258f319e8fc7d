package api

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// schemasAt is where the schemas of a document are.
const schemasAt = "#/components/schemas/"

// describeProcesses adds the operations of each process, on paths of their own
// beside those for any process: with its own inputs and outputs.
func (a *API) describeProcesses(processes []*job.Process, version string, paths, schemas object) error {
	for _, p := range processes {
		t := typed{Process: p, version: version, schemas: schemas, inputs: map[string]string{}, outputs: map[string]string{}}
		if err := t.addSchemas(); err != nil {
			return fmt.Errorf("describe process %s: %w", p.ID, err)
		}
		body := t.body()
		for _, rt := range a.routes {
			rest, ok := strings.CutPrefix(rt.path, "/processes/:processID")
			if !ok {
				continue
			}
			op := rt.open()
			t.name(rt, op)
			if rt.doc.body == "execute" {
				op["requestBody"] = body
			}
			if rest == "/execution" {
				t.results(op["responses"].(object))
			}
			path, _ := openPath("/processes/" + p.ID + rest)
			addOperation(paths, path, rt.method, op)
		}
	}
	if version == "3.0" {
		return nil
	}
	return addWellKnown(schemas)
}

// typed writes what is one process's own in a document.
type typed struct {
	*job.Process
	version         string
	schemas         object            // components of the document
	inputs, outputs map[string]string // components by id
}

// name makes the operation of any process that of this one.
func (t typed) name(rt route, op object) {
	op["operationId"] = rt.doc.id + "." + t.ID
	op["summary"] = cmp.Or(t.Title, t.ID) + ": " + rt.doc.summary
	if t.Process.Process.Description != "" {
		op["description"] = t.Process.Process.Description
	}
	params, _ := op["parameters"].([]object)
	own := ref("parameters", "processID")["$ref"]
	if params = slices.DeleteFunc(params, func(p object) bool { return p["$ref"] == own }); len(params) > 0 {
		op["parameters"] = params
	} else {
		delete(op, "parameters")
	}
}

// component adds a schema to the components under a name that tools can read.
func (t typed) component(parts ...string) string {
	name := strings.Map(func(c rune) rune {
		if c == '~' || c == ':' {
			return '_'
		}
		return c
	}, strings.Join(parts, "."))
	for {
		if _, taken := t.schemas[name]; !taken {
			return name
		}
		name += "_"
	}
}

// addSchemas makes components of the schemas of inputs and outputs.
func (t typed) addSchemas() (err error) {
	inputs30, outputs30 := t.OpenAPI30()
	for _, id := range slices.Sorted(maps.Keys(t.Inputs)) {
		t.inputs[id], err = t.addSchema(t.component(t.ID, "inputs", id), t.Inputs[id].Schema, inputs30[id])
		if err != nil {
			return fmt.Errorf("input %s: %w", id, err)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(t.Outputs)) {
		t.outputs[id], err = t.addSchema(t.component(t.ID, "outputs", id), t.Outputs[id].Schema, outputs30[id])
		if err != nil {
			return fmt.Errorf("output %s: %w", id, err)
		}
	}
	return nil
}

// addSchema adds a schema to the components, in OpenAPI 3.1 with its definitions,
// and returns its name, which is longer than the wish when a definition's is
// taken.
func (t typed) addSchema(name string, declared, openAPI30 json.RawMessage) (string, error) {
	if t.version == "3.0" {
		t.schemas[name] = openAPI30
		return name, nil
	}
	for ; ; name += "_" {
		parts, err := job.OpenAPI31(declared, schemasAt+name, schemasAt)
		if err != nil {
			return "", err
		}
		free := true
		for suffix := range parts {
			_, taken := t.schemas[name+suffix]
			free = free && !taken
		}
		if !free {
			continue
		}
		for suffix, text := range parts {
			t.schemas[name+suffix] = text
		}
		return name, nil
	}
}

// addWellKnown adds the well-known schemas that others refer to, and what those
// refer to.
func addWellKnown(schemas object) error {
	known, err := job.WellKnownOpenAPI31(schemasAt)
	if err != nil {
		return err
	}
	texts := make([]json.RawMessage, 0, len(schemas))
	for _, s := range schemas {
		if text, ok := s.(json.RawMessage); ok {
			texts = append(texts, text)
		}
	}
	for len(texts) > 0 {
		text := texts[0]
		texts = texts[1:]
		for name, more := range known {
			if _, added := schemas[name]; !added && bytes.Contains(text, []byte(`"`+schemasAt+name+`"`)) {
				schemas[name] = more
				texts = append(texts, more)
			}
		}
	}
	return nil
}

// null is the schema of null.
func (t typed) null() object {
	if t.version == "3.0" {
		return object{"type": "string", "enum": []any{nil}, "nullable": true} // nullable needs a type
	}
	return object{"type": "null"}
}

// body describes the execute request.
func (t typed) body() object {
	inputs, required := object{}, []string{}
	for id, in := range t.Inputs {
		inputs[id] = t.input(id, in)
		if in.Min() > 0 && !t.HasDefault(id) {
			required = append(required, id)
		}
	}
	slices.Sort(required)
	given := record(inputs, required...)
	given["additionalProperties"] = false
	selections := object{}
	for id := range t.Outputs {
		selections[id] = ref("schemas", "outputSelection")
	}
	selection := record(selections)
	selection["additionalProperties"] = false
	schema := executeSchemas(t.version)["execute"].(object)
	members := schema["properties"].(object)
	members["inputs"], members["outputs"] = given, orNull(selection, t.version)
	if len(required) > 0 {
		schema["required"] = []string{"inputs"}
	} else {
		members["inputs"] = orNull(given, t.version)
	}
	name := t.component(t.ID, "execute")
	t.schemas[name] = schema
	media := object{"schema": ref("schemas", name)}
	if example, ok := exampleOf(t.Process); ok {
		media["example"] = example
	}
	return object{"required": true, "content": object{mediaJSON: media}}
}

// input describes the value of an input as an execute request has it (spec 4.2):
// bare, with its format, or by reference; one, or a list of them.
func (t typed) input(id string, in ogc.Input) object {
	bare := ref("schemas", t.inputs[id])
	forms := []object{bare, record(object{
		"value": bare, "mediaType": orNull(word(), t.version), "encoding": orNull(word(), t.version),
		"schema": object{}, "format": ref("schemas", "format"),
	}, "value")}
	if in.ValuePassing == nil || slices.Contains(in.ValuePassing, "byReference") {
		t.schemas["reference"] = link(address(8192))
		forms = append(forms, ref("schemas", "reference"))
	}
	optional := in.Min() == 0 || t.HasDefault(id)
	if most := in.Max(); most != 1 {
		list := object{"type": "array", "items": object{"anyOf": forms}, "minItems": in.Min()}
		if most != ogc.Unbounded {
			list["maxItems"] = int(most)
		}
		forms = append([]object{list}, forms...)
	} else if optional {
		forms = append(forms, t.null())
	}
	o := object{"anyOf": forms}
	if in.Title != "" {
		o["title"] = in.Title
	}
	if in.Description != "" {
		o["description"] = in.Description
	}
	return o
}

// results describes what a synchronous execution answers with: the results
// document, or the only output that was asked for.
func (t typed) results(responses object) {
	document := object{}
	forms := []object{}
	content := object{"*/*": object{"schema": object{}}} // a process may name the media type with the value
	for _, id := range slices.Sorted(maps.Keys(t.Outputs)) {
		out := t.Outputs[id]
		bare := ref("schemas", t.outputs[id])
		shown := object{"anyOf": []object{bare, record(object{"value": bare, "mediaType": word(), "encoding": word()}, "value"), ref("schemas", "link")}}
		if out.MaxOccurs != nil && *out.MaxOccurs != 1 {
			document[id] = object{"type": "array", "items": shown}
			forms = append(forms, object{"type": "array", "items": bare})
		} else {
			document[id] = shown
		}
		forms = append(forms, bare)
		for _, mediaType := range declaredTypes(out.Schema) {
			content[mediaType] = object{"schema": object{}}
		}
	}
	all := record(document)
	all["additionalProperties"] = false
	name := t.component(t.ID, "results")
	t.schemas[name] = all
	content[mediaJSON] = object{"schema": object{"anyOf": append([]object{ref("schemas", name)}, forms...)}}
	content[mediaMultipart] = object{"schema": object{}}
	ok := maps.Clone(responses[strconv.Itoa(200)].(object))
	ok["content"] = content
	responses[strconv.Itoa(200)] = ok
}

// declaredTypes lists the media types that a schema names.
func declaredTypes(schema json.RawMessage) []string {
	var s struct {
		Type             json.RawMessage   `json:"type"`
		ContentMediaType string            `json:"contentMediaType"`
		OneOf            []json.RawMessage `json:"oneOf"`
		AnyOf            []json.RawMessage `json:"anyOf"`
	}
	if json.Unmarshal(schema, &s) != nil {
		return nil
	}
	var all []string
	for _, branch := range append(s.OneOf, s.AnyOf...) {
		all = append(all, declaredTypes(branch)...)
	}
	switch {
	case s.ContentMediaType != "":
		all = append(all, s.ContentMediaType)
	case len(s.Type) > 0 && string(s.Type) != `"object"` && string(s.Type) != `"array"`:
		all = append(all, mediaText)
	}
	return all
}
