package main

import (
	"geomill/host"
	"geomill/sdk/manifest"
)

type manifestCmd struct {
	File string   `arg:"" help:"Manifest (YAML)."`
	Args []string `arg:"" optional:"" passthrough:"" help:"What the manifest is to do: describe, run, version, help."`
}

func (manifestCmd) Help() string {
	return `Example: geomill manifest tools.yaml run tidy inputs.json

Makes a plugin of command line tools. Begin the manifest with the line
"#!/path/of/geomill manifest", make it executable, and put it into the plugins
directory; sdk/manifest/README.md says what is in it.`
}

// Run does not return, unless the manifest is wrong: a plugin ends itself.
func (c manifestCmd) Run(*streams) error {
	return manifest.Serve(c.File, c.Args, host.CheckProcess)
}
