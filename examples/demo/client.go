package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	pollEvery = 200 * time.Millisecond
	maxAnswer = 256 << 20 // bytes
)

// client speaks OGC API - Processes.
type client struct {
	base string
	http *http.Client
}

func newClient(base string) *client {
	return &client{strings.TrimSuffix(base, "/"), &http.Client{}}
}

// status is as much of a status document as the demo shows.
type status struct {
	Status    string `json:"status"`
	Progress  int    `json:"progress"`
	Message   string `json:"message"`
	Exception *struct {
		Title  string `json:"title"`
		Detail string `json:"detail"`
	} `json:"exception"`
}

// execute runs a process while the request waits, and returns its outputs.
func (c *client) execute(ctx context.Context, process string, inputs map[string]any) (map[string]json.RawMessage, error) {
	answer, err := c.start(ctx, process, inputs, "")
	if err != nil {
		return nil, err
	}
	if answer.code != http.StatusOK {
		return nil, answer.unexpected()
	}
	return answer.outputs()
}

// executeAsync starts a job, polls its status until it is final and returns
// its outputs. The show function sees every status.
func (c *client) executeAsync(ctx context.Context, process string, inputs map[string]any, show func(status)) (map[string]json.RawMessage, error) {
	answer, err := c.start(ctx, process, inputs, "respond-async")
	if err != nil {
		return nil, err
	}
	if answer.code != http.StatusCreated || answer.location == "" {
		return nil, answer.unexpected()
	}
	job, err := c.resolve(answer.location)
	if err != nil {
		return nil, err
	}
	if err := c.wait(ctx, job, show); err != nil {
		return nil, err
	}
	results, err := c.do(ctx, http.MethodGet, job+"/results", nil, "")
	if err != nil {
		return nil, err
	}
	if results.code != http.StatusOK {
		return nil, results.unexpected()
	}
	return results.outputs()
}

func (c *client) wait(ctx context.Context, job string, show func(status)) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		answer, err := c.do(ctx, http.MethodGet, job, nil, "")
		if err != nil {
			return err
		}
		var s status
		if answer.code != http.StatusOK || json.Unmarshal(answer.body, &s) != nil {
			return answer.unexpected()
		}
		show(s)
		switch s.Status {
		case "successful":
			return nil
		case "accepted", "running":
		default:
			reason := s.Message
			if s.Exception != nil {
				reason = s.Exception.Title + ": " + s.Exception.Detail
			}
			return fmt.Errorf("the job is %s: %s", s.Status, reason)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", job, ctx.Err())
		}
	}
}

func (c *client) start(ctx context.Context, process string, inputs map[string]any, prefer string) (answer, error) {
	body, err := json.Marshal(map[string]any{"inputs": inputs, "response": "document"})
	if err != nil {
		return answer{}, fmt.Errorf("encode inputs of %s: %w", process, err)
	}
	return c.do(ctx, http.MethodPost, c.base+"/processes/"+process+"/execution", body, prefer)
}

// answer is a response that has been read.
type answer struct {
	request  string
	code     int
	location string
	body     []byte
}

func (c *client) do(ctx context.Context, method, url string, body []byte, prefer string) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Accept", "application/json")
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if prefer != "" {
		request.Header.Set("Prefer", prefer)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close() // only read
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return answer{}, fmt.Errorf("%s %s: %w", method, url, err)
	}
	return answer{method + " " + url, response.StatusCode, response.Header.Get("Location"), text}, nil
}

// resolve makes an absolute address of a Location.
func (c *client) resolve(location string) (string, error) {
	base, err := url.Parse(c.base + "/")
	if err != nil {
		return "", err
	}
	at, err := base.Parse(location)
	if err != nil {
		return "", fmt.Errorf("read the Location of the job: %w", err)
	}
	return at.String(), nil
}

func (a answer) unexpected() error {
	return fmt.Errorf("%s answered %d: %.500s", a.request, a.code, a.body)
}

// outputs reads a results document; the values of objects are wrapped in one.
func (a answer) outputs() (map[string]json.RawMessage, error) {
	var outputs map[string]json.RawMessage
	if err := json.Unmarshal(a.body, &outputs); err != nil {
		return nil, fmt.Errorf("%s did not answer with a results document: %w", a.request, err)
	}
	for id, raw := range outputs {
		var wrapped struct{ Value json.RawMessage }
		if json.Unmarshal(raw, &wrapped) == nil && wrapped.Value != nil {
			outputs[id] = wrapped.Value
		}
	}
	return outputs, nil
}
