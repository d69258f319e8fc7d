//go:build !linux

package check

import "net"

// checkPeer does not know the other end on this system.
func checkPeer(*net.UnixConn, int) error { return nil }
