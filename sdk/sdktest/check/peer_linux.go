package check

import (
	"errors"
	"fmt"
	"net"
	"syscall"
)

// checkPeer fails unless the process that listens at the other end has this
// number.
func checkPeer(conn *net.UnixConn, pid int) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var peer *syscall.Ucred
	var peerErr error
	err = raw.Control(func(fd uintptr) {
		peer, peerErr = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err = errors.Join(err, peerErr); err != nil {
		return err
	}
	if int(peer.Pid) != pid {
		return fmt.Errorf("process %d serves the socket, not process %d that was started", peer.Pid, pid)
	}
	return nil
}
