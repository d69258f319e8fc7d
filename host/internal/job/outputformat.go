package job

import (
	"encoding/base64"
	"encoding/json"
	"slices"

	"geomill/sdk/ogc"
)

// stringFormats lists the media types that outputs declare for JSON strings,
// by output.
func stringFormats(outputs map[string]ogc.Output) map[string][]format {
	all := map[string][]format{}
	for id, out := range outputs {
		found := slices.DeleteFunc(formatsOf(out.Schema, maxAlternatives), func(f format) bool {
			return f.media == "" || IsJSON(f.media)
		})
		if len(found) > 0 {
			all[id] = found
		}
	}
	return all
}

// AsDeclared returns an output as its description has it. A plugin may return
// text, or bytes in base64, as the JSON string that they are in a results
// document: where the schema has one media type for it, or the client wanted
// one of several, the value is that text or those bytes (spec 3 "Media types").
func (p *Process) AsDeclared(id string, v Value, wanted string) Value {
	if v.MediaType != "" || len(v.JSON) == 0 || v.JSON[0] != '"' {
		return v
	}
	for _, f := range p.strings[id] {
		if wanted == "" && f.schema != nil || wanted != "" && CanonicalType(wanted) != CanonicalType(f.media) {
			continue // one of several formats, and the client did not choose it
		}
		var text string
		if json.Unmarshal(v.JSON, &text) != nil {
			return v
		}
		content := []byte(text)
		if f.form == asBytes {
			var err error
			if content, err = base64.StdEncoding.DecodeString(text); err != nil {
				return v
			}
		}
		return Value{Data: content, MediaType: f.media}
	}
	return v
}
