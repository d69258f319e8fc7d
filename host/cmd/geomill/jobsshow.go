package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

type jobsShowCmd struct {
	serverSettings
	ID   string `arg:"" help:"Job."`
	JSON bool   `help:"Print the status document."`
}

func (jobsShowCmd) Help() string {
	return `Example: geomill jobs show 01a208e3-757b-764a-8c72-df429ec8178a`
}

func (c *jobsShowCmd) Run(s *streams) error {
	server, err := c.client()
	if err != nil {
		return err
	}
	defer server.close()
	ctx, stop := interruptible()
	defer stop()
	j, err := server.status(ctx, c.ID)
	if err != nil {
		return err
	}
	if c.JSON {
		return printDocument(s.out, j.document)
	}
	return printStatus(s.out, j)
}

// shown are the members of a status document that have lines of their own, or
// say nothing to people.
var shown = []string{
	"jobID", "id", "type", "processingEntityType", "processID", "status", "message", "exception", "progress",
	"created", "started", "finished", "updated", "links",
}

func printStatus(out io.Writer, j *status) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(name, value string) {
		if value != "" && value != "-" {
			fmt.Fprintf(w, "%s\t%s\n", name, cell(value))
		}
	}
	line("job", j.JobID)
	line("process", j.ProcessID)
	line("status", j.Status)
	line("message", j.Message)
	if e := j.Exception; e != nil && e.Detail != j.Message {
		line("reason", strings.Trim(e.Title+": "+e.Detail, ": "))
	}
	line("done", j.percent())
	line("created", local(j.Created))
	line("started", local(j.Started))
	line("finished", local(j.Finished))
	line("took", j.took())
	var all map[string]json.RawMessage
	if err := json.Unmarshal(j.document, &all); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !slices.Contains(shown, name) {
			line(cell(name), member(all[name]))
		}
	}
	for _, l := range j.Links {
		if strings.HasSuffix(l.Rel, "/results") || strings.HasSuffix(l.Rel, "/exceptions") {
			line("results", l.Href)
		}
	}
	return w.Flush()
}

// member writes a member that this program does not know for people.
func member(value json.RawMessage) string {
	var at time.Time
	if json.Unmarshal(value, &at) == nil {
		return local(&at)
	}
	var text string
	if json.Unmarshal(value, &text) == nil {
		return text
	}
	return string(value)
}
