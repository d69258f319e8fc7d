package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"geomill/host"
	"geomill/host/cmd/geomill/scaffold"
)

type newCmd struct {
	Name string            `arg:"" help:"Name of the plugin, such as flood-risk."`
	Lang scaffold.Language `help:"go or python (${default})." enum:"go,python" default:"go" placeholder:"LANGUAGE"`
	Dir  string            `help:"Directory to write, empty or not there yet (./NAME)." placeholder:"DIR"`
	SDK  string            `name:"sdk" help:"Checkout of Geomill that has the SDK (the one this program was built in)." env:"GEOMILL_SDK" placeholder:"DIR"`
}

func (newCmd) Help() string {
	return `Example: geomill new flood-risk --lang python

Writes a plugin that builds, tests and runs as it is, with a Makefile, a test and
a README. No file that is there already is touched.`
}

func (c newCmd) Run(s *streams) error {
	if err := scaffold.CheckName(c.Name); err != nil {
		return err // before all that only a checkout of Geomill would mend
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	if c.SDK == "" {
		if c.SDK, err = scaffold.FindSDK(program); err != nil {
			return err
		}
	} else if !scaffold.IsSDK(c.SDK) {
		return fmt.Errorf("%s is not a checkout of Geomill: its go.mod does not say \"module geomill\"", c.SDK)
	}
	if c.Dir == "" {
		c.Dir = c.Name
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	names, err := scaffold.Write(ctx, scaffold.Options{Name: c.Name, Language: c.Lang, Dir: c.Dir, SDK: c.SDK, Program: program})
	if err != nil {
		return err
	}
	for _, name := range names {
		fmt.Fprintln(s.out, "wrote", filepath.Join(c.Dir, name))
	}
	_, err = fmt.Fprintf(s.out, "try:  cd %s && make test run serve\n", host.Word(c.Dir))
	return err
}
