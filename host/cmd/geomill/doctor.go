package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"geomill/host"
)

type doctorCmd struct {
	settings
	JSON   bool `help:"Print JSON."`
	Strict bool `help:"Exit with 1 if the sandbox cannot be strict here."`
}

func (doctorCmd) Help() string {
	return `Example: geomill doctor --plugins ./plugins --data ./data --strict

Says by which layers plugins can be confined on this machine, what each is for and how to get it, and looks at directories
and limits. It starts no plugin and changes nothing; run it as the user of the host.`
}

func (c doctorCmd) Run(s *streams) error {
	config, err := c.load()
	if err != nil {
		return err
	}
	findings := host.Examine(config)
	if c.JSON {
		e := json.NewEncoder(s.out)
		e.SetIndent("", "  ")
		err = e.Encode(findings)
	} else {
		err = printFindings(s, findings)
	}
	if err != nil {
		return err
	}
	var lacking []string
	for _, k := range findings {
		if k.Layer && !k.OK && !k.Optional {
			lacking = append(lacking, k.Name)
		}
	}
	if c.Strict && len(lacking) > 0 {
		return errors.New("the sandbox cannot be strict: no " + strings.Join(lacking, ", "))
	}
	return nil
}

func printFindings(s *streams, findings []host.Finding) error {
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CHECK\tOK\tFINDING\tCOVERS")
	for _, k := range findings {
		ok := "yes"
		switch {
		case !k.OK && k.Optional:
			ok = "no (optional)"
		case !k.OK:
			ok = "NO"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", k.Name, ok, cell(k.Finding), cell(k.Covers))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, k := range findings {
		if !k.OK && k.Remedy != "" {
			fmt.Fprintf(s.out, "%s: %s\n", k.Name, plain(k.Remedy))
		}
	}
	return nil
}
