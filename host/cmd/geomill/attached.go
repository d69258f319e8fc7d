package main

import "geomill/host"

type attachedCmd struct {
	File string `arg:"" help:"File that names the socket in its second line."`
}

func (attachedCmd) Help() string {
	return "Example: geomill attached FILE"
}

func (c attachedCmd) Run(*streams) error { return host.Attached(c.File) }
