package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
)

const maxDocument = 64 << 20 // bytes of a JSON answer

// Plugins returns what the server knows at a glance of its plugins, sorted by file.
func (c *Client) Plugins(ctx context.Context) ([]Plugin, error) {
	var list []Plugin
	err := c.document(ctx, pluginsPath, &list)
	return list, err
}

// Plugin returns all that the server knows of the plugin in a file.
func (c *Client) Plugin(ctx context.Context, file string) (Plugin, error) {
	var p Plugin
	err := c.document(ctx, pluginPath(file), &p)
	return p, err
}

// Logs hands the last lines of a plugin's log to take, at most MostLines, and with
// follow those that come until ctx ends.
func (c *Client) Logs(ctx context.Context, file string, last int, follow bool, take func(LogLine) error) error {
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

// document decodes the document that answers a request.
func (c *Client) document(ctx context.Context, path string, v any) error {
	res, err := c.send(ctx, path, mediaJSON)
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
