package main

import (
	"fmt"

	"geomill/host"
)

// act are the flags of the commands that do something to a plugin.
type act struct {
	runningServer
	Name string `arg:"" help:"Plugin, by the name of its file."`
	JSON bool   `help:"Print JSON."`
}

// do has the server carry out a command and prints what it has done.
func (a *act) do(s *streams, c host.Command) error {
	server, err := a.operator()
	if err != nil {
		return err
	}
	ctx, stop := interruptible()
	defer stop()
	c.File = a.Name
	done, err := server.Do(ctx, c)
	if err != nil {
		return err
	}
	if a.JSON {
		return printDocument(s.out, done)
	}
	_, err = fmt.Fprintln(s.out, plain(done.Done))
	return err
}

type pluginTrustCmd struct{ act }

func (pluginTrustCmd) Help() string {
	return `Example: geomill plugin trust raster

Accepts what the file holds now, whatever the trust policy is, and has it served if it proves to be a plugin. What
was accepted before stays accepted. Look at it first: geomill plugin verify raster`
}

func (c *pluginTrustCmd) Run(s *streams) error {
	return c.do(s, host.Command{Verb: host.DoTrust})
}

type pluginPinCmd struct {
	act
	Hash string `arg:"" optional:"" help:"SHA-256 of the content (that which serves)."`
}

func (pluginPinCmd) Help() string {
	return `Example: geomill plugin pin raster 0f343b0931126a20f133d67c2b018a3b5d9f3b8a4d1f4a9e3b5c6d7e8f901234

Accepts a content by its hash, be it there or not yet: so a new version can be announced before it is copied into place.`
}

func (c *pluginPinCmd) Run(s *streams) error {
	return c.do(s, host.Command{Verb: host.DoPin, Hash: c.Hash})
}

type pluginUnpinCmd struct {
	act
	Hash string `arg:"" optional:"" help:"SHA-256 of the content (all that were accepted)."`
}

func (pluginUnpinCmd) Help() string {
	return `Example: geomill plugin unpin raster 0f343b0931126a20f133d67c2b018a3b5d9f3b8a4d1f4a9e3b5c6d7e8f901234

Takes back that a content was accepted. What may run no longer under the trust policy is offered no longer; its running jobs may finish.`
}

func (c *pluginUnpinCmd) Run(s *streams) error {
	return c.do(s, host.Command{Verb: host.DoUnpin, Hash: c.Hash})
}
