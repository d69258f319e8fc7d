package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"geomill/host/internal/api"
	"geomill/host/internal/job"
	"geomill/host/internal/plugin"
	"geomill/host/internal/plugin/sandbox"
	"geomill/host/internal/plugin/trust"
	"geomill/host/internal/remote"
	"geomill/host/internal/store"
	"geomill/sdk/ogc"
)

// Trial is one execution of a process without a server: the plugin is started,
// the inputs are checked and the process is run as a server would do it, but in a
// directory for temporary files, and nothing of it stays.
type Trial struct {
	// Plugin is the executable of the plugin.
	Plugin string
	// Attach is the socket of a plugin that runs already, instead: somebody may
	// hold it up in a debugger. Program is then this program.
	Attach, Program string
	// Process is an id, or empty for the only process that the plugin has.
	Process string
	Inputs  []TrialInput
	// Progress and Log are told what the process reports and prints, from any
	// goroutine.
	Progress func(percent float64, message string)
	Log      func(level slog.Level, message string, fields json.RawMessage)
	// Take gets each output, sorted by id.
	Take func(TrialOutput) error
}

// TrialInput is the value of an input: text, or the content of a file. Without an
// id the file is a JSON object of inputs.
type TrialInput struct{ ID, Text, File string }

// TrialOutput is the value of an output.
type TrialOutput struct {
	ID, MediaType string
	// Value opens the content, JSON text or bytes, for as long as Take runs.
	Value func() (io.ReadCloser, error)
	Size  int64 // bytes
}

// IsJSON reports whether the content is the text of a JSON value.
func (o TrialOutput) IsJSON() bool { return o.MediaType == "application/json" }

// trialStop bounds how long a trial waits for its plugin to end.
const trialStop = 2 * time.Second

