package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
)

const maxDocument = 64 << 20 // bytes of a JSON answer

var errNoName = errors.New("the name of a plugin is empty: geomill plugin list names those there are")

// Plugins returns what the server knows at a glance of its plugins, sorted by file.
func (c *Client) Plugins(ctx context.Context) ([]Plugin, error) {
	var list []Plugin
	err := c.document(ctx, http.MethodGet, pluginsPath, nil, &list)
	return list, err
}

// Plugin returns all that the server knows of the plugin in a file.
func (c *Client) Plugin(ctx context.Context, file string) (Plugin, error) {
	var p Plugin
	if file == "" {
		return p, errNoName
	}
	err := c.document(ctx, http.MethodGet, pluginPath(file), nil, &p)
	return p, err
}

// Verify has the server read the file of a plugin anew, or with no file those of
// all.
func (c *Client) Verify(ctx context.Context, file string) ([]Check, error) {
	ctx, cancel := context.WithTimeout(ctx, CommandDeadline+headerDeadline)
	defer cancel()
	var list []Check
	err := c.document(ctx, http.MethodGet, checksPath+"?"+url.Values{"file": {file}}.Encode(), nil, &list)
	return list, err
}

// Do has the server carry out a command.
func (c *Client) Do(ctx context.Context, command Command) (Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, CommandDeadline+headerDeadline)
	defer cancel()
	body, err := json.Marshal(command)
	if err != nil {
		return Outcome{}, err
	}
	var done Outcome
	err = c.document(ctx, http.MethodPost, commandsPath, body, &done)
	return done, err
}

// Logs hands the last lines of a plugin's log to take, at most MostLines, and with
// follow those that come until ctx ends.
func (c *Client) Logs(ctx context.Context, file string, last int, follow bool, take func(LogLine) error) error {
	if file == "" {
		return errNoName
	}
	query := url.Values{"last": {strconv.Itoa(last)}, "follow": {strconv.FormatBool(follow)}}
	return c.stream(ctx, pluginPath(file)+"/logs?"+query.Encode(), mediaLines, func(body io.Reader) error {
		for d := json.NewDecoder(body); ; {
			var l LogLine
			err := d.Decode(&l)
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("receive log: %w", err)
			}
			if err := take(l); err != nil {
				return err
			}
		}
	})
}

// document sends a request and decodes the document that answers it.
func (c *Client) document(ctx context.Context, method, path string, body []byte, v any) error {
	res, err := c.send(ctx, method, path, mediaJSON, body)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if err := json.NewDecoder(io.LimitReader(res.Body, maxDocument)).Decode(v); err != nil {
		return fmt.Errorf("read the answer of the server: %w", err)
	}
	return nil
}

func pluginPath(file string) string { return pluginsPath + "/" + url.PathEscape(file) }
