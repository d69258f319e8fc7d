// Package removal removes what programs that nobody trusts have written,
// whatever they did to it. It imports nothing of Geomill; its central function is
// Tree.
package removal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// deepest is how many directories are open at a time. What is deeper is moved up.
const deepest = 32

// Tree removes a file, or a directory with all that is in it, whatever the depth
// of it and the modes of its directories: those that their owner may not change
// or read are opened to it. Links are not followed. What is not there is no error.
func Tree(path string) error {
	err := os.Remove(path)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if info, e := os.Lstat(path); e != nil || !info.IsDir() {
		return err
	}
	top, err := openDir(unix.AT_FDCWD, path)
	if err != nil {
		return fmt.Errorf("open %s to remove it: %w", path, err)
	}
	t := tree{top: top}
	for before := -1; before != t.moved && err == nil; {
		before = t.moved
		err = t.empty(top, 1)
	}
	if err = errors.Join(err, top.Close()); err == nil {
		err = os.Remove(path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// tree is a directory that is removed.
type tree struct {
	top   *os.File
	moved int // directories that were moved up into it
}

// empty removes what is in a directory, but for what is moved up from below it.
func (t *tree) empty(dir *os.File, depth int) error {
	for {
		removed := 0
		if _, err := dir.Seek(0, io.SeekStart); err != nil {
			return err
		}
		var faults error
		for {
			names, err := dir.Readdirnames(512)
			for _, name := range names {
				if err := t.remove(dir, name, depth); err == nil {
					removed++
				} else if faults == nil {
					faults = err
				}
			}
			if err == io.EOF {
				break
			}
			if err != nil {
				return err
			}
		}
		if faults != nil || removed == 0 {
			return faults
		}
	}
}

// remove removes what has a name in a directory.
func (t *tree) remove(dir *os.File, name string, depth int) error {
	at := int(dir.Fd())
	err := unix.Unlinkat(at, name, 0)
	if err == unix.EISDIR || err == unix.EPERM {
		err = unix.Unlinkat(at, name, unix.AT_REMOVEDIR)
	}
	switch err {
	case nil, unix.ENOENT:
		return nil
	case unix.ENOTEMPTY, unix.EEXIST:
	default:
		return &fs.PathError{Op: "remove", Path: filepath.Join(dir.Name(), name), Err: err}
	}
	sub, err := openDir(at, name)
	if err != nil {
		return &fs.PathError{Op: "open", Path: filepath.Join(dir.Name(), name), Err: err}
	}
	defer sub.Close()
	if depth == deepest {
		return t.moveUp(at, name)
	}
	if err := t.empty(sub, depth+1); err != nil {
		return err
	}
	if err := unix.Unlinkat(at, name, unix.AT_REMOVEDIR); err != nil && err != unix.ENOENT {
		return &fs.PathError{Op: "remove", Path: filepath.Join(dir.Name(), name), Err: err}
	}
	return nil
}

// moveUp moves a directory to the top under a name that nothing has there.
func (t *tree) moveUp(at int, name string) error {
	for {
		t.moved++
		err := unix.Renameat2(at, name, int(t.top.Fd()), "moved"+strconv.Itoa(t.moved), unix.RENAME_NOREPLACE)
		if err != unix.EEXIST {
			return err
		}
	}
}

// openDir opens a directory, and has its owner read and change it.
func openDir(at int, name string) (*os.File, error) {
	const flags = unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	path, err := unix.Openat(at, name, flags|unix.O_PATH, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(path)
	var st unix.Stat_t
	if err := unix.Fstat(path, &st); err != nil {
		return nil, err
	}
	self := "/proc/self/fd/" + strconv.Itoa(path)
	if st.Mode&0o700 != 0o700 {
		if err := unix.Chmod(self, 0o700); err != nil {
			return nil, err
		}
	}
	fd, err := unix.Open(self, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}
