package host

import (
	"context"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// stallLimit is how long a client may take in nothing of a reply.
const stallLimit = time.Minute

// listen listens on a TCP address. The system breaks a connection whose client
// takes in nothing of what was written for the time of stall, whether it is gone
// or lives and does not read; the handler's next write fails. Connections inherit
// that from the listener, so that replies have no deadlines to renew.
func listen(address string, stall time.Duration) (net.Listener, error) {
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var fault error
		err := c.Control(func(fd uintptr) {
			fault = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(stall/time.Millisecond))
		})
		if err == nil {
			err = fault
		}
		return err
	}}
	config.SetMultipathTCP(false) // it does not know the option
	return config.Listen(context.Background(), "tcp", address)
}
