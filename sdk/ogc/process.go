package ogc

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// JobControlOption says how a process may be executed (jobControlOptions.yaml).
type JobControlOption string

// The three job control options.
const (
	SyncExecute  JobControlOption = "sync-execute"
	AsyncExecute JobControlOption = "async-execute"
	Dismiss      JobControlOption = "dismiss"
)

// ProcessSummary is an entry of the process list (processSummary.yaml).
type ProcessSummary struct {
	ID                 string             `json:"id"`
	Version            string             `json:"version"`
	Title              string             `json:"title,omitempty"`
	Description        string             `json:"description,omitempty"`
	Keywords           []string           `json:"keywords,omitempty"`
	Metadata           []Metadata         `json:"metadata,omitempty"`
	JobControlOptions  []JobControlOption `json:"jobControlOptions,omitempty"`
	OutputTransmission []string           `json:"outputTransmission,omitempty"` // "value", "reference"
	// Mutable is the deploy, replace, undeploy flag of Part 2, whose default
	// is true: a static process has to say false.
	Mutable *bool  `json:"mutable,omitempty"`
	Links   []Link `json:"links,omitempty"`
	// AdditionalParameters is an object of version 1.0
	// (additionalParameters.yaml), passed on as it is.
	AdditionalParameters json.RawMessage `json:"additionalParameters,omitempty"`
	// Language is the language tag (BCP 47) of the texts; empty is English.
	Language string `json:"language,omitempty"`
	// Translations are the texts in other languages, by language tag. A host
	// answers with the ones that a client prefers and does not publish the
	// rest. Like Language they are an extension of the standard.
	Translations map[string]Translation `json:"translations,omitempty"`
}

// Translation is what a process description says in another language. What is
// empty stays as the description has it.
type Translation struct {
	Title       string                 `json:"title,omitempty"`
	Description string                 `json:"description,omitempty"`
	Keywords    []string               `json:"keywords,omitempty"`
	Inputs      map[string]Translation `json:"inputs,omitempty"`  // of a process only
	Outputs     map[string]Translation `json:"outputs,omitempty"` // of a process only
}

// Process is a process description (process.yaml).
type Process struct {
	ProcessSummary
	Inputs  Inputs            `json:"inputs"`
	Outputs map[string]Output `json:"outputs"`
}

// Input describes one input (inputDescription.yaml). Schema is a JSON Schema
// (2020-12) for one occurrence.
type Input struct {
	Title       string          `json:"title,omitempty"`
	Description string          `json:"description,omitempty"`
	Keywords    []string        `json:"keywords,omitempty"`
	Metadata    []Metadata      `json:"metadata,omitempty"`
	Schema      json.RawMessage `json:"schema"`
	MinOccurs   *int            `json:"minOccurs,omitempty"` // default 1; 0 makes it optional
	MaxOccurs   *Occurs         `json:"maxOccurs,omitempty"` // default 1

	AdditionalParameters json.RawMessage `json:"additionalParameters,omitempty"` // as of a process
	ValuePassing         []string        `json:"valuePassing,omitempty"`         // "byValue", "byReference"; default both
	DataClasses          []string        `json:"dataClasses,omitempty"`
	DataAccessAPIs       []string        `json:"dataAccessAPIs,omitempty"`
	// ExecutionUnitRequirements is an object of version 2.0, passed on as it
	// is.
	ExecutionUnitRequirements json.RawMessage `json:"executionUnitRequirements,omitempty"`
}

// Min returns the least number of occurrences.
func (i Input) Min() int {
	if i.MinOccurs == nil {
		return 1
	}
	return *i.MinOccurs
}

// Max returns the largest number of occurrences, or Unbounded.
func (i Input) Max() Occurs {
	if i.MaxOccurs == nil {
		return 1
	}
	return *i.MaxOccurs
}

// Output describes one output (outputDescription.yaml). Schema is a JSON Schema
// for one occurrence; with maxOccurs above one the value is an array of them.
type Output struct {
	Title       string          `json:"title,omitempty"`
	Description string          `json:"description,omitempty"`
	Keywords    []string        `json:"keywords,omitempty"`
	Metadata    []Metadata      `json:"metadata,omitempty"`
	Schema      json.RawMessage `json:"schema"`
	MinOccurs   *int            `json:"minOccurs,omitempty"` // default 1; version 2.0 only
	MaxOccurs   *Occurs         `json:"maxOccurs,omitempty"` // default 1

	DataClasses          []string        `json:"dataClasses,omitempty"`
	DataAccessAPIs       []string        `json:"dataAccessAPIs,omitempty"`
	AdditionalParameters json.RawMessage `json:"additionalParameters,omitempty"` // as of a process
}

// Min returns the least number of occurrences.
func (o Output) Min() int {
	if o.MinOccurs == nil {
		return 1
	}
	return *o.MinOccurs
}

// Max returns the largest number of occurrences, or Unbounded.
func (o Output) Max() Occurs {
	if o.MaxOccurs == nil {
		return 1
	}
	return *o.MaxOccurs
}

// Metadata is more information: a link with a role, or in version 2.0 a value
// of its own (metadata.yaml).
type Metadata struct {
	Title    string          `json:"title,omitempty"`
	Role     string          `json:"role,omitempty"`
	Href     string          `json:"href,omitempty"`
	Rel      string          `json:"rel,omitempty"`
	Type     string          `json:"type,omitempty"`
	Hreflang string          `json:"hreflang,omitempty"`
	Length   int64           `json:"length,omitempty"` // bytes
	Lang     string          `json:"lang,omitempty"`   // of the value
	Value    json.RawMessage `json:"value,omitempty"`  // a string or an object
}

// Occurs is a maxOccurs: a number, or "unbounded".
type Occurs int

// Unbounded is the maxOccurs without a limit.
const Unbounded Occurs = -1

// Allows reports whether n occurrences are not too many.
func (o Occurs) Allows(n int) bool { return o == Unbounded || n <= int(o) }

// String returns the number, or "unbounded".
func (o Occurs) String() string {
	if o == Unbounded {
		return "unbounded"
	}
	return strconv.Itoa(int(o))
}

// MarshalJSON writes a number, or "unbounded".
func (o Occurs) MarshalJSON() ([]byte, error) {
	if o == Unbounded {
		return []byte(`"unbounded"`), nil
	}
	return strconv.AppendInt(nil, int64(o), 10), nil
}

// UnmarshalJSON reads a number, or "unbounded".
func (o *Occurs) UnmarshalJSON(b []byte) error {
	if string(b) == `"unbounded"` {
		*o = Unbounded
		return nil
	}
	n, err := strconv.Atoi(string(b))
	if err != nil || n < 0 {
		return fmt.Errorf("maxOccurs is a number from 0 or \"unbounded\", not %.40s", b)
	}
	*o = Occurs(n)
	return nil
}
