package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"geomill/sdk"
)

// argument is a part of a command: a text, the value of an input, or the path
// of an output's file.
type argument struct {
	Text    string
	literal bool // it is the text, which may be empty

	// Input gives the value: text and numbers as they are, objects as JSON, files
	// as their paths. Without a value the argument is left out.
	Input string `yaml:"input"`
	// File writes the value of Input into a file of this name in the working
	// directory, and gives its path: for tools that want files of a kind.
	File string `yaml:"file"`
	// Output gives the path of the file that the output comes from.
	Output string `yaml:"output"`
	// Beside gives the path of a file that lies in the directory of the manifest.
	Beside string `yaml:"beside"`
	// Flag is an argument before the value; of a boolean it is all there is.
	Flag string `yaml:"flag"`
	// Prefix stands directly before the value, such as --size=.
	Prefix string `yaml:"prefix"`
	// Each makes an argument of each item of an array; Join one of all of them.
	Each bool   `yaml:"each"`
	Join string `yaml:"join"`
}

// UnmarshalYAML reads a text, a number, or a mapping.
func (a *argument) UnmarshalYAML(decode func(any) error) error {
	if decode(&a.Text) == nil {
		var value any
		a.literal = a.Text != "" || decode(&value) == nil && value != nil // else nothing is written there
		return nil
	}
	type plain argument
	return decode((*plain)(a))
}

func (a argument) check(p *process) error {
	if a.literal {
		if strings.ContainsRune(a.Text, 0) {
			return errors.New("has a zero byte, which no argument can have: remove it")
		}
		return nil
	}
	kinds := 0
	for _, kind := range []string{a.Input, a.Output, a.Beside} {
		if kind != "" {
			kinds++
		}
	}
	if kinds != 1 {
		return errors.New("must be a text, or a mapping with either input, output or beside")
	}
	if a.Beside != "" {
		return p.checkBeside(a.Beside)
	}
	if a.Input != "" {
		if _, ok := p.Inputs[a.Input]; !ok {
			return noInput(p, a.Input)
		}
		if a.File != "" && !filepath.IsLocal(a.File) {
			return fmt.Errorf("file: %q is not inside the directory of the job: name a file in it, such as in.json", a.File)
		}
		return nil
	}
	out, ok := p.Outputs[a.Output]
	if !ok {
		return fmt.Errorf("there is no output %q: describe it below outputs", a.Output)
	}
	if out.From == stdout {
		return fmt.Errorf("output %q comes from stdout, so no file is its: take it out of the command, or name a file in outputs.%[1]s.from", a.Output)
	}
	return nil
}

// checkBeside looks for a file in the directory of the manifest.
func (p *process) checkBeside(name string) error {
	if !filepath.IsLocal(name) {
		return fmt.Errorf("beside: %q is not in the directory of the manifest: give a whole path as a text instead", name)
	}
	f, err := os.Open(filepath.Join(p.dir, name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("beside: there is no file %s in %s: put it there, or mend the name", name, p.dir)
	case err != nil:
		return fmt.Errorf("beside: %s cannot be read (%w): a manifest with data is to be in a directory NAME/VERSION", name, errors.Unwrap(err))
	}
	return f.Close()
}

// expand returns the arguments that a stands for in a job, whose working
// directory is dir.
func (a argument) expand(p *process, job *sdk.Job, values map[string]sdk.Value, dir string) ([]string, error) {
	switch {
	case a.literal:
		return []string{a.Text}, nil
	case a.Beside != "":
		return a.named(filepath.Join(p.dir, a.Beside)), nil
	case a.Output != "":
		return a.named(filepath.Join(dir, p.Outputs[a.Output].From)), nil
	}
	v, ok := values[a.Input]
	if !ok {
		return nil, nil
	}
	media := p.Inputs[a.Input].media
	if media == "" && a.File == "" && !v.IsJSON() && typeOf(p.Inputs[a.Input].Schema) == "string" {
		var text string // that the client has sent by reference
		if err := v.Decode(&text); err != nil {
			return nil, fmt.Errorf("read input %s: %w", a.Input, err)
		}
		return a.value(text, false)
	}
	if media != "" || a.File != "" || !v.IsJSON() {
		path, err := a.place(job, v, media, dir)
		return a.named(path), err
	}
	value, err := decode(v)
	if err != nil {
		return nil, fmt.Errorf("read input %s: %w", a.Input, err)
	}
	return a.value(value, p.Inputs[a.Input].negative)
}

// decode reads a JSON value with its numbers as they are written.
func decode(v sdk.Value) (value any, err error) {
	r, err := v.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close() // only read
	d := json.NewDecoder(r)
	d.UseNumber()
	return value, d.Decode(&value)
}

// place returns the path of a file that holds a value.
func (a argument) place(job *sdk.Job, v sdk.Value, media, dir string) (string, error) {
	if media == "" && v.IsJSON() {
		return a.spill(v, dir)
	}
	f, err := job.File(a.Input, v, media)
	if err != nil || a.File == "" {
		return f.Path, err
	}
	link := filepath.Join(dir, a.File)
	if err := os.Symlink(f.Path, link); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("name input %s: %w", a.Input, err)
	}
	return link, nil
}

