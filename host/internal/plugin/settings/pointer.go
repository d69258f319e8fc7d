package settings

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

var (
	escape   = strings.NewReplacer("~", "~0", "/", "~1")
	unescape = strings.NewReplacer("~1", "/", "~0", "~")
)

// step is the JSON pointer of a member or an item of the value at a pointer.
func step(at, name string) string { return at + "/" + escape.Replace(name) }

// lookup returns the value at a JSON pointer that leads somewhere.
func lookup(v any, at string) any {
	if at == "" {
		return v
	}
	for name := range strings.SplitSeq(at[1:], "/") {
		switch in := v.(type) {
		case map[string]any:
			v = in[unescape.Replace(name)]
		case []any:
			i, _ := strconv.Atoi(name)
			v = in[i]
		}
	}
	return v
}

// leaves calls visit for the places of all strings, numbers and truth values
// within v, which is at a pointer, in order.
func leaves(at string, v any, visit func(at string)) {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			leaves(step(at, name), v[name], visit)
		}
	case []any:
		for i, item := range v {
			leaves(step(at, strconv.Itoa(i)), item, visit)
		}
	case nil:
	default:
		visit(at)
	}
}
