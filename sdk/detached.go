package sdk

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"geomill/sdk/wire"
)

const (
	// forsakenEvery is how often an instance that outlives its host looks whether
	// there is anything left for it; it ends when there is not twice in a row.
	forsakenEvery = 10 * time.Second
	// outputEvery is how often its standard streams, which are files, are looked
	// at: beyond outputBytes they begin anew.
	outputEvery = time.Second
	outputBytes = 1 << 20
)

// detach prepares an instance that goes on when its host is gone, if this is one.
func detach(server *wire.Server) error {
	dir := os.Getenv(wire.DetachedDir)
	if dir == "" {
		return nil
	}
	if err := server.Detach(dir); err != nil {
		return fmt.Errorf("%s=%s: %w", wire.DetachedDir, dir, err)
	}
	go func() {
		for range time.Tick(outputEvery) {
			boundOutput(syscall.Stdout)
			boundOutput(syscall.Stderr)
		}
	}()
	go func() {
		for idle := 0; idle < 2; {
			time.Sleep(forsakenEvery)
			if idle++; !server.Forsaken() {
				idle = 0
			}
		}
		endFamily()
	}()
	return nil
}

// boundOutput empties the file of a standard stream that has grown too large.
// Writes append to it, so that it has no hole then.
func boundOutput(fd int) {
	var st syscall.Stat_t
	if syscall.Fstat(fd, &st) == nil && st.Mode&syscall.S_IFMT == syscall.S_IFREG && st.Size > outputBytes {
		_ = syscall.Ftruncate(fd, 0) // else it is tried again
	}
}
