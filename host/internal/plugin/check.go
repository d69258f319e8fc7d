package plugin

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// CheckDir looks at a plugins directory without starting anything. It returns
// how many files in it may be plugins, and why the others are refused.
func CheckDir(dir string) (plugins int, refused []string, err error) {
	found, skips, err := discover(dir, os.Geteuid())
	for _, s := range skips {
		refused = append(refused, s.file+": "+s.unfit.Error())
	}
	return len(found), refused, err
}

// CheckRunDir looks whether the hosts of this user can have their sockets where
// they do by default, and returns where that is.
func CheckRunDir() (string, error) {
	dir := defaultRunDir()
	if len(dir) > maxRunDir {
		return dir, fmt.Errorf("it is %d bytes long, and Unix sockets leave %d", len(dir), maxRunDir)
	}
	if err := checkPrivate(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return dir, err
	}
	return dir, nil
}
