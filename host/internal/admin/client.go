package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"syscall"
)

// Backup writes a backup of the server that runs on a data directory. It fails
// with ErrNotRunning when there is none. The caller verifies what was written.
func Backup(ctx context.Context, dir string, w io.Writer) error {
	return NewClient(dir).stream(ctx, backupPath, mediaBackup, func(body io.Reader) error {
		_, err := io.Copy(w, body)
		if err != nil {
			err = fmt.Errorf("receive backup: %w", err)
		}
		return err
	})
}

// Client sends an operator's commands to the server that runs on a data directory.
// Its methods fail with ErrNotRunning when there is none.
type Client struct {
	dir  string
	http *http.Client
}

// NewClient returns a client for the server on dir. It holds no connection
// between calls.
func NewClient(dir string) *Client {
	return &Client{dir: dir, http: &http.Client{Transport: &http.Transport{
		DisableCompression: true, DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, dir) },
	}}}
}

// send sends a request and returns its answer, of a media type, whose body the
// caller closes, or the fault that it is.
func (c *Client) send(ctx context.Context, method, path, media string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+socketName+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err // the rest is of no interest to people
		}
		switch {
		case errors.Is(err, ErrNotRunning):
			return nil, fmt.Errorf("%w: %s", ErrNotRunning, c.dir)
		case errors.Is(err, errNotYours):
			return nil, err
		}
		return nil, fmt.Errorf("ask the server: %w", err)
	}
	if res.StatusCode == http.StatusOK && res.Header.Get("Content-Type") == media {
		return res, nil
	}
	defer res.Body.Close()
	var fault Fault
	if json.NewDecoder(io.LimitReader(res.Body, maxDocument)).Decode(&fault) == nil && fault.Detail != "" {
		return nil, errors.New(fault.Detail)
	}
	return nil, fmt.Errorf("the server answered %s: is it another version?", res.Status)
}

// stream reads an answer of any length, and fails when the server cut it off.
func (c *Client) stream(ctx context.Context, path, media string, read func(io.Reader) error) error {
	res, err := c.send(ctx, http.MethodGet, path, media, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if err := read(res.Body); err != nil {
		return err
	}
	if fault := res.Trailer.Get(faultTrailer); fault != "" {
		return errors.New(fault)
	}
	return nil
}

func dial(ctx context.Context, dir string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialDeadline)
	defer cancel()
	var conn net.Conn
	err := at(dir, socketName, func(short string) (err error) {
		var d net.Dialer
		conn, err = d.DialContext(ctx, "unix", short)
		return err
	})
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, ErrNotRunning
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("%w: you are user %d", errNotYours, os.Geteuid())
	}
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(dir)
	if err == nil {
		owner := int(info.Sys().(*syscall.Stat_t).Uid)
		_, err = checkPeer(conn.(*net.UnixConn), os.Geteuid(), owner)
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}
