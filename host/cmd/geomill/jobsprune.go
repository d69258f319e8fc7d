package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// pruners is how many jobs are removed at once.
const pruners = 8

// duration is a flag for people: 12h, 30d, 2w.
type duration time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *duration) UnmarshalText(text []byte) error {
	v, err := age(string(text))
	*d = duration(v)
	return err
}

type jobsPruneCmd struct {
	serverSettings
	OlderThan duration `required:"" help:"Jobs that finished so long ago, such as 12h, 30d or 2w." placeholder:"DURATION"`
	Process   []string `help:"Only jobs of these processes." placeholder:"ID"`
	Status    []string `help:"Only jobs in these states: successful, failed, dismissed (all of them)." enum:"successful,failed,dismissed" placeholder:"STATUS"`
	DryRun    bool     `help:"Print the jobs that would be removed, and remove none."`
}

func (jobsPruneCmd) Help() string {
	return `Example: geomill jobs prune --older-than 30d --status failed,dismissed --dry-run

Removes finished jobs with their results, and prints how many.`
}

func (c *jobsPruneCmd) Run(s *streams) error {
	server, err := c.client()
	if err != nil {
		return err
	}
	defer server.close()
	ctx, stop := interruptible()
	defer stop()
	before := time.Now().Add(-time.Duration(c.OlderThan))
	if c.DryRun {
		n := 0
		err := c.each(ctx, server, before, func(j *status) {
			n++
			fmt.Fprintf(s.out, "%s  %s  %s  %s\n", plain(j.JobID), local(j.Finished), plain(j.Status), plain(j.ProcessID))
		})
		if err == nil {
			fmt.Fprintf(s.out, "%s would be removed\n", count(n, "job"))
		}
		return err
	}
	removed, err := c.prune(ctx, server, before)
	fmt.Fprintf(s.out, "removed %s\n", count(removed, "job"))
	return err
}

// each calls do for every job that is to go.
func (c *jobsPruneCmd) each(ctx context.Context, server *client, before time.Time, do func(*status)) error {
	statuses := c.Status
	if len(statuses) == 0 {
		statuses = finished
	}
	query := filters(c.Process, statuses)
	query.Set("limit", strconv.Itoa(pageSize))
	query.Set("datetime", "../"+before.UTC().Format(time.RFC3339Nano)) // of their creation
	return server.jobs(ctx, query, func(j *status) (bool, error) {
		end := j.Finished
		if end == nil {
			end = j.Updated
		}
		if j.finished() && end != nil && !end.After(before) {
			do(j)
		}
		return true, ctx.Err()
	})
}

// prune removes jobs and returns how many. It goes on after a failure, and
// fails in the end with the first.
func (c *jobsPruneCmd) prune(ctx context.Context, server *client, before time.Time) (int, error) {
	var removed, failed atomic.Int64
	var first error
	var once sync.Once
	ids := make(chan string)
	var workers sync.WaitGroup
	for range pruners {
		workers.Go(func() {
			for id := range ids {
				err := server.remove(ctx, id)
				switch {
				case err == nil:
					removed.Add(1)
				case !gone(err):
					failed.Add(1)
					once.Do(func() { first = fmt.Errorf("job %s: %w", plain(id), err) })
				}
			}
		})
	}
	err := c.each(ctx, server, before, func(j *status) { ids <- j.JobID })
	close(ids)
	workers.Wait()
	if n := failed.Load(); n > 1 {
		first = fmt.Errorf("%d jobs could not be removed; the first: %w", n, first)
	}
	return int(removed.Load()), errors.Join(err, first)
}
