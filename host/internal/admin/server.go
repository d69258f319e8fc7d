package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// Config is what a Server is made of.
type Config struct {
	// Dir is the data directory, which no other server uses at the time.
	Dir string
	// Backup writes a backup. Its error is told to the client.
	Backup func(ctx context.Context, w io.Writer) error
	// Plugins is asked about plugins; nil knows of none.
	Plugins Plugins
	Logger  *slog.Logger
}

// Server serves the operator's commands.
type Server struct {
	config   Config
	listener net.Listener
	http     *http.Server
	readers  atomic.Int32 // of logs
}

// New makes the socket, in place of one that a server left which was killed.
// Clients wait until Run, which has to be called.
func New(c Config) (*Server, error) {
	l, err := listen(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", socketPath(c.Dir), err)
	}
	s := &Server{config: c, listener: ownersOnly{l, c.Logger}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+backupPath, s.backup)
	if c.Plugins != nil {
		s.handlePlugins(mux)
	}
	s.http = &http.Server{
		Handler: mux, ConnContext: withPeer, ReadHeaderTimeout: headerDeadline, IdleTimeout: headerDeadline,
		ErrorLog: slog.NewLogLogger(c.Logger.Handler(), slog.LevelDebug),
	}
	return s, nil
}

// listen gives the socket its name once nobody but its owner can connect.
func listen(dir string) (*net.UnixListener, error) {
	path := socketPath(dir)
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSocket == 0 {
		return nil, errors.New("there is a file of that name, which is no socket")
	}
	private, err := os.MkdirTemp(dir, ".admin-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(private)
	var l *net.UnixListener
	err = at(private, socketName, func(short string) error {
		if l, err = net.ListenUnix("unix", &net.UnixAddr{Name: short, Net: "unix"}); err != nil {
			return err
		}
		l.SetUnlinkOnClose(false) // it has another name by then
		return os.Chmod(short, 0o600)
	})
	if err == nil {
		err = os.Rename(socketPath(private), path)
	}
	if err != nil && l != nil {
		_ = l.Close()
	}
	return l, err
}

// ownersOnly refuses connections of plugins, and of other users, who cannot come
// here unless the mode of the socket was changed.
type ownersOnly struct {
	*net.UnixListener
	log *slog.Logger
}

func (l ownersOnly) Accept() (net.Conn, error) {
	for {
		conn, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		pid, err := checkPeer(conn, os.Geteuid(), 0)
		if err == nil {
			err = checkConfined(pid)
		}
		if err != nil {
			l.log.Warn("connection to the admin socket refused", "error", err)
			_ = conn.Close()
			continue
		}
		return conn, nil
	}
}

// Run serves until ctx ends; commands under way are then cut off, and told so.
func (s *Server) Run(ctx context.Context) error {
	s.http.BaseContext = func(net.Listener) context.Context { return ctx }
	served := make(chan error, 1)
	go func() { served <- s.http.Serve(s.listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve admin socket: %w", err)
	case <-ctx.Done():
	}
	_ = os.Remove(socketPath(s.config.Dir))
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	if s.http.Shutdown(last) != nil {
		_ = s.http.Close()
	}
	<-served
	return nil
}

// lastWords is the time that commands under way have to tell their client.
const lastWords = 2 * time.Second

func (s *Server) backup(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", mediaBackup)
	w.Header().Set("Trailer", faultTrailer)
	err := s.config.Backup(r.Context(), &patient{w, http.NewResponseController(w)})
	if err == nil {
		return
	}
	if r.Context().Err() != nil {
		err = errStopping
	}
	s.config.Logger.Warn("backup failed", "error", err)
	setFault(w, err)
}

// errStopping is why commands under way are cut off.
var errStopping = errors.New("the server is being stopped")

// setFault sets the trailer of an answer that is cut off.
func setFault(w http.ResponseWriter, err error) {
	w.Header().Set(faultTrailer, strings.ReplaceAll(err.Error(), "\n", "; "))
}

// patient gives every write a deadline of its own.
type patient struct {
	w       io.Writer
	control *http.ResponseController
}

func (p *patient) Write(b []byte) (int, error) {
	if err := p.extend(); err != nil {
		return 0, err
	}
	return p.w.Write(b)
}

func (p *patient) flush() error {
	if err := p.extend(); err != nil {
		return err
	}
	return p.control.Flush()
}

func (p *patient) extend() error { return p.control.SetWriteDeadline(time.Now().Add(stallDeadline)) }
