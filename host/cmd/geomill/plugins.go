package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"

	"geomill/host"
)

type pluginsCmd struct {
	settings
	JSON bool `help:"Print JSON."`
}

func (pluginsCmd) Help() string {
	return `Example: geomill plugins --plugins ./plugins

Looks at the directory itself, whether a server runs or not: what it has not seen before it starts to ask for its
processes, and stops it again. What a running server makes of its plugins is told by geomill plugin list.`
}

func (c pluginsCmd) Run(s *streams) error {
	config, err := c.serving()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	list, err := host.ScanPlugins(ctx, config, host.NewLogger(config, s.err))
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(s.out, list)
	}
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "FILE\tSTATE\tNAME\tVERSION\tHASH\tPROCESSES")
	var remarks []string
	for _, p := range list {
		var served []string
		for _, proc := range p.Processes {
			if proc.Reason == "" {
				served = append(served, proc.ID)
			} else {
				remarks = append(remarks, fmt.Sprintf("%s: process %s is not offered: %s", p.File, proc.ID, proc.Reason))
			}
		}
		if remark := p.File + ": " + p.Reason; p.Reason != "" && !slices.Contains(remarks, remark) {
			remarks = append(remarks, remark)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%.12s\t%s\n", p.File, p.State, dash(p.Name), dash(p.Version), dash(p.Hash), dash(strings.Join(served, ", ")))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, r := range remarks {
		fmt.Fprintln(s.out, r)
	}
	return nil
}

// listed is a candidate as --json prints it.
type listed struct {
	File      string          `json:"file"`
	State     string          `json:"state"`
	Name      string          `json:"name,omitempty"`
	Version   string          `json:"version,omitempty"`
	Hash      string          `json:"hash,omitempty"` // SHA-256
	Reason    string          `json:"reason,omitempty"`
	Processes []listedProcess `json:"processes"`
}

type listedProcess struct {
	ID      string `json:"id"`
	Version string `json:"version"`
	Reason  string `json:"reason,omitempty"` // why it is not offered
}

func printJSON(w io.Writer, list []host.PluginStatus) error {
	all := make([]listed, 0, len(list))
	for _, p := range list {
		l := listed{File: p.File, State: string(p.State), Name: p.Name, Version: p.Version, Hash: p.Hash, Reason: p.Reason, Processes: []listedProcess{}}
		for _, proc := range p.Processes {
			l.Processes = append(l.Processes, listedProcess{ID: proc.ID, Version: proc.Version, Reason: proc.Reason})
		}
		all = append(all, l)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(all)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