// value returns the arguments of a JSON value. Its author expects numbers below 0
// if negative is set.
func (a argument) value(v any, negative bool) ([]string, error) {
	if b, ok := v.(bool); ok && a.Flag != "" {
		if b {
			return []string{a.Flag}, nil
		}
		return nil, nil
	}
	items, ok := v.([]any)
	if !ok || !a.Each && a.Join == "" {
		text, err := a.text(v, negative)
		return a.named(text), err
	}
	var args, texts []string
	for _, item := range items {
		text, err := a.text(item, negative)
		if err != nil {
			return nil, err
		}
		texts = append(texts, text)
		args = append(args, a.named(text)...)
	}
	if a.Join != "" {
		joined := strings.Join(texts, a.Join)
		return a.named(joined), a.short(joined)
	}
	return args, nil
}

// text writes a JSON value as an argument. Many programs take one that begins with
// a dash for an option, and some one that begins with @ for a file of options; one
// with a zero byte ends there.
func (a argument) text(v any, negative bool) (string, error) {
	switch v := v.(type) {
	case string:
		switch {
		case strings.ContainsRune(v, 0):
			return "", sdk.Invalid(a.Input, "has a zero byte")
		case a.Prefix == "" && strings.HasPrefix(v, "-"):
			return "", sdk.Invalid(a.Input, "must not begin with a dash")
		case a.Prefix == "" && strings.HasPrefix(v, "@"):
			return "", sdk.Invalid(a.Input, "must not begin with @")
		}
		return v, a.short(v)
	case json.Number:
		if strings.HasPrefix(v.String(), "-") && a.Prefix == "" && a.Flag == "" && !negative {
			return "", sdk.Invalid(a.Input, "must not be below 0")
		}
		return v.String(), a.short(v.String())
	}
	b, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	return string(b), a.short(string(b))
}

// maxArgument is the longest argument that Linux hands over, in bytes, less what
// may stand before a value.
const maxArgument = 128<<10 - 1<<10

func (a argument) short(text string) error {
	if len(text) > maxArgument {
		return sdk.Invalid(a.Input, "is longer than %d bytes, too long for a command", maxArgument)
	}
	return nil
}

// named puts flag and prefix before a value.
func (a argument) named(value string) []string {
	value = a.Prefix + value
	if a.Flag != "" {
		return []string{a.Flag, value}
	}
	return []string{value}
}

// spill writes a JSON value into a file.
func (a argument) spill(v sdk.Value, dir string) (path string, err error) {
	in, err := v.Open()
	if err != nil {
		return "", fmt.Errorf("read input %s: %w", a.Input, err)
	}
	defer in.Close() // only read
	f, err := os.Create(filepath.Join(dir, a.File))
	if err != nil {
		return "", fmt.Errorf("write input %s: %w", a.Input, err)
	}
	_, err = io.Copy(f, in)
	return f.Name(), errors.Join(err, f.Close())
}
