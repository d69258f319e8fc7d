package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"geomill/host"
)

type pluginLogsCmd struct {
	runningServer
	Name   string `arg:"" help:"Plugin, by the name of its file."`
	Follow bool   `short:"f" help:"Go on with the lines that come, until interrupted."`
	Lines  int    `short:"n" help:"Most lines to begin with (${default})." default:"100" placeholder:"N"`
	JSON   bool   `help:"Print a JSON object a line."`
}

func (pluginLogsCmd) Help() string {
	return fmt.Sprintf(`Example: geomill plugin logs raster --follow --lines 20

Prints what the instances of a plugin wrote to their standard streams, and what the server says about it. The last
%d lines are kept, in memory. What the configuration gives plugins in their environment is not shown.`, host.MostLogLines)
}

// Validate is called by kong.
func (c *pluginLogsCmd) Validate() error {
	if c.Lines < 0 || c.Lines > host.MostLogLines {
		return fmt.Errorf("--lines: must be from 0 to %d", host.MostLogLines)
	}
	return nil
}

func (c *pluginLogsCmd) Run(s *streams) error {
	server, err := c.operator()
	if err != nil {
		return err
	}
	ctx, stop := interruptible()
	defer stop()
	print := printLogLine
	if c.JSON {
		print = func(out io.Writer, l host.LogLine) error { return json.NewEncoder(out).Encode(l) }
	}
	err = server.Logs(ctx, c.Name, c.Lines, c.Follow, func(l host.LogLine) error { return print(s.out, l) })
	if c.Follow && ctx.Err() != nil {
		return nil // as it is meant to end
	}
	return err
}

// printLogLine prints a line as people read it: when, how bad, who, and what; the
// lines of a stack trace below.
func printLogLine(out io.Writer, l host.LogLine) error {
	who := l.From
	if l.Instance != 0 {
		who += "#" + strconv.FormatInt(l.Instance, 10)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %-5s  %-9s  %s", local(&l.Time), plain(l.Level), plain(who), plain(l.Message))
	var fields map[string]json.RawMessage
	_ = json.Unmarshal(l.Fields, &fields) // or there are none
	var below []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		value := fieldText(fields[name])
		if lines := strings.Split(value, "\n"); len(lines) > 1 {
			below = append(below, lines...)
			continue
		}
		if strings.ContainsAny(value, " =\"") || value == "" {
			value = strconv.Quote(value)
		}
		fmt.Fprintf(&b, "  %s=%s", plain(name), plain(value))
	}
	b.WriteByte('\n')
	for _, line := range below {
		fmt.Fprintf(&b, "    %s\n", plain(line))
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// fieldText writes a value for people: a text without its quotes.
func fieldText(value json.RawMessage) string {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return text
	}
	return string(value)
}
