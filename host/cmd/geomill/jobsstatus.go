package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// status is what these commands read of a job's status document.
type status struct {
	JobID     string       `json:"jobID"`
	ProcessID string       `json:"processID"`
	Status    string       `json:"status"`
	Message   string       `json:"message"`
	Exception *statusFault `json:"exception"`
	Progress  *int         `json:"progress"`
	Created   *time.Time   `json:"created"`
	Started   *time.Time   `json:"started"`
	Finished  *time.Time   `json:"finished"`
	Updated   *time.Time   `json:"updated"`
	Links     []link       `json:"links"`

	document json.RawMessage // all of it
}

type statusFault struct {
	Title  string `json:"title"`
	Detail string `json:"detail"`
}

type link struct {
	Href string `json:"href"`
	Rel  string `json:"rel"`
}

// UnmarshalJSON keeps the document.
func (s *status) UnmarshalJSON(b []byte) error {
	type fields status
	if err := json.Unmarshal(b, (*fields)(s)); err != nil {
		return err
	}
	s.document = append(json.RawMessage(nil), b...)
	return nil
}

// finished are the states that a job does not leave.
var finished = []string{"successful", "failed", "dismissed"}

func (s *status) finished() bool {
	return s.Status != "accepted" && s.Status != "running"
}

// took is how long the job has run by now.
func (s *status) took() string {
	if s.Started == nil {
		return "-"
	}
	end := time.Now()
	switch {
	case s.Finished != nil:
		end = *s.Finished
	case s.finished():
		return "-"
	}
	d := max(end.Sub(*s.Started), 0)
	if d > time.Minute {
		return d.Round(time.Second).String()
	}
	return d.Round(time.Millisecond).String()
}

func (s *status) percent() string {
	if s.Progress == nil {
		return "-"
	}
	return strconv.Itoa(*s.Progress) + "%"
}

func (c *client) status(ctx context.Context, id string) (*status, error) {
	s := &status{}
	return s, c.document(ctx, http.MethodGet, jobPath(id), nil, s)
}

// jobs calls each for the jobs of a list, page by page, until it returns false.
func (c *client) jobs(ctx context.Context, query url.Values, each func(*status) (bool, error)) error {
	for {
		var page struct {
			Jobs  []*status `json:"jobs"`
			Links []link    `json:"links"`
		}
		if err := c.document(ctx, http.MethodGet, "/jobs", query, &page); err != nil {
			return err
		}
		for _, s := range page.Jobs {
			if more, err := each(s); err != nil || !more {
				return err
			}
		}
		next, err := nextPage(page.Links)
		if err != nil || next == nil {
			return err
		}
		query = next
	}
}

// nextPage returns the query of the next page, or nil. The rest of the address is
// how others reach the server.
func nextPage(links []link) (url.Values, error) {
	for _, l := range links {
		if l.Rel != "next" {
			continue
		}
		u, err := url.Parse(l.Href)
		if err != nil {
			return nil, fmt.Errorf("link to the next page: %w", err)
		}
		return u.Query(), nil
	}
	return nil, nil
}
