package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"geomill/host"
)

// ballastBytes is address space that is never touched. It counts as live, so that
// a host with little in memory does not collect garbage for every few thousand
// small requests; what a large heap costs stays as it is.
const ballastBytes = 8 << 20

type serveCmd struct{ settings }

func (serveCmd) Help() string {
	return `Example: geomill serve --listen localhost:5000 --plugins ./plugins --data ./data

A flag stands over its environment variable, that over the configuration file, and that over the default.
SIGTERM or SIGINT drains and stops the server; a second one ends it at once.
SIGHUP reads the configuration again: plugin-config and processes of it come into force without a restart.`
}

func (c serveCmd) Run(s *streams) error {
	config, err := c.serving()
	if err != nil {
		return err
	}
	ballast := make([]byte, ballastBytes)
	defer runtime.KeepAlive(ballast)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	context.AfterFunc(ctx, stop) // the second signal has its default effect
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	var address string
	return host.Run(ctx, config, host.NewLogger(config, s.err), host.News{
		Listening: func(url string) {
			address = url
			fmt.Fprintf(s.out, "listening on %s\n", url)
		},
		Found:  func(found []host.PluginStatus) { announce(s.out, address, found, config) },
		Reread: c.serving,
		Hangup: hangup,
	})
}

// ofOneProcess reports whether the reason of a plugin is that of one of its
// processes.
func ofOneProcess(p host.PluginStatus) bool {
	for _, one := range p.Processes {
		if one.Reason != "" && p.Reason == one.Refusal() {
			return true
		}
	}
	return false
}

// announce says what the server at an address found and what to try next.
func announce(w io.Writer, address string, found []host.PluginStatus, c host.Config) {
	example := ""
	for _, p := range found {
		var served []string
		for _, proc := range p.Processes {
			if proc.Reason != "" {
				fmt.Fprintf(w, "  refused  %s of %s: %s\n", proc.ID, p.File, proc.Reason)
				continue
			}
			served = append(served, proc.ID)
			if proc.ID == "hello-world" || example == "" {
				example = proc.ID
			}
		}
		if len(served) > 0 {
			fmt.Fprintf(w, "  plugin   %s %s: %s\n", p.Name, p.Version, strings.Join(served, ", "))
		}
		if p.Reason != "" && !ofOneProcess(p) {
			fmt.Fprintf(w, "  refused  %s: %s\n", p.File, p.Reason)
		}
	}
	switch example {
	case "":
		fmt.Fprintf(w, "no processes yet: drop a plugin into %s\n", c.Plugins)
	case "hello-world":
		fmt.Fprintf(w, "try:  curl -X POST %s/processes/hello-world/execution -H 'Content-Type: application/json' -d '{\"inputs\":{\"name\":\"hi there2\"}}'\n", address)
	default:
		fmt.Fprintf(w, "try:  curl %s/processes/%s\n", address, example)
	}
}
