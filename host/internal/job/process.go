package job

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	"geomill/sdk/ogc"
	"geomill/sdk/schema"
	"geomill/sdk/schema/decode"
)

// Isolation says how instances are shared between jobs.
type Isolation string

// The isolation modes.
const (
	Shared    Isolation = "shared"    // one instance, many jobs
	Exclusive Isolation = "exclusive" // one instance, one job at a time
	PerJob    Isolation = "job"       // a fresh instance for each job
)

// Policy is how a process is run: the author's wish, as the operator allows it.
type Policy struct {
	Isolation      Isolation      `json:"isolation,omitempty"`
	MaxConcurrency int            `json:"maxConcurrency,omitempty"` // 0: no limit of its own
	Timeout        time.Duration  `json:"timeout,omitempty"`        // of one attempt; 0: the host's
	MaxTimeout     time.Duration  `json:"maxTimeout,omitempty"`     // that a request may ask for; 0: the host's
	RetryAttempts  int            `json:"retryAttempts,omitempty"`  // further attempts
	RetryBackoff   time.Duration  `json:"retryBackoff,omitempty"`   // before the second attempt; 0: 1 s
	RetryOn        []FailureKind  `json:"retryOn,omitzero"`         // of RetryCauses; nil: DefaultRetryOn
	Deterministic  bool           `json:"deterministic,omitempty"`
	Detached       bool           `json:"detached,omitempty"`     // async jobs go on without the host; only with PerJob
	Priority       Priority       `json:"priority,omitempty"`     // of jobs that ask for none
	QueueTimeout   *time.Duration `json:"queueTimeout,omitempty"` // longest wait for the first start, 0 for ever; nil: the host's
	Limits         Limits         `json:"limits,omitzero"`
}

// Process is a process that can be executed: its description, ready to check
// inputs with, and where it comes from.
type Process struct {
	ogc.Process
	Policy Policy
	Plugin Plugin

	inputs    map[string]inputCheck
	order     []string            // input ids, sorted
	strings   map[string][]format // media types of strings, by output
	published published
}

type inputCheck struct {
	schema   *schema.Schema
	fallback *Value // the value when it is left out: the schema's default, or nil
	binary   bool   // a base64 string
	media    string // contentMediaType

	formats     []format // of content by reference
	byReference bool     // valuePassing allows references
	ownHref     bool     // an object with an href may be a value
	box         bool     // a bounding box

	alternatives []inputCheck // the formats to choose from; see alternativesOf
	named        bool         // the value carries media, as other formats are text too
}

// idPattern keeps identifiers fit for a path segment and for a file name.
var idPattern = regexp.MustCompile(`^[A-Za-z0-9_~:-][A-Za-z0-9._~:-]{0,199}$`)

// NewProcess checks a description as a plugin declares it and makes it ready.
// The error names the first thing that is wrong with it.
func NewProcess(d ogc.Process, p Policy, from Plugin) (*Process, error) {
	if !idPattern.MatchString(d.ID) {
		return nil, fmt.Errorf("process id %q: letters, digits and . _ ~ : - only", d.ID)
	}
	if d.Version == "" {
		return nil, fmt.Errorf("process %s has no version", d.ID)
	}
	if len(d.Outputs) == 0 {
		return nil, fmt.Errorf("process %s has no outputs", d.ID)
	}
	for _, o := range d.JobControlOptions {
		if o != ogc.SyncExecute && o != ogc.AsyncExecute && o != ogc.Dismiss {
			return nil, fmt.Errorf("process %s: unknown job control option %q", d.ID, o)
		}
	}
	if !slices.Contains(d.JobControlOptions, ogc.SyncExecute) && !slices.Contains(d.JobControlOptions, ogc.AsyncExecute) {
		d.JobControlOptions = append([]ogc.JobControlOption{ogc.SyncExecute, ogc.AsyncExecute}, d.JobControlOptions...)
	}
	if d.Inputs == nil {
		d.Inputs = map[string]ogc.Input{}
	}
	proc := &Process{Process: d, Policy: p, Plugin: from, inputs: make(map[string]inputCheck, len(d.Inputs))}
	for id, in := range d.Inputs {
		c, err := checkInput(id, in)
		if err != nil {
			return nil, fmt.Errorf("process %s: input %s: %w", d.ID, id, err)
		}
		proc.inputs[id] = c
	}
	proc.order = slices.Sorted(maps.Keys(d.Inputs))
	proc.strings = stringFormats(d.Outputs)
	for id, out := range d.Outputs {
		if !idPattern.MatchString(id) {
			return nil, fmt.Errorf("process %s: output id %q: letters, digits and . _ ~ : - only", d.ID, id)
		}
		if out.Min() < 0 || out.Max() == 0 || !out.Max().Allows(out.Min()) {
			return nil, fmt.Errorf("process %s: output %s: minOccurs %d and maxOccurs %s do not go together", d.ID, id, out.Min(), out.Max())
		}
		if _, err := schema.Compile(out.Schema); err != nil {
			return nil, fmt.Errorf("process %s: output %s: %w", d.ID, id, err)
		}
	}
	var err error
	if proc.published, err = publish(d); err != nil {
		return nil, fmt.Errorf("process %s: %w", d.ID, err)
	}
	return proc, nil
}

func checkInput(id string, in ogc.Input) (inputCheck, error) {
	if !idPattern.MatchString(id) {
		return inputCheck{}, fmt.Errorf("id: letters, digits and . _ ~ : - only")
	}
	if in.Min() < 0 || in.Max() == 0 || !in.Max().Allows(in.Min()) {
		return inputCheck{}, fmt.Errorf("minOccurs %d and maxOccurs %s do not go together", in.Min(), in.Max())
	}
	s, err := schema.Compile(in.Schema)
	if err != nil {
		return inputCheck{}, err
	}
	doc, err := decode.JSON(in.Schema)
	if err != nil {
		return inputCheck{}, err
	}
	var words struct {
		Default json.RawMessage `json:"default"`
		contentWords
	}
	if err := json.Unmarshal(in.Schema, &words); err != nil {
		return inputCheck{}, fmt.Errorf("schema is not an object: %w", err)
	}
	c := inputCheck{
		schema: s,
		binary: words.isBinary(),
		media:  words.ContentMediaType,

		formats:     formatsOf(in.Schema, maxAlternatives),
		byReference: in.ValuePassing == nil || slices.Contains(in.ValuePassing, "byReference"),
		ownHref:     declaresHref(doc),
		box:         isBox(in.Schema),

		alternatives: alternativesOf(in.Schema),
	}
	c.fallback, err = c.fallbackOf(words.Default, in.Max() != 1)
	return c, err
}
