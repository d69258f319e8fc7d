// Package admin is how the operator's own commands talk to a running server: HTTP
// over a Unix socket in the data directory, for its owner only. Both ends are
// here. The package imports nothing of the host: what the server can do for
// an operator is handed to it as functions. Its central type is Server.
//
//	GET  /backup               a backup, as package archive has it
//	GET  /plugins              a JSON array of Plugin
//	GET  /plugins/{file}       one, with all that is known of it
//	GET  /plugins/{file}/logs  a LogLine a line; last=N, follow=true
//	GET  /plugin-checks        a JSON array of Check; file=FILE for one
//	POST /plugin-commands      a Command; the answer is an Outcome
//
// What goes wrong before an answer begins is told in a Fault with a status above
// 399; the trailer Geomill-Fault says why a backup or a log is cut off. Every
// Command is logged with the user and the process that sent it.
package admin

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

const (
	socketName   = "admin.sock"
	backupPath   = "/backup"
	pluginsPath  = "/plugins"
	checksPath   = "/plugin-checks"
	commandsPath = "/plugin-commands"

	faultTrailer = "Geomill-Fault"
	mediaBackup  = "application/zstd"
	mediaJSON    = "application/json"
	mediaLines   = "application/jsonl"

	headerDeadline = 10 * time.Second
	stallDeadline  = time.Minute // for a client that takes in nothing
	dialDeadline   = 5 * time.Second

	// CommandDeadline bounds the work for one Command.
	CommandDeadline = 5 * time.Minute
	// MostLines is how many lines of a log can be asked for.
	MostLines = 1000
)

// ErrNotRunning is the error of a client when no server listens.
var ErrNotRunning = errors.New("no server runs on this data directory")

// errNotYours is the error of a client that may not talk to the server.
var errNotYours = errors.New("only root and the user that owns the data directory may command the server")

// at calls use with a path of the directory's file that is short enough for a
// Unix socket, however long that of the directory is. The path is good during the
// call.
func at(dir, name string, use func(path string) error) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return use(fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), name))
}

// checkPeer fails unless the other end of the connection belongs to one of the
// users.
func checkPeer(conn *net.UnixConn, users ...int) (pid int, err error) {
	peer, err := peerOf(conn)
	if err != nil {
		return 0, fmt.Errorf("check peer: %w", err)
	}
	if !slices.Contains(users, int(peer.Uid)) {
		return 0, fmt.Errorf("process %d of user %d is at the other end of %s", peer.Pid, peer.Uid, socketName)
	}
	return int(peer.Pid), nil
}

// peerOf returns who is at the other end of a connection.
func peerOf(conn *net.UnixConn) (*syscall.Ucred, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	var peer *syscall.Ucred
	var peerErr error
	err = raw.Control(func(fd uintptr) {
		peer, peerErr = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	return peer, errors.Join(err, peerErr)
}

func socketPath(dir string) string { return filepath.Join(dir, socketName) }
