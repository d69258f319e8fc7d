package plugin

import (
	"errors"
	"os"

	"geomill/host/internal/removal"
)

// setAside renames the directory of a process that has ended. go-plugin would
// remove it with as many open files as it is deep, which is up to the plugin.
func (c *child) setAside() {
	_ = os.Rename(c.dir, c.aside()) // or the plugin has removed it
}

// aside is where the directory is once the process has ended. Nothing listens on
// a socket there, so that the path may be longer.
func (c *child) aside() string { return c.dir + ".over" }

// removeDir removes the directory, wherever it is.
func (c *child) removeDir() error {
	if c.dir == "" {
		return nil
	}
	return errors.Join(removal.Tree(c.dir), removal.Tree(c.aside()))
}
