package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"geomill/sdk/wire"
)

// attachScript is a plugin that stands for one which somebody else has started and
// that listens on a socket. The host starts it like any other.
func attachScript(program, socket string) []byte {
	return fmt.Appendf(nil, "#!%s attached\n%s\n", program, socket)
}

// listens returns an error, with what to do, unless somebody listens on the socket
// of a plugin.
func listens(ctx context.Context, socket string) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return fmt.Errorf("nothing listens there: %w; start the plugin with GEOMILL_ATTACH=1 and take the socket that it prints", err)
	}
	return conn.Close()
}

// Attached is what that plugin does: it passes the connection of its host on to the
// socket that the second line of its file names, until the host is gone.
func Attached(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	_, socket, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	if !wire.Started() || socket == "" {
		return errors.New("this is for geomill run --attach, which starts it itself")
	}
	lifeline, err := strconv.Atoi(os.Getenv(wire.LifelineFD))
	if err != nil {
		return fmt.Errorf("%s: %w", wire.LifelineFD, err)
	}
	own := filepath.Join(os.Getenv("PLUGIN_UNIX_SOCKET_DIR"), "attached")
	l, err := net.Listen("unix", own)
	if err != nil {
		return err
	}
	defer l.Close()
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return fmt.Errorf("nothing listens there: %w", err)
	}
	fmt.Printf("1|%d|unix|%s|grpc|\n", wire.ProtocolVersion, own)
	go pass(l, conn) // until the program ends
	_, err = io.Copy(io.Discard, os.NewFile(uintptr(lifeline), "lifeline"))
	return err
}

// pass copies between the first connection that l takes and another, and ends the
// program with them.
func pass(l net.Listener, to net.Conn) {
	from, err := l.Accept()
	if err != nil {
		return
	}
	go func() {
		_, _ = io.Copy(to, from) // either end may go
		to.Close()
	}()
	_, _ = io.Copy(from, to)
	os.Exit(0) // whoever was attached to has ended
}
