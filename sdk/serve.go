package sdk

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"geomill/sdk/wire"
)

// Serve is the main function of a plugin; it does not return. Started by a
// host it serves the processes until the host ends it. Started by hand the
// program is a command: describe, run, version, help; with GEOMILL_ATTACH=1 in its
// environment it waits for geomill run --attach, so that a debugger can own it.
func Serve(plugin Plugin, processes ...Process) {
	if wire.Started() {
		os.Exit(serveHost(plugin, processes))
	}
	h, err := NewHandler(plugin, processes...)
	if err != nil {
		fmt.Fprintf(os.Stderr, "plugin %s cannot be served:\n%v\n", plugin.Name, err)
		os.Exit(exitFailed)
	}
	ctx, stop := signal.NotifyContext(context.Background(), endSignals()...)
	if os.Getenv(attachVariable) != "" {
		if err := serveAttached(ctx, h, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(exitFailed)
		}
		os.Exit(exitOK)
	}
	code := command{handler: h, in: os.Stdin, out: os.Stdout, err: os.Stderr}.run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}
