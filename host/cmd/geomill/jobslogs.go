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
		some, goesOn, err := server.logs(ctx, c.ID, query, s.out)
		if err != nil || !goesOn || !some && !c.Follow {
			return err
		}
		if some {
			continue
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.New("interrupted")
		}
	}
}

// logs prints the lines of a log that query asks for, and has it ask for those
// that follow. It reports whether there were some, and whether more may come.
func (c *client) logs(ctx context.Context, id string, query url.Values, out io.Writer) (some, goesOn bool, err error) {
	res, err := c.do(ctx, http.MethodGet, jobPath(id)+"/logs", query, "text/plain")
	if err != nil {
		return false, false, err
	}
	defer res.Body.Close()
	for lines := bufio.NewReaderSize(res.Body, 64<<10); ; some = true {
		line, err := lines.ReadString('\n')
		if err != nil && err != io.EOF {
			return some, false, fmt.Errorf("read log: %w", err)
		}
		if line == "" {
			break
		}
		if _, err := fmt.Fprintln(out, plain(strings.TrimSuffix(line, "\n"))); err != nil {
			return some, false, err
		}
	}
	after, goesOn := following(res.Header)
	query.Set("after", after)
	return some, goesOn, nil
}

// following returns the number of the line after which a log goes on, which the
// server tells by a link as long as more may come.
func following(h http.Header) (after string, ok bool) {
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
