package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// followEvery is the time between two looks at a log that is followed.
const followEvery = time.Second

type jobsLogsCmd struct {
	serverSettings
	ID     string `arg:"" help:"Job."`
	Follow bool   `short:"f" help:"Go on until the job has ended."`
	Level  string `help:"Only lines from this level on: trace, debug, info, warn, error." enum:"trace,debug,info,warn,error," default:"" placeholder:"LEVEL"`
}

func (jobsLogsCmd) Help() string {
	return `Example: geomill jobs logs --follow --level warn 01a208e3-757b-764a-8c72-df429ec8178a`
}

func (c *jobsLogsCmd) Run(s *streams) error {
	server, err := c.client()
	if err != nil {
		return err
	}
	defer server.close()
	ctx, stop := interruptible()
	defer stop()
	query := url.Values{}
	if c.Level != "" {
		query.Set("level", c.Level)
	}
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		ended := true
		if c.Follow { // asked before the log is read, whose last lines are there by the end
			j, err := server.status(ctx, c.ID)
			if err != nil {
				return err
			}
			ended = j.finished()
		}
		if err := server.logs(ctx, c.ID, query, s.out); err != nil || ended {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.New("interrupted")
		}
	}
}

// logs prints a log from the line after query's on, and sets that to the last
// line.
func (c *client) logs(ctx context.Context, id string, query url.Values, out io.Writer) error {
	for {
		more, err := c.logPage(ctx, id, query, out)
		if err != nil || !more {
			return err
		}
	}
}

// logPage prints what one request gives. It reports whether that was something.
func (c *client) logPage(ctx context.Context, id string, query url.Values, out io.Writer) (bool, error) {
	res, err := c.do(ctx, http.MethodGet, jobPath(id)+"/logs", query, "text/plain")
	if err != nil {
		return false, err
	}
	defer res.Body.Close()
	lines := bufio.NewReaderSize(res.Body, 64<<10)
	some := false
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			some = true
			if _, err := fmt.Fprintln(out, plain(strings.TrimSuffix(line, "\n"))); err != nil {
				return false, err
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return false, fmt.Errorf("read log: %w", err)
		}
	}
	after, ok := lastLine(res.Header)
	if !some || !ok || after == query.Get("after") {
		return false, nil
	}
	query.Set("after", after)
	return true, nil
}

// lastLine returns the number after which the log goes on, which the server tells
// by a link.
func lastLine(h http.Header) (string, bool) {
	for _, header := range h.Values("Link") {
		for one := range strings.SplitSeq(header, ",") {
			target, parameters, _ := strings.Cut(one, ">")
			if !strings.Contains(parameters, `rel="next"`) && !strings.Contains(parameters, "rel=next") {
				continue
			}
			u, err := url.Parse(strings.TrimLeft(target, " <"))
			if err == nil && u.Query().Get("after") != "" {
				return u.Query().Get("after"), true
			}
		}
	}
	return "", false
}
