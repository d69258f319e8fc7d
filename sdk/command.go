package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"syscall"

	"geomill/sdk/ogc"
	"geomill/sdk/wire"
)

// Exit codes of the command.
const (
	exitOK     = 0
	exitFailed = 1 // the process failed, or the plugin cannot be served
	exitUsage  = 2 // wrong arguments or inputs
)

// command is the plugin started by hand.
type command struct {
	handler  *Handler
	in       io.Reader
	out, err io.Writer
}

const usage = `%[1]s %[2]s is a plugin for a Geomill host: put it into the host's plugins directory.
By hand:

  describe              print the descriptions of its processes as JSON
  run [--settings FILE] [PROCESS] FILE
                        run a process with the inputs in FILE, a JSON object
                        (- reads standard input), and print its outputs as JSON;
                        the other FILE is a JSON object of the plugin's settings;
                        what their schemas say is for a host to check: geomill run
  version               print name and version
  help                  print this text

Example: echo '{"name": "World"}' | %[1]s run -

Exit status: 0 done, 1 the process failed, 2 wrong arguments or inputs.
`

func endSignals() []os.Signal { return []os.Signal{os.Interrupt, syscall.SIGTERM} }

// run executes the command line and returns the exit code.
func (c command) run(ctx context.Context, args []string) int {
	info := c.handler.info
	if len(args) == 0 {
		fmt.Fprintf(c.err, usage, info.Name, info.Version)
		return exitUsage
	}
	switch args[0] {
	case "help", "--help", "-h":
		fmt.Fprintf(c.out, usage, info.Name, info.Version)
		return exitOK
	case "version", "--version":
		fmt.Fprintln(c.out, info.Name, info.Version)
		return exitOK
	case "describe":
		return c.report(c.describe())
	case "run":
		return c.report(c.execute(ctx, args[1:]))
	}
	return c.report(misuse("unknown command %q; try help", args[0]))
}

// misused is an error of whoever typed the command.
type misused struct{ error }

func misuse(format string, args ...any) error { return misused{fmt.Errorf(format, args...)} }

// report prints an error and returns its exit code.
func (c command) report(err error) int {
	if err == nil {
		return exitOK
	}
	var wrong misused
	var p *wire.Problem
	switch {
	case errors.As(err, &p) && p.Kind == wire.InvalidInput:
		for _, f := range p.Faults {
			fmt.Fprintf(c.err, "input %s%s %s\n", f.Input, f.Pointer, f.Message)
		}
		return exitUsage
	case errors.As(err, &p) && p.Kind == wire.NoSuchProcess, errors.As(err, &wrong):
		fmt.Fprintln(c.err, err)
		return exitUsage
	}
	fmt.Fprintln(c.err, err)
	return exitFailed
}

// describe prints the plugin with its descriptions.
func (c command) describe() error {
	document := struct {
		Name      string          `json:"name"`
		Version   string          `json:"version"`
		Settings  json.RawMessage `json:"settings,omitempty"` // their schema
		Processes []ogc.Process   `json:"processes"`
	}{Name: c.handler.info.Name, Version: c.handler.info.Version, Settings: c.handler.info.SettingsSchema}
	for _, p := range c.handler.Processes() {
		document.Processes = append(document.Processes, p.Description)
	}
	return c.print(document)
}

func (c command) print(v any) error {
	e := json.NewEncoder(c.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// execute runs a process in a directory of its own.
func (c command) execute(ctx context.Context, args []string) (err error) {
	if args, err = c.configure(ctx, args); err != nil {
		return err
	}
	id, file, err := c.arguments(args)
	if err != nil {
		return err
	}
	given, err := c.read(file)
	if err != nil {
		return err
	}
	inputs, err := c.handler.Inputs(nil, id, given)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "geomill-")
	if err != nil {
		return fmt.Errorf("make job directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	start := wire.Start{JobID: "run", ProcessID: id, Attempt: 1, Inputs: inputs, Dir: dir}
	log := slog.New(slog.NewTextHandler(c.err, nil))
	sent, err := c.handler.Run(ctx, start, printedEvents{log})
	if err != nil {
		return err
	}
	outputs, wrong := c.handler.Outputs(nil, id, sent)
	document := make(map[string]any, len(outputs))
	for id, v := range outputs {
		if document[id], err = printable(v); err != nil {
			return fmt.Errorf("output %s: %w", id, err)
		}
	}
	return errors.Join(c.print(document), wrong)
}

// configure makes the settings and returns the arguments after them.
func (c command) configure(ctx context.Context, args []string) ([]string, error) {
	var settings json.RawMessage
	if len(args) > 1 && args[0] == "--settings" {
		var err error
		if settings, err = os.ReadFile(args[1]); err != nil {
			return nil, misuse("read settings: %w", err)
		}
		args = args[2:]
	}
	for _, p := range c.handler.Configure(ctx, settings, wire.Limits{}) {
		return nil, misuse("%s: %s", p.Title, p.Detail)
	}
	return args, nil
}

func (c command) arguments(args []string) (id, file string, err error) {
	switch list := c.handler.Processes(); {
	case len(args) == 2:
		return args[0], args[1], nil
	case len(args) == 1 && len(list) == 1:
		return list[0].Description.ID, args[0], nil
	case len(args) == 1:
		return "", "", misuse("there are %d processes; say which: run PROCESS FILE", len(list))
	}
	return "", "", misuse("run takes a process and a file: run [--settings FILE] [PROCESS] FILE")
}

// read reads the inputs, a JSON object of them.
func (c command) read(file string) (map[string]json.RawMessage, error) {
	text, err := []byte(nil), error(nil)
	if file == "-" {
		text, err = io.ReadAll(c.in)
	} else {
		text, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, misuse("read inputs: %w", err)
	}
	var inputs map[string]json.RawMessage
	if err := json.Unmarshal(text, &inputs); err != nil || inputs == nil {
		return nil, misuse("the inputs in %s are not a JSON object", file)
	}
	return inputs, nil
}

// printable is an output as the standard's results document shows it.
func printable(v Value) (any, error) {
	content, err := v.bytes()
	if err != nil {
		return nil, err
	}
	switch {
	case v.IsJSON():
		return json.RawMessage(content), nil
	case isText(v.MediaType()):
		return map[string]any{"value": string(content), "mediaType": v.MediaType()}, nil
	}
	return map[string]any{"value": content, "mediaType": v.MediaType(), "encoding": "base64"}, nil
}

// printedEvents shows what a job reports as log lines.
type printedEvents struct{ log *slog.Logger }

func (p printedEvents) Progress(percent float64, message string) {
	p.log.Info("progress", "percent", percent, "message", message)
}

func (p printedEvents) Log(level slog.Level, message string, fields json.RawMessage) {
	if len(fields) == 0 {
		p.log.Log(context.Background(), level, message)
		return
	}
	p.log.Log(context.Background(), level, message, "fields", string(fields))
}
