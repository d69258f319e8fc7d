// Package manifest makes processes of command line tools. A manifest, a YAML
// file, describes them: the arguments come from inputs, the outputs from files
// or standard output, progress from lines that match a pattern, and exit
// statuses become errors. It imports sdk; its central function is Read.
//
// Each job is an operating-system process of its own. No shell is involved
// unless the manifest says so, and then values reach it by its environment:
// the value of an input can become neither code nor an option.
package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"geomill/sdk"
	"geomill/sdk/ogc"

	"github.com/goccy/go-yaml"
)

// maxBytes is the largest manifest.
const maxBytes = 1 << 20

// Manifest is a file that describes command line tools as processes.
type Manifest struct {
	Plugin    sdk.Plugin
	Processes []sdk.Process

	descriptions []ogc.Process
}

// document is a manifest as it is written.
type document struct {
	Name      string             `yaml:"name"`
	Version   string             `yaml:"version"`
	Processes map[string]process `yaml:"processes"`
}

// process is one process of a manifest.
type process struct {
	Title       string               `yaml:"title"`
	Description string               `yaml:"description"`
	Keywords    []string             `yaml:"keywords"`
	Version     string               `yaml:"version"`
	Inputs      map[string]parameter `yaml:"inputs"`
	Outputs     map[string]output    `yaml:"outputs"`

	Command []argument        `yaml:"command"`
	Shell   string            `yaml:"shell"`
	Stdin   string            `yaml:"stdin"` // an input
	Env     map[string]string `yaml:"env"`

	Progress string         `yaml:"progress"` // a regular expression
	Errors   map[int]reason `yaml:"errors"`   // by exit status
	Policy   policy         `yaml:"policy"`

	percent          *regexp.Regexp
	timeout, backoff time.Duration
	dir              string  // of the manifest
	program          string  // absolute path of the command
	tool             *opened // the same, opened by the host; else nil
}

// parameter is an input.
type parameter struct {
	Title       string   `yaml:"title" json:"title,omitempty"`
	Description string   `yaml:"description" json:"description,omitempty"`
	Keywords    []string `yaml:"keywords" json:"keywords,omitempty"`
	Schema      any      `yaml:"schema" json:"schema,omitempty"`
	MinOccurs   *int     `yaml:"minOccurs" json:"minOccurs,omitempty"`
	MaxOccurs   any      `yaml:"maxOccurs" json:"maxOccurs,omitempty"`

	media    string // of content in a string; else empty
	negative bool   // numbers below 0 are expected
}

// output is an output, and where it comes from.
type output struct {
	Title       string   `yaml:"title" json:"title,omitempty"`
	Description string   `yaml:"description" json:"description,omitempty"`
	Keywords    []string `yaml:"keywords" json:"keywords,omitempty"`
	Schema      any      `yaml:"schema" json:"schema,omitempty"`
	// From is stdout, or the name of a file that the command writes in its
	// working directory.
	From string `yaml:"from" json:"-"`

	media string
}

// reason is why a command ends with an exit status.
type reason struct {
	Message string `yaml:"message"`
	// Input is the input to blame.
	Input string `yaml:"input"`
	// Retry says that the job may succeed later.
	Retry bool `yaml:"retry"`
}

// policy is what the author wishes, in the words of the host's configuration.
type policy struct {
	Slots         int      `yaml:"slots"`
	Timeout       string   `yaml:"timeout"`
	RetryAttempts int      `yaml:"retry-attempts"`
	RetryBackoff  string   `yaml:"retry-backoff"`
	RetryOn       []string `yaml:"retry-on"`
	Deterministic bool     `yaml:"deterministic"`
}

// Open reads the manifest at path. Commands with a slash in their names are
// looked for beside it, others in PATH. The error names every fault.
func Open(path string) (*Manifest, error) {
	text, tools, err := handedOver()
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	if text == nil {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("read manifest: %w", err)
		}
		defer f.Close()
		if path, err = filepath.Abs(path); err != nil { // a name without a slash would be looked for in PATH
			return nil, fmt.Errorf("read manifest: %w", err)
		}
		text = f
	}
	if real, err := os.Readlink(path); err == nil && strings.HasPrefix(path, "/proc/") { // /proc/self/fd/N
		path = strings.TrimSuffix(real, " (deleted)")
	}
	return read(text, strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)), place{filepath.Dir(path), tools})
}

// Read reads a manifest whose plugin is called name unless it says otherwise,
// and whose commands are beside dir.
func Read(r io.Reader, name, dir string) (*Manifest, error) { return read(r, name, place{dir: dir}) }

func read(r io.Reader, name string, at place) (*Manifest, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	if len(text) > maxBytes {
		return nil, fmt.Errorf("the manifest is larger than %d bytes: make several of it", maxBytes)
	}
	d := document{Name: strings.ToLower(name), Version: "1.0.0"}
	if err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(&d); err != nil && !errors.Is(err, io.EOF) {
		return nil, explain(err)
	}
	if len(d.Processes) == 0 {
		return nil, errors.New("the manifest has no processes: describe one below the key processes")
	}
	m := &Manifest{Plugin: sdk.Plugin{Name: d.Name, Version: d.Version}}
	var faults []error
	for _, id := range slices.Sorted(maps.Keys(d.Processes)) {
		p := d.Processes[id]
		if wrong := p.prepare(at); len(wrong) > 0 {
			for _, err := range wrong {
				faults = append(faults, fmt.Errorf("processes.%s: %w", id, err))
			}
			continue
		}
		description, err := p.describe(id)
		if err != nil {
			faults = append(faults, fmt.Errorf("processes.%s: %w", id, err))
			continue
		}
		m.descriptions = append(m.descriptions, description)
		m.Processes = append(m.Processes, sdk.Raw(description, p.run).WithPolicy(p.policy()))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	if _, err := sdk.NewHandler(m.Plugin, m.Processes...); err != nil {
		return nil, err
	}
	return m, nil
}

func (p *process) policy() sdk.Policy {
	w := sdk.Policy{
		MaxConcurrency: p.Policy.Slots, Timeout: p.timeout, RetryAttempts: p.Policy.RetryAttempts,
		RetryBackoff: p.backoff, Deterministic: p.Policy.Deterministic,
	}
	for _, cause := range p.Policy.RetryOn {
		w.RetryOn = append(w.RetryOn, retryCauses[cause])
	}
	return w
}

func (p *process) describe(id string) (ogc.Process, error) {
	d := ogc.Process{ProcessSummary: ogc.ProcessSummary{
		ID: id, Title: p.Title, Description: p.Description, Keywords: p.Keywords, Version: p.Version, Mutable: new(bool),
	}, Inputs: ogc.Inputs{}, Outputs: map[string]ogc.Output{}}
	for name, in := range p.Inputs {
		var described ogc.Input
		if err := convert(in, &described); err != nil {
			return d, fmt.Errorf("inputs.%s: %w", name, err)
		}
		d.Inputs[name] = described
	}
	for name, out := range p.Outputs {
		var described ogc.Output
		if err := convert(out, &described); err != nil {
			return d, fmt.Errorf("outputs.%s: %w", name, err)
		}
		d.Outputs[name] = described
	}
	return d, nil
}

// convert makes the standard's form of a part of a manifest.
func convert(from, to any) error {
	text, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, to)
}
