package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	answerDeadline = 2 * time.Minute // until a reply begins
	maxReply       = 64 << 20        // bytes of a JSON reply
	maxProblem     = 1 << 20         // bytes of an error reply
	pageSize       = 1000            // jobs asked for at once
)

// client talks to a server.
type client struct {
	base string // without a trailing slash
	http *http.Client
}

func (s serverSettings) client() (*client, error) {
	u, err := url.Parse(s.Server)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("--server: %q is not an absolute http or https URL", s.Server)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = answerDeadline
	transport.MaxIdleConnsPerHost = pruners
	return &client{base: strings.TrimSuffix(s.Server, "/"), http: &http.Client{Transport: transport}}, nil
}

// close gives back the client's connections.
func (c *client) close() { c.http.CloseIdleConnections() }

// problem is a reply that says what is wrong.
type problem struct {
	Status int
	Title  string
	Detail string
}

func (p *problem) Error() string {
	if p.Detail == "" {
		return plain(p.Title)
	}
	return plain(p.Title + ": " + p.Detail)
}

// gone reports whether there is no such job any more.
func gone(err error) bool {
	p, ok := errors.AsType[*problem](err)
	return ok && (p.Status == http.StatusNotFound || p.Status == http.StatusGone)
}

// do sends a request below the landing page and returns its reply, whose body the
// caller closes, or the *problem that it is.
func (c *client) do(ctx context.Context, method, path string, query url.Values, accept string) (*http.Response, error) {
	address := c.base + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", accept)
	res, err := c.http.Do(req)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err // the rest is in the message
		}
		return nil, fmt.Errorf("no answer from %s: %w", c.base, err)
	}
	if res.StatusCode/100 == 2 {
		return res, nil
	}
	defer res.Body.Close()
	return nil, readProblem(res)
}

func readProblem(res *http.Response) error {
	var fields map[string]any
	_ = json.NewDecoder(io.LimitReader(res.Body, maxProblem)).Decode(&fields) // or it is none
	p := &problem{Status: res.StatusCode}
	p.Title, _ = fields["title"].(string)
	p.Detail, _ = fields["detail"].(string)
	if p.Title == "" {
		p.Title = "the server answered " + res.Status
	}
	return p
}

// document sends a request and decodes the JSON document that answers it.
func (c *client) document(ctx context.Context, method, path string, query url.Values, v any) error {
	res, err := c.do(ctx, method, path, query, "application/json")
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); media != "application/json" {
		return fmt.Errorf("%s answers %s, not JSON: is it a Geomill?", c.base, plain(media))
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxReply)).Decode(v); err != nil {
		return fmt.Errorf("read the answer of %s: %w", c.base, err)
	}
	return nil
}

func jobPath(id string) string { return "/jobs/" + url.PathEscape(id) }
