package sdk

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"

	"geomill/sdk/wire"
)

// attachVariable names the environment variable that makes a plugin which was
// started by hand, such as under a debugger, wait for hosts to attach to it.
const attachVariable = "GEOMILL_ATTACH"

// serveAttached prints how to attach, and serves each host that does, until ctx
// ends.
func serveAttached(ctx context.Context, h *Handler, out io.Writer) error {
	dir, err := os.MkdirTemp("", "geomill-attach-") // for its owner only
	if err != nil {
		return fmt.Errorf("wait for a host: %w", err)
	}
	defer os.RemoveAll(dir)
	l, err := net.Listen("unix", filepath.Join(dir, "plugin"))
	if err != nil {
		return fmt.Errorf("wait for a host: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	fmt.Fprintf(out, "geomill run --attach %s PROCESS --input ID=VALUE\n", l.Addr())
	var hosts sync.WaitGroup
	defer hosts.Wait()
	for {
		conn, err := l.Accept()
		if err != nil {
			return nil // closed
		}
		hosts.Go(func() { serveConn(ctx, h, conn) })
	}
}

// serveConn serves a host until it closes its connection. What it tells the plugin
// to do, such as to take no more jobs, is for this connection only.
func serveConn(ctx context.Context, h *Handler, conn net.Conn) {
	server := wire.NewGRPCServer(wire.NewServer(h))
	stop := context.AfterFunc(ctx, server.Stop)
	defer stop()
	_ = server.Serve(newOneConn(conn)) // ends with the connection
	server.Stop()
}

// oneConn is a listener with one connection, which is closed with that.
type oneConn struct {
	net.Conn
	ready  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newOneConn(conn net.Conn) *oneConn {
	c := &oneConn{Conn: conn, ready: make(chan net.Conn, 1), closed: make(chan struct{})}
	c.ready <- c
	return c
}

// Accept implements net.Listener.
func (c *oneConn) Accept() (net.Conn, error) {
	select {
	case conn := <-c.ready:
		return conn, nil
	case <-c.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener and net.Conn.
func (c *oneConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// Addr implements net.Listener.
func (c *oneConn) Addr() net.Addr { return c.LocalAddr() }
