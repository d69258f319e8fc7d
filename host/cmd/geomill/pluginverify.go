package main

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"geomill/host"
)

type pluginVerifyCmd struct {
	runningServer
	Name string `arg:"" optional:"" help:"Plugin, by the name of its file (all)."`
	JSON bool   `help:"Print JSON."`
}

func (pluginVerifyCmd) Help() string {
	return `Example: geomill plugin verify raster

Reads the files of plugins anew and compares their SHA-256 with what is trusted and with what serves. The exit code
is 1 if one of them differs, or is refused.`
}

func (c *pluginVerifyCmd) Run(s *streams) error {
	server, err := c.operator()
	if err != nil {
		return err
	}
	ctx, stop := interruptible()
	defer stop()
	list, err := server.Verify(ctx, c.Name)
	if err != nil {
		return err
	}
	if c.JSON {
		err = printDocument(s.out, list)
	} else {
		err = printChecks(s.out, list)
	}
	return errors.Join(err, differing(list))
}

// differing is the error when some files are not as they should be.
func differing(list []host.Check) error {
	n := 0
	for _, c := range list {
		if !c.OK {
			n++
		}
	}
	switch {
	case n == 0:
		return nil
	case n == 1:
		return errors.New("1 plugin is not as it should be")
	}
	return fmt.Errorf("%d plugins are not as they should be", n)
}

// resultOf says in a word what a check has found.
func resultOf(c host.Check) string {
	switch {
	case c.OK:
		return "ok"
	case c.Found == "":
		return "unusable"
	case c.Found == c.Serving:
		return "untrusted"
	case c.Serving == "" && c.Accept == "":
		return "refused"
	}
	return "differs"
}

func printChecks(out io.Writer, list []host.Check) error {
	w := &sheet{w: tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)}
	w.row("FILE", "RESULT", "FOUND", "SERVING", "TRUST", "PINNED")
	for _, c := range list {
		w.row(c.File, resultOf(c), cutHash(c.Found), cutHash(c.Serving), c.Policy, c.Pinned)
	}
	if err := w.w.Flush(); err != nil {
		return err
	}
	for _, c := range list {
		if c.Fault == "" {
			continue
		}
		if _, err := fmt.Fprintln(out, plain(c.File+": "+c.Fault)); err != nil {
			return err
		}
	}
	return nil
}