// Try runs a trial. Of the configuration counts what is said of plugins and of
// references. The error names everything that is wrong with the inputs, or says
// why the plugin or the process failed.
func Try(ctx context.Context, c Config, t Trial, log *slog.Logger) (err error) {
	dir, err := os.MkdirTemp("", "geomill-run-")
	if err != nil {
		return fmt.Errorf("directory for the run: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.Mkdir(filepath.Join(dir, "plugins"), 0o700); err != nil {
		return fmt.Errorf("directory for the run: %w", err)
	}
	config := plugin.Config{
		Dir: filepath.Join(dir, "plugins"), Program: c.Program, WorkDir: filepath.Join(dir, workDir), Policy: c.policy, Env: c.pluginEnv(os.LookupEnv),
		Settle: time.Millisecond, StopTimeout: trialStop, CheckJSON: api.CheckJSON, Log: log, Private: []string{dir},
		Options: func(file string) plugin.Options {
			o := c.options(file)
			o.Trust = trust.Any         // who names it trusts it
			o.Isolation = job.Exclusive // so that what it prints is the job's
			if t.Attach != "" {
				o.Sandbox = sandbox.Off // it is not the plugin that is started
			}
			return o
		},
	}
	if t.Attach != "" {
		if err := listens(ctx, t.Attach); err != nil {
			return err
		}
	}
	file, err := t.place(&config)
	if err != nil {
		return err
	}
	plugins, err := plugin.New(config)
	if err != nil {
		return fmt.Errorf("plugin: %w", err)
	}
	if err := plugins.Open(); err != nil {
		return fmt.Errorf("plugin: %w", err)
	}
	running := goRun(plugins.Run)
	defer running.stop(log, "plugin")
	select {
	case <-plugins.Ready():
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if t.Process, err = served(plugins, file, t.Process); err != nil {
		return err
	}
	return t.run(ctx, c, dir, plugins, log)
}

// place puts the plugin, or what stands for it, where it is started from, and
// returns the name that it has there.
func (t Trial) place(c *plugin.Config) (name string, err error) {
	if t.Attach == "" {
		return copyPlugin(t.Plugin, c.Dir)
	}
	c.HeartbeatEvery, c.ConnectTimeout = heldUp, heldUp
	c.Policy = func(_ string, p job.Policy) job.Policy {
		p.Timeout, p.Isolation = heldUp, job.Exclusive
		return p
	}
	name = "attached"
	if err := os.WriteFile(filepath.Join(c.Dir, name), attachScript(t.Program, t.Attach), 0o700); err != nil {
		return "", fmt.Errorf("attach: %w", err)
	}
	return name, nil
}

// heldUp is how long a plugin may take for everything while somebody debugs it.
const heldUp = 24 * time.Hour

// served returns the process that is meant, or why it cannot be run.
func served(plugins *plugin.Host, file, id string) (string, error) {
	var ids, refused []string
	for _, s := range plugins.Plugins() {
		if s.Reason != "" && len(s.Processes) == 0 {
			return "", fmt.Errorf("plugin %s cannot be served: %s", file, s.Reason)
		}
		for _, p := range s.Processes {
			if p.Reason == "" {
				ids = append(ids, p.ID)
			} else {
				refused = append(refused, p.ID+" is refused: "+p.Reason)
			}
		}
	}
	switch {
	case len(ids)+len(refused) == 0:
		return "", fmt.Errorf("plugin %s has not said in time what it serves", file)
	case id == "" && len(ids) == 1:
		return ids[0], nil
	case slices.Contains(ids, id):
		return id, nil
	}
	has := "it has " + strings.Join(append(ids, refused...), ", ")
	if id == "" {
		return "", fmt.Errorf("say which process of plugin %s: %s", file, has)
	}
	return "", fmt.Errorf("plugin %s has no process %s: %s", file, id, has)
}

// run executes the process.
func (t Trial) run(ctx context.Context, c Config, dir string, plugins *plugin.Host, log *slog.Logger) error {
	fetcher, err := remote.New(c.references())
	if err != nil {
		return err
	}
	jobs := filepath.Join(dir, jobsDir)
	if err := os.Mkdir(jobs, 0o700); err != nil {
		return err
	}
	s, err := store.Open(store.Config{Dir: filepath.Join(dir, storeDir), JobsDir: jobs, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	defer s.Close() // it goes with the directory
	service, err := job.NewService(job.Config{
		Catalog: only{plugins}, Executor: told{plugins, t}, Store: s, Queue: store.NewQueue(store.QueueConfig{Limit: 1}), Logger: log,
		Dir: jobs, WorkDir: filepath.Join(dir, workDir), Timeout: c.Timeout, Grace: c.Grace,
		Fetcher: fetcher, CheckJSON: api.CheckInput, FetchBytes: c.ReferenceMaxBytes, FetchTimeout: c.ReferenceTimeout,
	})
	if err != nil {
		return err
	}
	inputs, err := t.inputs(service)
	if err != nil {
		return err
	}
	x, err := service.Submit(ctx, job.Request{ProcessID: t.Process, Inputs: inputs})
	if err != nil {
		return explained(err)
	}
	defer x.Results.Close()
	return t.take(x.Results)
}

// inputs makes the inputs of an execute request.
func (t Trial) inputs(service *job.Service) (map[string]job.Raw, error) {
	p, err := service.Process(t.Process)
	if err != nil {
		return nil, err
	}
	texts := map[string][]string{}
	files := map[string]bool{}
	inputs := map[string]job.Raw{}
	for _, in := range t.Inputs {
		if in.ID == "" {
			if err := readInputs(in.File, p, inputs); err != nil {
				return nil, err
			}
			continue
		}
		d, known := p.Inputs[in.ID]
		value := json.RawMessage("null")
		switch {
		case !known: // the service says so, with all other faults
		case files[in.ID], in.File != "" && texts[in.ID] != nil:
			err = errors.New("is given more than once, which only texts can be: give all its values as an array in a file of inputs, @FILE")
		case in.File != "":
			files[in.ID] = true
			value, err = contentOf(in.File, d)
		default:
			texts[in.ID] = append(texts[in.ID], in.Text)
			value, err = api.TextInput(d, texts[in.ID]...)
		}
		if err != nil {
			return nil, fmt.Errorf("input %s: %w", in.ID, err)
		}
		inputs[in.ID] = job.Raw{Text: value}
	}
	return inputs, nil
}

// contentOf makes an input of the content of a file.
func contentOf(file string, d ogc.Input) (json.RawMessage, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	value, err := api.ContentInput(d, content)
	if err != nil {
		return nil, fmt.Errorf("%s %w", file, err)
	}
	return value, nil
}

// readInputs adds the members of a JSON object in a file.
func readInputs(file string, p *job.Process, inputs map[string]job.Raw) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("inputs: %w", err)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(content, &members); err != nil || members == nil {
		return fmt.Errorf("inputs: %s is not a JSON object of inputs", file)
	}
	if _, known := p.Inputs["inputs"]; members["inputs"] != nil && !known {
		return fmt.Errorf("inputs: %s is the body of an execute request: give a file with what is in its member inputs", file)
	}
	for id, value := range members {
		inputs[id] = job.Raw{Text: value}
	}
	return nil
}

// take hands over the outputs.
func (t Trial) take(r *job.Results) error {
	ids := make([]string, 0, len(r.Outputs))
	for id := range r.Outputs {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		v := r.Outputs[id]
		if err := t.Take(TrialOutput{ID: id, MediaType: v.Type(), Size: v.Len(), Value: func() (io.ReadCloser, error) { return v.Open() }}); err != nil {
			return fmt.Errorf("output %s: %w", id, err)
		}
	}
	return nil
}

// explained says all that is wrong with a request, or why the process failed.
func explained(err error) error {
	if invalid, ok := errors.AsType[*job.InvalidError](err); ok {
		all := []error{errors.New("the inputs are not valid")}
		for _, f := range invalid.Faults {
			all = append(all, blamed(f))
		}
		return errors.Join(all...)
	}
	failed, ok := errors.AsType[*job.FailedError](err)
	if !ok {
		return err
	}
	all := []error{failed}
	for _, f := range failed.Exception.Errors {
		if !strings.Contains(failed.Error(), f.Message) { // most plugins say all in one sentence, too
			all = append(all, blamed(f))
		}
	}
	return errors.Join(all...)
}

// blamed says what is wrong with an input, or with a place within it.
func blamed(f ogc.Fault) error {
	place := strings.TrimPrefix(f.Pointer, "/inputs/")
	if place == "" {
		place = f.Input
	}
	return errors.New(strings.TrimSpace(place + " " + f.Message))
}

// only is a catalog whose processes are run within the request, whatever they say.
type only struct{ *plugin.Host }

// Process implements job.Catalog.
func (o only) Process(id string) (*job.Process, error) {
	p, err := o.Host.Process(id)
	if p == nil {
		return nil, err
	}
	now := *p
	now.JobControlOptions = nil
	now.Policy.Deterministic = false
	return &now, err
}

// told is an executor that tells of the job while it runs.
type told struct {
	job.Executor
	trial Trial
}

// Execute implements job.Executor.
func (t told) Execute(ctx context.Context, a job.Attempt, ev job.Events) (map[string]job.Value, error) {
	a.Console = func(_ string, level slog.Level, line string, fields json.RawMessage) {
		if level > slog.LevelDebug { // else it is of the libraries between
			t.trial.Log(level, line, fields)
		}
	}
	return t.Executor.Execute(ctx, a, reports{ev, t.trial})
}

// reports are the events of a trial.
type reports struct {
	job.Events
	trial Trial
}

// Progress implements job.Events.
func (r reports) Progress(percent float64, message string) { r.trial.Progress(percent, message) }

// Log implements job.Events.
func (r reports) Log(level slog.Level, message string, fields json.RawMessage) {
	r.trial.Log(level, message, fields)
}
