package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"geomill/host"
)

type pluginInspectCmd struct {
	runningServer
	Name string `arg:"" help:"Plugin, by the name of its file."`
	JSON bool   `help:"Print JSON."`
}

func (pluginInspectCmd) Help() string {
	return `Example: geomill plugin inspect raster`
}

func (c *pluginInspectCmd) Run(s *streams) error {
	server, err := c.operator()
	if err != nil {
		return err
	}
	ctx, stop := interruptible()
	defer stop()
	p, err := server.Plugin(ctx, c.Name)
	if err != nil {
		return err
	}
	if c.JSON {
		return printDocument(s.out, p)
	}
	return printPlugin(s.out, p, time.Now())
}

// printPlugin prints all that is known of a plugin, what matters first.
func printPlugin(out io.Writer, p host.Plugin, now time.Time) error {
	w := &sheet{w: tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)}
	printFacts(w, p, now)
	printTables(w, p, now)
	if err := w.w.Flush(); err != nil || len(p.LastLines) == 0 {
		return err
	}
	if _, err := fmt.Fprintln(out, "\nIt wrote last:"); err != nil {
		return err
	}
	for _, l := range p.LastLines {
		if err := printLogLine(out, l); err != nil {
			return err
		}
	}
	return nil
}

func printFacts(w *sheet, p host.Plugin, now time.Time) {
	w.line("plugin", p.File)
	w.line("state", fmt.Sprintf("%s since %s", p.State, since(p.Since, now)))
	w.line("why", p.Reason)
	w.line("next", advice(p))
	w.line("name", p.Name)
	w.line("version", p.Version)
	w.line("sha256", p.Hash)
	w.line("path", p.Path)
	w.line("leads to", p.Target)
	w.line("has", strings.Join(p.Available, ", "))
	if v := p.Previous; v != nil {
		w.line("before", fmt.Sprintf("%s %s (SHA-256 %s); to go back to it: geomill plugin rollback %s", v.Name, v.Version, cutHash(v.Hash), host.Word(p.File)))
	}
	w.line("trust", p.TrustPolicy)
	if p.UID != 0 {
		w.line("user", fmt.Sprintf("%d, its own", p.UID))
	}
	w.line("settings", string(p.Settings))
	w.line("crashes", strconv.Itoa(p.Crashes))
	if c := p.Counters; c != nil {
		w.line("starts", counts(c.Starts))
		w.line("ends", counts(c.Ends))
		w.line("jobs", strconv.FormatInt(c.Jobs, 10))
	}
}

func printTables(w *sheet, p host.Plugin, now time.Time) {
	if len(p.Processes) > 0 {
		w.table("PROCESS", "VERSION", "ISOLATION", "SLOTS", "TIMEOUT", "OFFERED")
		for _, one := range p.Processes {
			offer := "yes"
			if one.Reason != "" {
				offer = "no: " + one.Reason
			}
			w.row(one.ID, one.Version, one.Isolation, limit(one.Slots > 0, one.Slots), limit(one.TimeoutSeconds > 0, seconds(one.TimeoutSeconds)), offer)
		}
	}
	if len(p.Files) > 0 {
		w.table("FILE", "SHA-256")
		for _, f := range p.Files {
			w.row(f.Name, f.Hash)
		}
	}
	if len(p.Instances) > 0 {
		w.table("PID", "STATE", "SINCE", "JOBS", "MEMORY", "CPU")
		for _, in := range p.Instances {
			w.row(strconv.Itoa(in.PID), in.State, since(in.Since, now), strconv.Itoa(in.Jobs), humanSize(in.MemoryBytes), seconds(in.CPUSeconds).String())
		}
	}
	if len(p.Pins) > 0 {
		w.table("ACCEPTED", "SHA-256", "HOW", "IS")
		for _, pin := range p.Pins {
			w.row(since(pin.Accepted, now), cutHash(pin.Hash), pin.How, strings.TrimSpace(pin.Name+" "+pin.Version))
		}
	}
	if len(p.History) > 0 {
		w.table("TIME", "INSTANCE", "PID", "FROM", "TO", "WHY")
		for _, t := range p.History {
			w.row(local(&t.Time), limit(t.Instance > 0, t.Instance), limit(t.PID > 0, t.PID), t.From, t.To, t.Reason)
		}
	}
}

// counts writes those that are not zero.
func counts(of map[string]int64) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(of)) {
		if of[name] > 0 {
			all = append(all, fmt.Sprintf("%d %s", of[name], name))
		}
	}
	return strings.Join(all, ", ")
}

func seconds(s float64) time.Duration {
	return time.Duration(s * float64(time.Second)).Round(10 * time.Millisecond)
}

// limit writes a limit, if there is one.
func limit(set bool, value any) string {
	if !set {
		return "-"
	}
	return fmt.Sprint(value)
}

// sheet lays out names with values, and tables below them.
type sheet struct{ w *tabwriter.Writer }

// line writes a value, unless there is none.
func (s *sheet) line(name, value string) {
	if value != "" {
		fmt.Fprintf(s.w, "%s\t%s\n", name, cell(value))
	}
}

// table begins a table with the names of its columns.
func (s *sheet) table(columns ...string) {
	fmt.Fprintln(s.w) // ends the columns of what stands above
	s.row(columns...)
}

func (s *sheet) row(cells ...string) {
	for i, c := range cells {
		if i > 0 {
			fmt.Fprint(s.w, "\t")
		}
		fmt.Fprint(s.w, cell(c))
	}
	fmt.Fprintln(s.w)
}
