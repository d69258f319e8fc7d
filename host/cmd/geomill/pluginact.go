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

type pluginReloadCmd struct {
	act
	Force bool `help:"Although it breaks clients of the version before, or crashed too often."`
}

func (pluginReloadCmd) Help() string {
	return `Example: geomill plugin reload raster

Starts what the file holds beside what serves, changed or not, and lets it take over once it is ready; running jobs
finish on the version they began with. It takes back a rollback and a removal. If it fails, what served goes on.`
}

func (c *pluginReloadCmd) Run(s *streams) error {
	return c.do(s, host.Command{Verb: host.DoReload, Force: c.Force})
}

type pluginRollbackCmd struct{ act }

func (pluginRollbackCmd) Help() string {
	return `Example: geomill plugin rollback raster

Serves the version that served before, also after restarts of the server, until the file changes or is reloaded.`
}

func (c *pluginRollbackCmd) Run(s *streams) error {
	return c.do(s, host.Command{Verb: host.DoRollback})
}

type pluginResetCmd struct{ act }

func (pluginResetCmd) Help() string {
	return `Example: geomill plugin reset raster

Forgets the crashes of a plugin: one that is in quarantine, or held back after a crash, starts with its next job.`
}

func (c *pluginResetCmd) Run(s *streams) error {
	return c.do(s, host.Command{Verb: host.DoReset})
}

type pluginRemoveCmd struct {
	act
	DeleteFile bool `help:"Delete the file too; it cannot be brought back."`
}

func (pluginRemoveCmd) Help() string {
	return `Example: geomill plugin remove raster

Offers the processes of a plugin no longer, also after restarts of the server, until its file changes or is reloaded.
Running jobs may finish, and results are kept.`
}

func (c *pluginRemoveCmd) Run(s *streams) error {
	return c.do(s, host.Command{Verb: host.DoRemove, DeleteFile: c.DeleteFile})
}
