package manifest

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"geomill/sdk"
	"geomill/sdk/wire"
)

// stdout is the From of an output that the command prints.
const stdout = "stdout"

// environmentName is what a variable may be called.
var environmentName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

var retryCauses = map[string]wire.RetryCause{
	"plugin": sdk.RetryPlugin, "host": sdk.RetryHost, "process": sdk.RetryProcess, "memory": sdk.RetryMemory, "timeout": sdk.RetryTimeout,
}

// prepare checks a process and finds its command. It returns all that is wrong.
func (p *process) prepare(at place) (faults []error) {
	p.dir = at.dir
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	switch {
	case p.Shell == "" && len(p.Command) == 0:
		fault("needs a command, a list whose first item is a program, or shell, a line for the shell")
	case p.Shell != "" && len(p.Command) > 0:
		fault("has both command and shell: keep one")
	case p.Shell != "":
		p.program = "/bin/sh"
	default:
		var err error
		if p.program, p.tool, err = at.find(p.Command[0]); err != nil {
			faults = append(faults, err)
		}
		for i, a := range p.Command[1:] {
			if err := a.check(p); err != nil {
				fault("command[%d]: %w", i+1, err)
			}
		}
	}
	if _, ok := p.Inputs[p.Stdin]; p.Stdin != "" && !ok {
		fault("stdin: %w", noInput(p, p.Stdin))
	}
	for _, name := range slices.Sorted(maps.Keys(p.Env)) {
		if !environmentName.MatchString(name) {
			fault("env: %q is no name of a variable: use letters, digits and _", name)
		}
	}
	for _, status := range slices.Sorted(maps.Keys(p.Errors)) {
		if _, ok := p.Inputs[p.Errors[status].Input]; p.Errors[status].Input != "" && !ok {
			fault("errors.%d: %w", status, noInput(p, p.Errors[status].Input))
		}
		if status < 1 || status > 255 {
			fault("errors: %d is no exit status of a failure: those are 1 to 255", status)
		}
	}
	if p.Progress != "" {
		var err error
		if p.percent, err = regexp.Compile(p.Progress); err != nil {
			fault("progress: %q is no regular expression: mend it (%s)", p.Progress, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		} else if p.percent.NumSubexp() < 1 {
			fault("progress: %q has no group for the number: put it in brackets, as in (\\d+)%%", p.Progress)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(p.Inputs)) {
		in := p.Inputs[id]
		if err := checkSchema(in.Schema); err != nil {
			fault("inputs.%s: %w", id, err)
		}
		if typeOf(in.Schema) == "string" {
			in.media = mediaOf(in.Schema)
		}
		in.negative = goesBelow(in.Schema)
		p.Inputs[id] = in
	}
	faults = append(faults, p.preparePolicy()...)
	faults = append(faults, p.prepareVariables()...)
	return append(faults, p.prepareOutputs()...)
}

// noInput says that a process has no input of this name, and which it has.
func noInput(p *process, name string) error {
	if len(p.Inputs) == 0 {
		return fmt.Errorf("there is no input %q, nor any other: describe it below inputs", name)
	}
	return fmt.Errorf("there is no input %q: describe it below inputs, or name one of %s", name, strings.Join(slices.Sorted(maps.Keys(p.Inputs)), ", "))
}

func (p *process) preparePolicy() (faults []error) {
	duration := func(key, text string) time.Duration {
		d, err := time.ParseDuration(text)
		if text != "" && (err != nil || d < 0) {
			faults = append(faults, fmt.Errorf("policy.%s: %q is no duration: write one such as 90s or 10m", key, text))
		}
		return d
	}
	p.timeout, p.backoff = duration("timeout", p.Policy.Timeout), duration("retry-backoff", p.Policy.RetryBackoff)
	if p.Policy.Slots < 0 {
		faults = append(faults, errors.New("policy.slots: is less than 0: write how many jobs may run at once, or leave it out"))
	}
	if p.Policy.RetryAttempts < 0 {
		faults = append(faults, errors.New("policy.retry-attempts: is less than 0: write how often a job may be run again, or leave it out"))
	}
	for _, cause := range p.Policy.RetryOn {
		if _, ok := retryCauses[cause]; !ok {
			faults = append(faults, fmt.Errorf("policy.retry-on: %q is no cause: write some of %s", cause, strings.Join(slices.Sorted(maps.Keys(retryCauses)), ", ")))
		}
	}
	return faults
}

// prepareVariables makes sure that no two values share a variable of the shell.
func (p *process) prepareVariables() (faults []error) {
	if p.Shell == "" {
		return nil
	}
	check := func(prefix string, ids []string) {
		taken := map[string]string{}
		for _, id := range ids {
			name := variable(prefix, id)
			if other, twice := taken[name]; twice {
				faults = append(faults, fmt.Errorf("shell: %s and %s are both $%s: rename one", other, id, name))
			}
			taken[name] = id
		}
	}
	check("INPUT_", slices.Sorted(maps.Keys(p.Inputs)))
	check("OUTPUT_", slices.Sorted(maps.Keys(p.Outputs)))
	return faults
}

func (p *process) prepareOutputs() (faults []error) {
	if len(p.Outputs) == 0 {
		return []error{errors.New("has no outputs: describe what comes of it below outputs")}
	}
	printed := ""
	for _, id := range slices.Sorted(maps.Keys(p.Outputs)) {
		out := p.Outputs[id]
		switch {
		case out.From == "":
			faults = append(faults, fmt.Errorf("outputs.%s: needs from: write stdout, or the name of the file that the command writes", id))
		case out.From == stdout && printed != "":
			faults = append(faults, fmt.Errorf("outputs.%s.from: stdout is that of %s already: have the command write a file", id, printed))
		case out.From == stdout:
			printed = id
		case !filepath.IsLocal(out.From):
			faults = append(faults, fmt.Errorf("outputs.%s.from: %q is not inside the directory of the job: name a file in it, such as out.json", id, out.From))
		}
		if err := checkSchema(out.Schema); err != nil {
			faults = append(faults, fmt.Errorf("outputs.%s: %w", id, err))
		}
		out.media = mediaOf(out.Schema)
		p.Outputs[id] = out
	}
	return faults
}

// checkSchema looks whether a schema can be one; the host looks into it.
func checkSchema(schema any) error {
	switch schema.(type) {
	case map[string]any, bool:
		return nil
	case nil:
		return errors.New("needs a schema: write one such as {type: string}")
	}
	return fmt.Errorf("the schema %v is none: write one such as {type: string}", schema)
}

// goesBelow reports whether a schema of a number, or of the items of an array, has
// a minimum below 0.
func goesBelow(schema any) bool {
	keywords, _ := schema.(map[string]any)
	for _, key := range []string{"minimum", "exclusiveMinimum"} {
		if n, err := strconv.ParseFloat(fmt.Sprint(keywords[key]), 64); err == nil && n < 0 {
			return true
		}
	}
	return keywords["items"] != nil && goesBelow(keywords["items"])
}

func typeOf(schema any) string {
	keywords, _ := schema.(map[string]any)
	kind, _ := keywords["type"].(string)
	return kind
}

// mediaOf returns the media type of the content that a schema is about, or "".
func mediaOf(schema any) string {
	keywords, _ := schema.(map[string]any)
	media, _ := keywords["contentMediaType"].(string)
	return media
}
