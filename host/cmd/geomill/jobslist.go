package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"text/tabwriter"
)

type jobsListCmd struct {
	serverSettings
	Process []string `help:"Only jobs of these processes." placeholder:"ID"`
	Status  []string `help:"Only jobs in these states: accepted, running, successful, failed, dismissed." enum:"accepted,running,successful,failed,dismissed" placeholder:"STATUS"`
	Limit   int      `help:"Most jobs to list (${default})." default:"20" placeholder:"N"`
	JSON    bool     `help:"Print the status documents as a JSON array."`
}

func (jobsListCmd) Help() string {
	return `Example: geomill jobs list --status failed,dismissed --process buffer --limit 50`
}

// Validate is called by kong.
func (c *jobsListCmd) Validate() error {
	if c.Limit < 1 {
		return fmt.Errorf("--limit: must be at least 1")
	}
	return nil
}

func (c *jobsListCmd) Run(s *streams) error {
	server, err := c.client()
	if err != nil {
		return err
	}
	defer server.close()
	ctx, stop := interruptible()
	defer stop()
	query := filters(c.Process, c.Status)
	query.Set("limit", strconv.Itoa(min(c.Limit, pageSize)))
	var list []*status
	err = server.jobs(ctx, query, func(j *status) (bool, error) {
		list = append(list, j)
		return len(list) < c.Limit, nil
	})
	if err != nil {
		return err
	}
	if c.JSON {
		documents := make([]json.RawMessage, len(list))
		for i, j := range list {
			documents[i] = j.document
		}
		return printDocument(s.out, documents)
	}
	return printTable(s.out, list)
}

// filters are the parameters of the list of jobs.
func filters(processes, statuses []string) url.Values {
	query := url.Values{}
	for _, p := range processes {
		query.Add("processID", p)
	}
	for _, s := range statuses {
		query.Add("status", s)
	}
	return query
}

const longestMessage = 60 // characters in the table

func printTable(out io.Writer, list []*status) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "JOB\tPROCESS\tSTATUS\tDONE\tCREATED\tTOOK\tMESSAGE")
	for _, j := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", cell(j.JobID), cell(j.ProcessID), cell(j.Status), j.percent(),
			local(j.Created), j.took(), cell(cut(j.Message, longestMessage)))
	}
	return w.Flush()
}

func cut(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

func printDocument(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
