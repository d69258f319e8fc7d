package plugin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

// PluginToHost takes the address that the plugin serves on.
func (c *child) PluginToHost(network, address string) (string, string, error) {
	if network != "unix" {
		return "", "", fmt.Errorf("serves on %s %s: only a Unix socket in PLUGIN_UNIX_SOCKET_DIR is accepted, as the SDKs make it", network, address)
	}
	c.address.Store(&address)
	return network, address, nil
}

// dial connects to the plugin's socket and makes sure that the process that
// was started, and none other, listens there.
func (c *child) dial(ctx context.Context, _ string) (net.Conn, error) {
	conn, err := c.dialChecked(ctx)
	if err != nil {
		c.dialError.Store(&err)
	}
	return conn, err
}

func (c *child) dialChecked(ctx context.Context) (net.Conn, error) {
	address := c.address.Load()
	if address == nil {
		return nil, errors.New("plugin has no address yet")
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", *address)
	if err != nil {
		return nil, err
	}
	if err := checkPeer(conn.(*net.UnixConn), c.pid(), c.spec.UID); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// checkPeer fails unless the process that listens at the other end has this
// number and belongs to a user; 0 is that of the host.
func checkPeer(conn *net.UnixConn, pid, uid int) error {
	if uid == 0 {
		uid = os.Geteuid()
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return fmt.Errorf("check peer: %w", err)
	}
	var peer *syscall.Ucred
	var peerErr error
	err = raw.Control(func(fd uintptr) {
		peer, peerErr = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err = errors.Join(err, peerErr); err != nil {
		return fmt.Errorf("check peer: %w", err)
	}
	if int(peer.Pid) != pid || int(peer.Uid) != uid {
		return fmt.Errorf("its socket is served by process %d of user %d, not by process %d that was started (a wrapper script must end in exec)",
			peer.Pid, peer.Uid, pid)
	}
	return nil
}
