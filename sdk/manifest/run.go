package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"geomill/sdk"
	"geomill/sdk/wire"
)

const (
	// maxLine is how much of a line is kept, in bytes.
	maxLine = 4 << 10
	// maxText is the largest output, in bytes, that is a JSON text.
	maxText = 16 << 20
	// lastLines is how many lines of standard error a failure quotes.
	lastLines = 3
)

// run executes the command for one job.
func (p *process) run(job *sdk.Job, values map[string]sdk.Value) (outputs map[string]sdk.Value, err error) {
	dir, err := job.Dir()
	if err != nil {
		return nil, err
	}
	args, err := p.arguments(job, values, dir)
	if err != nil {
		return nil, err
	}
	c, err := p.start(job, args)
	if err != nil {
		return nil, err
	}
	c.Dir = dir
	if err := p.environment(c, job, values, dir); err != nil {
		return nil, err
	}
	stdin, err := p.input(job, values)
	if err != nil {
		return nil, err
	}
	if stdin != nil {
		defer stdin.Close() // only read
		c.Stdin = stdin
	}
	printed, err := p.stdoutFile(c, job, dir)
	if err != nil {
		return nil, err
	}
	said := &lines{log: job.Log(), report: job, percent: p.percent}
	c.Stderr = said
	if c.Stdout == nil {
		c.Stdout = said
	}
	err = c.Run()
	said.flush()
	if printed != nil {
		err = errors.Join(err, printed.Close())
	}
	if job.Err() != nil {
		return nil, job.Err()
	}
	if err != nil {
		return nil, p.failure(err, said.tail())
	}
	return p.results(job, dir)
}

// input opens the input that goes to standard input: the content of a string,
// or JSON as it is written. It is nil when there is none.
func (p *process) input(job *sdk.Job, values map[string]sdk.Value) (io.ReadCloser, error) {
	v, ok := values[p.Stdin]
	if p.Stdin == "" || !ok {
		return nil, nil
	}
	media := p.Inputs[p.Stdin].media
	if media == "" && typeOf(p.Inputs[p.Stdin].Schema) == "string" {
		media = "text/plain"
	}
	if media == "" && v.IsJSON() {
		return v.Open()
	}
	f, err := job.File(p.Stdin, v, media)
	if err != nil {
		return nil, err
	}
	return os.Open(f.Path)
}

func (p *process) arguments(job *sdk.Job, values map[string]sdk.Value, dir string) ([]string, error) {
	if p.Shell != "" {
		return []string{"-c", p.Shell}, nil
	}
	var args []string
	var faults []error
	for _, a := range p.Command[1:] {
		more, err := a.expand(p, job, values, dir)
		if err != nil {
			faults = append(faults, err)
		}
		args = append(args, more...)
	}
	return args, errors.Join(faults...)
}

// environment adds the variables of the manifest, and for a shell those of
// inputs and outputs: INPUT_NAME has the value, or the path of its file,
// OUTPUT_NAME the path to write to.
func (p *process) environment(c *exec.Cmd, job *sdk.Job, values map[string]sdk.Value, dir string) error {
	c.Env = slices.DeleteFunc(c.Env, forPlugins)
	for name, value := range p.Env {
		c.Env = append(c.Env, name+"="+value)
	}
	if p.Shell == "" {
		return nil
	}
	for id := range values {
		// Whoever writes "$INPUT_X" into a line has it become an argument.
		set, err := argument{Input: id}.expand(p, job, values, dir)
		if err != nil {
			return err
		}
		for _, value := range set {
			c.Env = append(c.Env, variable("INPUT_", id)+"="+value)
		}
	}
	for id, out := range p.Outputs {
		if out.From != stdout {
			c.Env = append(c.Env, variable("OUTPUT_", id)+"="+filepath.Join(dir, out.From))
		}
	}
	return nil
}

// forPlugins reports whether a variable is between the host and its plugin: a
// command that is a plugin itself is to be one started by hand.
func forPlugins(variable string) bool {
	name, _, _ := strings.Cut(variable, "=")
	return name == wire.CookieKey || name == wire.LifelineFD || name == wire.DetachedDir || strings.HasPrefix(name, "PLUGIN_")
}

// variable names the variable of an input or output: INPUT_NAME.
func variable(prefix, id string) string {
	return prefix + strings.Map(func(r rune) rune {
		if r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
			return unicode.ToUpper(r)
		}
		return '_'
	}, id)
}

