package check

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"geomill/sdk/schema"
)

// Defaults checks that a schema accepts each default in it, at any depth below
// properties, items and additionalProperties. A default is filled in first, as
// what it stands for is.
func Defaults(text json.RawMessage) error {
	if _, err := schema.Compile(text); err != nil {
		return err
	}
	var root map[string]json.RawMessage
	if json.Unmarshal(text, &root) != nil {
		return nil // a boolean schema has no words
	}
	return checkDefaults("", root, root["$defs"])
}

// checkDefaults checks those of the schema at a place, named by the properties and
// keywords on the way. What defs has may be referred to.
func checkDefaults(at string, words map[string]json.RawMessage, defs json.RawMessage) error {
	if value := words["default"]; value != nil {
		if err := acceptsDefault(words, defs, value); err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
	}
	var properties map[string]json.RawMessage
	_ = json.Unmarshal(words["properties"], &properties) // compiled before: an object, or none
	places := make(map[string]json.RawMessage, len(properties)+1)
	for name, s := range properties {
		places[at+"/"+name] = s
	}
	for _, keyword := range []string{"items", "additionalProperties"} {
		if s := words[keyword]; s != nil {
			places[at+"/"+keyword] = s
		}
	}
	for _, place := range slices.Sorted(maps.Keys(places)) {
		var words map[string]json.RawMessage
		if json.Unmarshal(places[place], &words) != nil {
			continue
		}
		if err := checkDefaults(place, words, defs); err != nil {
			return err
		}
	}
	return nil
}

// acceptsDefault judges the default of a schema that can stand alone, with defs.
func acceptsDefault(words map[string]json.RawMessage, defs, value json.RawMessage) error {
	alone := maps.Clone(words)
	if defs != nil {
		alone["$defs"] = defs
	}
	text, err := json.Marshal(alone)
	if err != nil {
		return err
	}
	_, faults, err := Fill(text, value)
	if err != nil {
		return nil // what refers to another part of the whole does not compile alone
	}
	if len(faults) > 0 {
		return fmt.Errorf("its default%s %s", faults[0].Pointer, faults[0].Message)
	}
	return nil
}
