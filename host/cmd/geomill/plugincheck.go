package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"geomill/host"
)

type pluginCheckCmd struct {
	Path     string        `arg:"" type:"existingfile" help:"Executable of the plugin, or a manifest of command line tools."`
	Inputs   jsonFile      `help:"Inputs of jobs: a JSON object with an object of inputs for each process id." placeholder:"FILE"`
	Long     jsonFile      `help:"Likewise, for jobs that take ten seconds or more: what a running job is to endure is tried on them." placeholder:"FILE"`
	Settings jsonFile      `help:"Settings for the plugin, a JSON object." placeholder:"FILE"`
	Env      []string      `help:"Environment of the plugin, NAME=VALUE." sep:"none" placeholder:"NAME=VALUE"`
	Timeout  time.Duration `help:"Time for all checks together." default:"1m"`
	Slack    float64       `help:"Multiply the time limits of the contract, for a slow machine." default:"1"`
	JSON     bool          `help:"Print JSON."`
	JUnit    string        `name:"junit" help:"Write a JUnit report, too." placeholder:"FILE"`
}

func (pluginCheckCmd) Help() string {
	return `Example: geomill plugin check ./greeter

Starts the plugin, which may be in any language, several times as a server does, and looks whether it keeps the contract for
plugins: its start, its processes, jobs, limits and ends. No server is needed. Jobs get inputs made of the schemas unless
--inputs has some. The exit code is 1 if a check fails, or the time is up before all were tried.`
}

// jsonFile is a flag that names a JSON file and holds its content.
type jsonFile json.RawMessage

// UnmarshalText reads the file.
func (f *jsonFile) UnmarshalText(name []byte) error {
	text, err := os.ReadFile(string(name))
	if err != nil {
		return err
	}
	if !json.Valid(text) {
		return fmt.Errorf("%s is not JSON", name)
	}
	*f = text
	return nil
}

// into decodes the content, if there is any.
func (f jsonFile) into(flag string, v any) error {
	if f == nil {
		return nil
	}
	if err := json.Unmarshal(f, v); err != nil {
		return fmt.Errorf("%s: %w", flag, err)
	}
	return nil
}

func (c *pluginCheckCmd) Run(s *streams) error {
	config := host.PluginCheck{
		Path: c.Path, Env: c.Env, Timeout: c.Timeout, Slack: c.Slack, Settings: json.RawMessage(c.Settings),
	}
	if err := errors.Join(c.Inputs.into("--inputs", &config.Inputs), c.Long.into("--long", &config.Long)); err != nil {
		return err
	}
	path, done, err := host.Startable(c.Path, ownProgram)
	if err != nil {
		return err
	}
	defer done()
	config.Path = path
	ctx, stop := interruptible()
	defer stop()
	report, err := host.CheckPlugin(ctx, config)
	if err != nil {
		return err
	}
	report.Path = c.Path
	if c.JSON {
		err = printDocument(s.out, report)
	} else {
		err = printReport(s.out, report)
	}
	if c.JUnit != "" {
		err = errors.Join(err, writeJUnit(c.JUnit, report))
	}
	if err == nil && !report.OK() {
		err = notKept(report)
	}
	return err
}

func notKept(r *host.PluginReport) error {
	if n := r.Count("fail"); n > 0 {
		return fmt.Errorf("%s does not keep the contract: %s failed", r.Path, count(n, "check"))
	}
	return errors.New("the time was up before every check was tried; allow more with --timeout")
}

func writeJUnit(name string, r *host.PluginReport) error {
	f, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("write JUnit report: %w", err)
	}
	return errors.Join(r.WriteJUnit(f), f.Close())
}

// printReport prints a line for each check, and explains those that did not pass.
func printReport(out io.Writer, r *host.PluginReport) error {
	w := &sheet{w: tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)}
	w.row("RESULT", "CHECK", "LEVEL", "SEEN")
	for _, result := range r.Results {
		w.row(string(result.Outcome), result.ID, string(result.Severity), fmt.Sprintf("%.120s", result.Seen))
	}
	if err := w.w.Flush(); err != nil {
		return err
	}
	for _, result := range r.Results {
		if result.Outcome == "fail" || result.Outcome == "warn" {
			fmt.Fprintf(out, "\n%s: %s\n", result.Outcome, result.ID)
			for line := range strings.Lines(result.Explain()) {
				fmt.Fprintln(out, " ", plain(strings.TrimSuffix(line, "\n")))
			}
		}
	}
	_, err := fmt.Fprintf(out, "\n%s: %d passed, %d failed, %d with a warning, %d skipped, in %s\n", plain(r.Title()),
		r.Count("pass"), r.Count("fail"), r.Count("warn"), r.Count("skip"), r.Took.Round(time.Millisecond))
	return err
}
