package job

import (
	"maps"
	"slices"
	"strings"
)

// checkOutputs checks the selection of outputs and the members of version 1.0.
func (in *intake) checkOutputs(r Request) {
	if len(r.Outputs) == 0 && r.Response == "" {
		return // as in most requests
	}
	for _, id := range slices.Sorted(maps.Keys(r.Outputs)) {
		pointer := "/outputs/" + escape(id)
		if _, ok := in.process.Outputs[id]; !ok {
			in.fault(id, pointer, "no such output; the process has "+list(in.process.Outputs))
			continue
		}
		switch r.Outputs[id].TransmissionMode {
		case "", "value", "reference":
		default:
			in.fault(id, pointer+"/transmissionMode", `must be "value" or "reference"`)
		}
	}
	switch r.Response {
	case "", "raw", "document":
	default:
		in.fault("", "/response", `must be "raw" or "document"`)
	}
}

// escape makes a name fit for a JSON pointer (RFC 6901, section 3).
func escape(s string) string {
	if !strings.ContainsAny(s, "~/") {
		return s
	}
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(s)
}

func list[V any](m map[string]V) string {
	if len(m) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(m)), ", ")
}
