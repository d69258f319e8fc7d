package main

import (
	"context"
	"fmt"
	"maps"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"geomill/host"
	"geomill/host/cmd/geomill/devloop"
)

type devCmd struct {
	Dir    string  `arg:"" optional:"" default:"." help:"Directory of the plugin (.)."`
	Listen *string `help:"Address to serve on (127.0.0.1:5000)." env:"GEOMILL_LISTEN" placeholder:"ADDR"`
	Config string  `help:"Configuration file (YAML) of the server." env:"GEOMILL_CONFIG" placeholder:"FILE"`
}

func (devCmd) Help() string {
	return `Example: geomill dev ./flood-risk --listen localhost:5000

Builds the plugin into build/plugins, serves it, and builds it anew whenever its
source changes: a Go module by the go command, what else has a Makefile by its
target build; executable scripts and manifests of command line tools are copied. While a build fails, the plugin before
goes on serving. Jobs are kept in build/data.`
}

func (c devCmd) Run(s *streams) error {
	project, err := devloop.Open(c.Dir)
	if err != nil {
		return err
	}
	config, err := c.load(project)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	loop, err := project.Watch() // first, so that no change is missed
	if err != nil {
		return err
	}
	build := func() {
		began := time.Now()
		if err := project.Build(ctx, s.err); err != nil && ctx.Err() == nil {
			fmt.Fprintf(s.out, "not built: %v\n", err)
		} else if err == nil {
			fmt.Fprintf(s.out, "built in %.1f s\n", time.Since(began).Seconds())
		}
	}
	build()
	var work sync.WaitGroup
	defer work.Wait()
	watching, end := context.WithCancel(ctx)
	defer end()
	work.Go(func() { _ = loop.Run(watching, build) }) // closing a watch loses nothing
	var address string
	return host.Run(ctx, config, host.NewLogger(config, s.err), host.News{
		Listening: func(url string) {
			address = url
			fmt.Fprintf(s.out, "listening on %s\n", url)
		},
		Found: func(found []host.PluginStatus) { announce(s.out, address, found, config) },
	})
}

// load is the configuration of a server for someone who changes a plugin.
func (c devCmd) load(p *devloop.Project) (host.Config, error) {
	data := filepath.Join(p.Dir, "build", "data")
	config, err := settings{Config: c.Config, Listen: c.Listen, Plugins: &p.Plugins, Data: &data}.serving()
	if err != nil {
		return config, err
	}
	allow := host.AllowBreaking // there are no clients yet
	config.PluginConfig = maps.Clone(config.PluginConfig)
	if config.PluginConfig == nil {
		config.PluginConfig = map[string]host.PluginConfig{}
	}
	all := config.PluginConfig[host.AllPlugins]
	all.Breaking = &allow
	config.PluginConfig[host.AllPlugins] = all
	return config, nil
}
