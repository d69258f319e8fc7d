package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"syscall"
)

// Backup writes a backup of the server that runs on a data directory. It fails
// with ErrNotRunning when there is none. The caller verifies what was written.
func Backup(ctx context.Context, dir string, w io.Writer) error {
	transport := &http.Transport{DisableCompression: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dial(ctx, dir)
	}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+socketName+backupPath, nil)
	if err != nil {
		return err
	}
	res, err := transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("ask the server: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != mediaBackup {
		return fmt.Errorf("the server answered %s: is it another version?", res.Status)
	}
	if _, err := io.Copy(w, res.Body); err != nil {
		return fmt.Errorf("receive backup: %w", err)
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