// stdoutFile sends standard output into a file if an output comes from it.
func (p *process) stdoutFile(c *exec.Cmd, job *sdk.Job, dir string) (*os.File, error) {
	for id, out := range p.Outputs {
		if out.From == stdout && job.Wants(id) {
			f, err := os.Create(filepath.Join(dir, printedFile))
			if err != nil {
				return nil, fmt.Errorf("keep what the command prints: %w", err)
			}
			c.Stdout = f
			return f, nil
		}
	}
	return nil, nil
}

// printedFile holds what the command printed.
const printedFile = ".stdout"

func (p *process) results(job *sdk.Job, dir string) (map[string]sdk.Value, error) {
	outputs := map[string]sdk.Value{}
	for id, out := range p.Outputs {
		if !job.Wants(id) {
			continue
		}
		from := out.From
		if from == stdout {
			from = printedFile
		}
		path := filepath.Join(dir, from)
		if fi, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("the command ended well but did not write the output %s", id)
		} else if err == nil && !fi.Mode().IsRegular() { // to open a pipe would last for ever
			return nil, fmt.Errorf("the command made something else than a file of the output %s: %s", id, fi.Mode())
		}
		v, err := out.value(path)
		if err != nil {
			return nil, fmt.Errorf("output %s: %w", id, err)
		}
		outputs[id] = v
	}
	return outputs, nil
}

// value makes an output of a file: content of its media type, or text for a
// schema that says it is a string, or the JSON that is in it.
func (o output) value(path string) (sdk.Value, error) {
	if o.media != "" && o.media != "application/json" {
		return sdk.FileValue(sdk.File{Path: path, MediaType: o.media}), nil
	}
	if typeOf(o.Schema) == "string" {
		fi, err := os.Stat(path)
		if err == nil && fi.Size() > maxText {
			err = fmt.Errorf("is a text of more than %d bytes; with a contentMediaType it may be of any size", maxText)
		}
		if err != nil {
			return sdk.Value{}, err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return sdk.Value{}, err
		}
		return sdk.JSONValue(strings.TrimRight(string(text), "\n"))
	}
	return sdk.FileValue(sdk.File{Path: path, MediaType: "application/json"}), nil
}

// failure explains the end of a command by its exit status and last words.
func (p *process) failure(err error, last []string) error {
	var exit *exec.ExitError
	if errors.Is(err, exec.ErrWaitDelay) {
		return errors.New("the command ended but left something in the background that holds its output open: " +
			"let it wait for that, or send its output elsewhere")
	}
	if !errors.As(err, &exit) {
		return fmt.Errorf("run the command: %w", err)
	}
	why, known := p.Errors[exit.ExitCode()]
	message := why.Message
	if message == "" {
		message = fmt.Sprintf("the command ended with %s", exit.ProcessState)
		if len(last) > 0 {
			message += ": " + strings.Join(last, " | ")
		}
	}
	switch {
	case known && why.Input != "":
		return sdk.Invalid(why.Input, "%s", message)
	case known && why.Retry:
		return sdk.Retry(errors.New(message))
	}
	return errors.New(message)
}

// reporter is told how far a job is.
type reporter interface {
	Progress(percent float64, message string, args ...any)
}

// lines takes what a command says: lines for the log, and progress, which may
// come in pieces of a line.
type lines struct {
	log     *slog.Logger
	report  reporter
	percent *regexp.Regexp

	mu   sync.Mutex // standard output and standard error may both be written
	line []byte
	last []string
}

// Write implements io.Writer.
func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for rest := b; len(rest) > 0; {
		i := bytes.IndexAny(rest, "\n\r")
		piece := rest
		if i >= 0 {
			piece = rest[:i]
		}
		l.line = append(l.line, piece[:min(len(piece), maxLine-min(len(l.line), maxLine))]...)
		if i < 0 {
			l.progress()
			break
		}
		l.end()
		rest = rest[i+1:]
	}
	return len(b), nil
}

// progress reports the last number in the line, and whether there is one.
func (l *lines) progress() bool {
	if l.percent == nil {
		return false
	}
	found := l.percent.FindAllSubmatch(l.line, -1)
	if len(found) == 0 {
		return false
	}
	n, err := strconv.ParseFloat(string(found[len(found)-1][1]), 64)
	if err == nil {
		l.report.Progress(n, "")
	}
	return err == nil
}

// end takes a line to where it belongs.
func (l *lines) end() {
	line := strings.ToValidUTF8(strings.TrimSpace(string(l.line)), "\uFFFD")
	if line != "" && !l.progress() {
		l.log.Info(line)
		l.last = append(l.last, line)
		if len(l.last) > lastLines {
			l.last = l.last[1:]
		}
	}
	l.line = l.line[:0]
}

func (l *lines) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end()
}

func (l *lines) tail() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}
