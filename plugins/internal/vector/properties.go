package vector

import (
	"encoding/json"
	"maps"
	"slices"
)

// propertiesOf reads the members of a properties object; their values stay raw.
func propertiesOf(raw json.RawMessage) map[string]json.RawMessage {
	var values map[string]json.RawMessage
	if len(raw) > 0 && json.Unmarshal(raw, &values) != nil {
		return nil
	}
	return values
}

// renaming returns what the properties of b are called beside those of a: each
// name that a has too gets "b_" before it, as often as it needs to be free.
func renaming(a, b Layer) map[string]string {
	taken, own := memberNames(a), memberNames(b)
	names := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(own)) {
		to := name
		for taken[to] || to != name && own[to] {
			to = "b_" + to
		}
		names[name], taken[to] = to, true
	}
	return names
}

// memberNames returns the names of all properties of a layer.
func memberNames(layer Layer) map[string]bool {
	names := map[string]bool{}
	for _, f := range layer.Features {
		for name := range propertiesOf(f.Properties) {
			names[name] = true
		}
	}
	return names
}

// renamed returns properties under other names.
func renamed(raw json.RawMessage, names map[string]string) json.RawMessage {
	values := map[string]json.RawMessage{}
	for name, value := range propertiesOf(raw) {
		values[names[name]] = value
	}
	return object(values)
}

// merged returns the properties of both.
func merged(a, b json.RawMessage) json.RawMessage {
	both := map[string]json.RawMessage{}
	maps.Copy(both, propertiesOf(a))
	maps.Copy(both, propertiesOf(b))
	return object(both)
}

// object encodes members; their names come out sorted.
func object(values map[string]json.RawMessage) json.RawMessage {
	encoded, err := json.Marshal(values)
	if err != nil {
		return nil // unreachable: every value was read from JSON
	}
	return encoded
}
