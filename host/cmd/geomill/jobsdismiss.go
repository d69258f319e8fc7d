package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

type jobsDismissCmd struct {
	serverSettings
	ID     []string `arg:"" help:"Jobs."`
	Remove bool     `help:"Remove the jobs too, finished ones as well, with their results."`
}

func (jobsDismissCmd) Help() string {
	return `Example: geomill jobs dismiss 01a208e3-757b-764a-8c72-df429ec8178a

Waits until the work of each job has stopped and prints how it ended. Finished jobs stay as they are, unless --remove
is given.`
}

func (c *jobsDismissCmd) Run(s *streams) error {
	server, err := c.client()
	if err != nil {
		return err
	}
	defer server.close()
	ctx, stop := interruptible()
	defer stop()
	var errs []error
	for _, id := range c.ID {
		end, err := server.dismiss(ctx, id, c.Remove)
		if err != nil {
			errs = append(errs, fmt.Errorf("job %s: %w", plain(id), err))
			continue
		}
		fmt.Fprintf(s.out, "%s  %s\n", plain(id), plain(end))
	}
	return errors.Join(errs...)
}

// dismiss ends a job and says what has become of it.
func (c *client) dismiss(ctx context.Context, id string, remove bool) (string, error) {
	j, err := c.status(ctx, id)
	if err != nil {
		return "", err
	}
	end := j.Status + " already"
	if !j.finished() {
		if err := c.document(ctx, http.MethodDelete, jobPath(id), nil, j); err != nil {
			return "", err
		}
		end = j.Status
	}
	if !remove {
		return end, nil
	}
	err = c.remove(ctx, id)
	if err != nil && !gone(err) {
		return "", err
	}
	return end + ", removed", nil
}

// remove removes a finished job.
func (c *client) remove(ctx context.Context, id string) error {
	var j status
	return c.document(ctx, http.MethodDelete, jobPath(id), nil, &j)
}
