package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"geomill/host"
)

type runCmd struct {
	Plugin  string   `arg:"" optional:"" help:"Executable of the plugin, or a manifest of command line tools."`
	Process string   `arg:"" optional:"" help:"Process, if the plugin has several."`
	Attach  string   `help:"Socket of a plugin that was started with GEOMILL_ATTACH=1, under a debugger for example; it prints this flag. There is no PLUGIN then." placeholder:"SOCKET"`
	Input   []string `short:"i" sep:"none" help:"Value of an input: ID=TEXT, or ID=@FILE for the content of a file. @FILE alone is a JSON object of inputs." placeholder:"ID=VALUE"`
	Output  string   `short:"o" help:"Directory for the outputs, a file for each." placeholder:"DIR"`
	Config  string   `help:"Configuration file (YAML) of a server, for what it says of plugins." env:"GEOMILL_CONFIG" placeholder:"FILE"`
	Quiet   bool     `short:"q" help:"Print neither progress nor log lines."`
}

func (runCmd) Help() string {
	return `Example: geomill run ./flood-risk flood-risk --input name=Ada --input area=@area.geojson

Executes a process without a server: starts the plugin, checks the inputs and runs
the process as a server does, and leaves nothing behind. Outputs go to standard
output as a JSON object, progress and log lines to standard error.`
}

func (c runCmd) Run(s *streams) error {
	config, err := settings{Config: c.Config}.serving()
	if err != nil {
		return err
	}
	config.LogLevel = "error"
	inputs, err := c.inputs()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	switch {
	case c.Attach != "" && c.Process != "":
		return fmt.Errorf("%s is not needed with --attach", c.Plugin)
	case c.Attach != "":
		c.Plugin, c.Process = "", c.Plugin
	case c.Plugin == "":
		return fmt.Errorf("say which plugin: geomill run PLUGIN [PROCESS]")
	}
	shown := &reports{w: s.err}
	if c.Quiet {
		shown.w = io.Discard
	}
	outputs := map[string]any{}
	take := func(o host.TrialOutput) (err error) {
		outputs[o.ID], err = printable(o)
		return err
	}
	if c.Output != "" {
		if err := os.MkdirAll(c.Output, 0o755); err != nil {
			return fmt.Errorf("directory for the outputs: %w", err)
		}
		take = func(o host.TrialOutput) error { return c.save(o, s.out) }
	}
	err = host.Try(ctx, config, host.Trial{
		Plugin: c.Plugin, Attach: c.Attach, Program: program, Process: c.Process, Inputs: inputs, Progress: shown.progress, Log: shown.log, Take: take,
	}, host.NewLogger(config, s.err))
	if err != nil || c.Output != "" {
		return err
	}
	e := json.NewEncoder(s.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(outputs)
}

func (c runCmd) inputs() ([]host.TrialInput, error) {
	inputs := make([]host.TrialInput, 0, len(c.Input))
	for _, given := range c.Input {
		if file, ok := strings.CutPrefix(given, "@"); ok {
			inputs = append(inputs, host.TrialInput{File: file})
			continue
		}
		id, text, ok := strings.Cut(given, "=")
		if !ok || id == "" {
			return nil, fmt.Errorf("input %q is neither ID=TEXT nor ID=@FILE nor @FILE", given)
		}
		if file, ok := strings.CutPrefix(text, "@"); ok {
			inputs = append(inputs, host.TrialInput{ID: id, File: file})
		} else {
			inputs = append(inputs, host.TrialInput{ID: id, Text: text})
		}
	}
	return inputs, nil
}

// mostPrinted is how much of an output that is not JSON is printed, in bytes.
const mostPrinted = 1 << 20

// printable is an output as the standard's results document shows it.
func printable(o host.TrialOutput) (any, error) {
	if o.Size > mostPrinted && !o.IsJSON() {
		return nil, fmt.Errorf("%s of %s is too much to be printed: give a directory with --output", o.MediaType, humanSize(o.Size))
	}
	r, err := o.Value()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	content, err := io.ReadAll(r)
	switch {
	case err != nil:
		return nil, err
	case o.IsJSON():
		return json.RawMessage(content), nil
	case isText(o.MediaType):
		return map[string]any{"value": string(content), "mediaType": o.MediaType}, nil
	}
	return map[string]any{"value": content, "mediaType": o.MediaType, "encoding": "base64"}, nil
}

func isText(mediaType string) bool {
	base, _, _ := strings.Cut(mediaType, ";")
	return strings.HasPrefix(base, "text/") || strings.HasSuffix(base, "+json") || strings.HasSuffix(base, "xml")
}

// endings are those of files of media types that processes often have.
var endings = map[string]string{
	"application/json": ".json", "application/geo+json": ".geojson", "application/gml+xml": ".gml", "application/xml": ".xml",
	"application/geopackage+sqlite3": ".gpkg", "application/zip": ".zip", "application/pdf": ".pdf", "application/x-netcdf": ".nc",
	"image/tiff": ".tif", "image/png": ".png", "image/jpeg": ".jpg", "text/csv": ".csv", "text/plain": ".txt", "text/html": ".html",
}

// save writes an output into a file.
func (c runCmd) save(o host.TrialOutput, w io.Writer) error {
	base, _, _ := strings.Cut(o.MediaType, ";")
	ending, known := endings[strings.TrimSpace(base)]
	if !known {
		ending = ".bin"
	}
	r, err := o.Value()
	if err != nil {
		return err
	}
	defer r.Close()
	name := filepath.Join(c.Output, o.ID+ending) // ids are fit for names of files
	size, err := replace(name, func(w io.Writer) error { _, err := io.Copy(w, r); return err })
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s: %s (%s, %s)\n", o.ID, name, o.MediaType, humanSize(size))
	return err
}

// reports prints what a job tells while it runs.
type reports struct {
	mu sync.Mutex
	w  io.Writer
}

func (r *reports) progress(percent float64, message string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(r.w, "%3.0f %%  %s\n", percent, plain(message))
}

func (r *reports) log(level slog.Level, message string, fields json.RawMessage) {
	var members map[string]any
	_ = json.Unmarshal(fields, &members) // an object, or nothing
	text, rest, _ := strings.Cut(strings.TrimRight(message, "\n"), "\n")
	text = plain(text)
	below := "" // as what Python says of an exception is, too
	for line := range strings.Lines(rest) {
		below += "    " + plain(strings.TrimRight(line, "\r\n")) + "\n"
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		value := fmt.Sprint(members[name])
		if !strings.Contains(value, "\n") {
			text += plain(" " + name + "=" + value)
			continue
		}
		below += plain("  "+name+":") + "\n" // as a stack trace is, which is read line by line
		for line := range strings.Lines(value) {
			below += "    " + plain(strings.TrimSuffix(line, "\n")) + "\n"
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(r.w, "%-5s %s\n%s", level, text, below)
}
