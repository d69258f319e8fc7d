package api

import (
	"encoding/json"
	"slices"
	"strings"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// offerable decides before a process is run whether its results can be given in
// the form that the client wants. It fails with 406 for what the Accept header
// rules out and with an *job.InvalidError for formats that outputs do not have
// (2.0 /req/core/process-execute-output-format; spec 4.4, 4.6).
func offerable(p *job.Process, r job.Request, a accept) error {
	if err := checkFormats(p, r.Outputs); err != nil {
		return err
	}
	if a.admits(mediaJSON) {
		return nil // everything can be given as JSON
	}
	if mode, _ := job.Negotiate(p.JobControlOptions, r.Prefer, 1); mode == job.Async {
		return nil // the reply is a status document whatever the results are
	}
	n := len(p.Outputs)
	if r.Outputs != nil {
		n = len(r.Outputs)
	}
	switch {
	case n == 0, n > 1 && r.Response == "raw":
		return nil
	case r.Response == "document":
		return notAcceptable(mediaJSON)
	case n > 1:
		if !a.admits(mediaMultipart) {
			return notAcceptable(mediaJSON, mediaMultipart)
		}
		return nil
	}
	for id, out := range p.Outputs {
		if _, wanted := r.Outputs[id]; !wanted && r.Outputs != nil {
			continue
		}
		if offers := offersOf(out.Schema); len(offers) > 0 && !slices.ContainsFunc(offers, a.admitsLike) {
			return notAcceptable(append(offers, mediaJSON)...)
		}
	}
	return nil
}

// admitsLike is admits, but takes all JSON types for one: a schema does not say
// which of them the value will have.
func (a accept) admitsLike(mediaType string) bool {
	if a.admits(mediaType) {
		return true
	}
	return isJSON(mediaType) && slices.ContainsFunc(a, func(r mediaRange) bool {
		return r.q > 0 && strings.HasSuffix(r.sub, "+json")
	})
}

// checkFormats checks the formats that the client chose against the schemas of
// the outputs. Outputs that do not exist are for the service to find.
func checkFormats(p *job.Process, selection map[string]ogc.OutputSelection) error {
	var faults []ogc.Fault
	for id, s := range selection {
		if s.Format == nil || s.Format.MediaType == "" {
			continue
		}
		offers := offersOf(p.Outputs[id].Schema)
		fits := func(offer string) bool {
			return sameType(offer, s.Format.MediaType) || isJSON(offer) && isJSON(s.Format.MediaType)
		}
		if len(offers) > 0 && !slices.ContainsFunc(offers, fits) {
			faults = append(faults, ogc.Fault{
				Input:   id,
				Pointer: "/outputs/" + escapePointer(id) + "/format/mediaType",
				Message: "the output is offered as " + strings.Join(offers, " or ") + " only",
			})
		}
	}
	if len(faults) == 0 {
		return nil
	}
	slices.SortFunc(faults, func(a, b ogc.Fault) int { return strings.Compare(a.Pointer, b.Pointer) })
	return &job.InvalidError{Faults: faults}
}

// formatSchema is what the schema of an output tells about its media types.
type formatSchema struct {
	Type             json.RawMessage `json:"type"`
	ContentMediaType string          `json:"contentMediaType"`
	OneOf            []formatSchema  `json:"oneOf"`
	AnyOf            []formatSchema  `json:"anyOf"`
}

// offersOf returns the media types that values of a schema can be given in,
// without those that JSON wraps. It is nil when the schema does not say.
func offersOf(schema json.RawMessage) []string {
	var s formatSchema
	if json.Unmarshal(schema, &s) != nil {
		return nil
	}
	return s.offers()
}

func (s formatSchema) offers() []string {
	if branches := slices.Concat(s.OneOf, s.AnyOf); len(branches) > 0 {
		var all []string
		for _, b := range branches {
			offers := b.offers()
			if offers == nil {
				return nil
			}
			all = append(all, offers...)
		}
		slices.Sort(all)
		return slices.Compact(all)
	}
	if s.ContentMediaType != "" {
		return []string{s.ContentMediaType}
	}
	switch string(s.Type) {
	case `"object"`, `"array"`:
		return []string{mediaJSON}
	case `"string"`, `"number"`, `"integer"`, `"boolean"`:
		return []string{mediaJSON, mediaText}
	}
	return nil
}
