// Command geomill serves processes that live in plugins as OGC API - Processes.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"geomill/host"

	"github.com/alecthomas/kong"
)

// cli is the command line; one file holds each subcommand.
type cli struct {
	Serve    serveCmd    `cmd:"" help:"Serve the processes of the plugins."`
	Plugins  pluginsCmd  `cmd:"" help:"List the plugins of a directory, without a server."`
	Plugin   pluginCmd   `cmd:"" help:"List, inspect and manage the plugins of a running server."`
	New      newCmd      `cmd:"" help:"Write a new plugin, in Go or Python, that builds, tests and runs."`
	Dev      devCmd      `cmd:"" help:"Serve a plugin and build it anew whenever its source changes."`
	Run      runCmd      `cmd:"" help:"Execute a process of a plugin, without a server."`
	Backup   backupCmd   `cmd:"" help:"Write all jobs and results into a file, while the server runs or not."`
	Restore  restoreCmd  `cmd:"" help:"Make a data directory of a backup."`
	Jobs     jobsCmd     `cmd:"" help:"List, show, dismiss and prune the jobs of a running server."`
	Doctor   doctorCmd   `cmd:"" help:"Say how plugins can be confined on this machine, and what else is amiss."`
	Manifest manifestCmd `cmd:"" help:"Serve command line tools as a manifest says: the first line of one names this."`
	Attached attachedCmd `cmd:"" hidden:"" help:"Stand for a plugin that somebody else has started: geomill run --attach calls this."`
	Version  versionCmd  `cmd:"" help:"Print the version."`
}

// streams is where subcommands print.
type streams struct{ out, err io.Writer }

type versionCmd struct{}

func (versionCmd) Run(s *streams) error {
	_, err := fmt.Fprintln(s.out, "geomill", host.Version())
	return err
}

func (versionCmd) Help() string { return "Example: geomill version" }

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// exited carries the exit code out of kong, which wants to end the program
// itself after --help.
type exited int

// run is main without the process around it. It returns the exit code: 0, 1
// when the command could not do its work, 2 when it was called wrongly.
func run(args []string, out, errs io.Writer) (code int) {
	defer func() {
		if e := recover(); e != nil {
			c, ok := e.(exited)
			if !ok {
				panic(e)
			}
			code = int(c)
		}
	}()
	var c cli
	parser, err := kong.New(&c,
		kong.Name("geomill"),
		kong.Description("A process host: executables dropped into a directory are served as OGC API - Processes."),
		kong.Writers(out, errs),
		kong.Exit(func(code int) { panic(exited(code)) }),
		kong.UsageOnError(),
	)
	if err != nil {
		fmt.Fprintln(errs, "geomill:", err)
		return 2
	}
	ctx, err := parser.Parse(args)
	if err != nil {
		var usage *kong.ParseError
		if errors.As(err, &usage) {
			fmt.Fprintf(errs, "geomill: %v (see %s --help)\n", err, asked(usage.Context))
			return 2
		}
		fmt.Fprintln(errs, "geomill:", err)
		return 2
	}
	if err := ctx.Run(&streams{out: out, err: errs}); err != nil {
		// One line, though there may be several faults.
		fmt.Fprintln(errs, "geomill:", strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "; "))
		return 1
	}
	return 0
}

// asked is the command that a command line got to, as far as it is one.
func asked(c *kong.Context) string {
	if c != nil && c.Selected() != nil {
		return c.Selected().FullPath()
	}
	return "geomill"
}
