package manifest

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

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

// prepare checks a process and finds its command.
func (p *process) prepare(dir string) error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	switch {
	case p.Shell == "" && len(p.Command) == 0:
		fault("needs a command, or a line for the shell")
	case p.Shell != "" && len(p.Command) > 0:
		fault("has both a command and a line for the shell")
	case p.Shell != "":
		p.program = "/bin/sh"
	default:
		var err error
		if p.program, err = findProgram(p.Command[0], dir); err != nil {
			faults = append(faults, err)
		}
	}
	for i, a := range p.Command {
		if err := a.check(p); err != nil {
			fault("command[%d]: %w", i, err)
		}
	}
	if _, ok := p.Inputs[p.Stdin]; p.Stdin != "" && !ok {
		fault("stdin: there is no input %q", p.Stdin)
	}
	for name := range p.Env {
		if !environmentName.MatchString(name) {
			fault("env: %q is no name of a variable", name)
		}
	}
	for _, cause := range p.Policy.RetryOn {
		if _, ok := retryCauses[cause]; !ok {
			fault("policy.retry-on: %q is not one of %s", cause, strings.Join(slices.Sorted(maps.Keys(retryCauses)), ", "))
		}
	}
	for status, why := range p.Errors {
		if _, ok := p.Inputs[why.Input]; why.Input != "" && !ok {
			fault("errors.%d: there is no input %q", status, why.Input)
		}
	}
	if p.Progress != "" {
		var err error
		if p.percent, err = regexp.Compile(p.Progress); err != nil {
			fault("progress: %w", err)
		} else if p.percent.NumSubexp() < 1 {
			fault("progress: the expression needs a group for the number, such as (\\d+)%%")
		}
	}
	for id, in := range p.Inputs {
		if keywords, _ := in.Schema.(map[string]any); keywords["type"] == "string" {
			in.media = mediaOf(in.Schema)
			p.Inputs[id] = in
		}
	}
	faults = append(faults, p.prepareOutputs()...)
	return errors.Join(faults...)
}

func (p *process) prepareOutputs() (faults []error) {
	if len(p.Outputs) == 0 {
		return []error{errors.New("has no outputs")}
	}
	printed := ""
	for _, id := range slices.Sorted(maps.Keys(p.Outputs)) {
		out := p.Outputs[id]
		switch {
		case out.From == "":
			faults = append(faults, fmt.Errorf("outputs.%s: needs from: stdout, or the name of a file", id))
		case out.From == stdout && printed != "":
			faults = append(faults, fmt.Errorf("outputs.%s: stdout is that of %s already", id, printed))
		case out.From == stdout:
			printed = id
		case !filepath.IsLocal(out.From):
			faults = append(faults, fmt.Errorf("outputs.%s.from: %q is not inside the working directory", id, out.From))
		}
		out.media = mediaOf(out.Schema)
		p.Outputs[id] = out
	}
	return faults
}

// mediaOf returns the media type of the content that a schema is about, or "".
func mediaOf(schema any) string {
	keywords, _ := schema.(map[string]any)
	media, _ := keywords["contentMediaType"].(string)
	return media
}

// findProgram returns the path of the program that a command begins with.
func findProgram(first argument, dir string) (string, error) {
	name := first.Text
	if name == "" {
		return "", errors.New("command[0]: must be the name of a program")
	}
	if strings.Contains(name, "/") && !filepath.IsAbs(name) {
		name = filepath.Join(dir, name)
	}
	path, err := exec.LookPath(name)
	switch {
	case err == nil:
		return path, nil
	case errors.Is(err, fs.ErrPermission):
		return "", fmt.Errorf("%s cannot be executed: chmod +x it", name)
	case strings.Contains(name, "/"):
		return "", fmt.Errorf("there is no program %s", name)
	}
	return "", fmt.Errorf("there is no program %s in PATH; install it, or give its whole path", name)
}
