package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"geomill/host"
)

type pluginListCmd struct {
	runningServer
	JSON bool `help:"Print JSON."`
}

func (pluginListCmd) Help() string {
	return `Example: geomill plugin list --data ./data

Lists the files in the plugins directory of the server; below, what is wrong with them and what to do about it.`
}

func (c *pluginListCmd) Run(s *streams) error {
	server, err := c.operator()
	if err != nil {
		return err
	}
	ctx, stop := interruptible()
	defer stop()
	list, err := server.Plugins(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return printDocument(s.out, list)
	}
	return printPlugins(s.out, list, time.Now())
}

func printPlugins(out io.Writer, list []host.Plugin, now time.Time) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "FILE\tSTATE\tNAME\tVERSION\tHASH\tINSTANCES\tJOBS\tPROCESSES")
	for _, p := range list {
		jobs := 0
		for _, in := range p.Instances {
			jobs += in.Jobs
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\n", cell(p.File), cell(p.State), cell(p.Name), cell(p.Version),
			cell(cutHash(p.Hash)), len(p.Instances), jobs, cell(strings.Join(offered(p), ", ")))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, p := range list {
		for _, r := range remarks(p, now) {
			if _, err := fmt.Fprintln(out, plain(p.File+": "+r)); err != nil {
				return err
			}
		}
	}
	return nil
}

// hashShown is how many characters of a hash tell plugins apart.
const hashShown = 12

func cutHash(hash string) string { return hash[:min(hashShown, len(hash))] }

func offered(p host.Plugin) (ids []string) {
	for _, one := range p.Processes {
		if one.Reason == "" {
			ids = append(ids, one.ID)
		}
	}
	return ids
}

// remarks say what is wrong with a plugin, since when, and what to do about it.
func remarks(p host.Plugin, now time.Time) (all []string) {
	if p.Reason != "" && !ofProcess(p) {
		all = append(all, fmt.Sprintf("%s since %s: %s", p.State, since(p.Since, now), p.Reason))
	}
	for _, one := range p.Processes {
		if one.Reason != "" {
			all = append(all, fmt.Sprintf("process %s is not offered: %s", one.ID, one.Reason))
		}
	}
	if a := advice(p); a != "" && !strings.Contains(p.Reason, a) {
		all = append(all, a)
	}
	return all
}

// ofProcess reports whether the reason of a plugin is that of one of its
// processes.
func ofProcess(p host.Plugin) bool {
	for _, one := range p.Processes {
		if one.Reason != "" && strings.HasSuffix(p.Reason, one.Reason) {
			return true
		}
	}
	return false
}
