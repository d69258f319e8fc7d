package plugin

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// identity tells one content of a file from another without reading it.
// The change time cannot be set back by whoever writes to the file.
type identity struct {
	Dev   uint64 `json:"dev"`
	Inode uint64 `json:"inode"`
	Size  int64  `json:"size"`  // bytes
	Mtime int64  `json:"mtime"` // nanoseconds since 1970
	Ctime int64  `json:"ctime"` // nanoseconds since 1970
}

func identify(fi fs.FileInfo) identity {
	id := identity{Size: fi.Size(), Mtime: fi.ModTime().UnixNano()}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		id.Dev, id.Inode = uint64(st.Dev), st.Ino
		id.Ctime = st.Ctim.Nano()
	}
	return id
}

// candidate is a file in the plugins directory that may be a plugin.
type candidate struct {
	file   string // name in the directory
	path   string // of that name, absolute
	target string // what a symbolic link leads to, else empty
	id     identity
}

// opens returns the path of the regular file behind the candidate.
func (c candidate) opens() string {
	if c.target != "" {
		return c.target
	}
	return c.path
}

// skip is a file in the plugins directory that is not started, and why.
type skip struct {
	candidate
	reason string
}

// discover lists a plugins directory, sorted by file name. Files that nobody
// can have meant as a plugin (directories, names that begin with a dot or end
// in .tmp) are left out without a word; other refusals are listed. The service
// user is uid. It fails when the directory cannot be read or is open to
// writers who are not to be trusted.
func discover(dir string, uid int) ([]candidate, []skip, error) {
	fi, err := os.Stat(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("read plugins directory: %w", err)
	}
	if fi.Mode().Perm()&0o002 != 0 {
		return nil, nil, fmt.Errorf("plugins directory %s is writable by everyone: chmod o-w %s", dir, dir)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("read plugins directory: %w", err)
	}
	var found []candidate
	var skips []skip
	for _, e := range entries {
		if ignored(e.Name()) {
			continue
		}
		c, reason := examine(dir, e, uid)
		switch {
		case reason != "":
			skips = append(skips, skip{c, reason})
		case c.file != "":
			found = append(found, c)
		}
	}
	return found, skips, nil
}

// ignored reports whether a name in the plugins directory is never a plugin.
func ignored(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".tmp")
}

// examine looks at one directory entry. A candidate without a file name is to
// be passed over in silence.
func examine(dir string, e fs.DirEntry, uid int) (candidate, string) {
	c := candidate{file: e.Name(), path: filepath.Join(dir, e.Name())}
	if e.Type()&fs.ModeSymlink != 0 {
		target, err := filepath.EvalSymlinks(c.path)
		if err != nil {
			return c, "symbolic link leads nowhere: " + reasonOf(err)
		}
		c.target = target
	}
	fi, err := os.Stat(c.opens())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return candidate{}, "" // removed since the directory was read
	case err != nil:
		return c, "cannot be read: " + reasonOf(err)
	case fi.IsDir():
		return candidate{}, ""
	}
	c.id = identify(fi)
	if c.target != "" {
		if parent, err := os.Stat(filepath.Dir(c.target)); err == nil && parent.Mode().Perm()&0o002 != 0 {
			return c, fmt.Sprintf("%s is writable by everyone: chmod o-w %s", filepath.Dir(c.target), filepath.Dir(c.target))
		}
	}
	return c, refusal(c.opens(), fi, uid)
}

// refusal says why a file must not be started as a plugin by the service user
// uid, in words that tell a person what to do. Empty means it may.
func refusal(path string, fi fs.FileInfo, uid int) string {
	mode := fi.Mode()
	owner := ownerOf(fi)
	switch {
	case !mode.IsRegular():
		return "not a regular file"
	case mode.Perm()&0o111 == 0:
		return "not executable: chmod +x " + path
	case mode.Perm()&0o022 != 0:
		return "writable by group or others: chmod go-w " + path
	case owner != 0 && owner != uid:
		return fmt.Sprintf("owned by user %d, not by root or the user of the service (%d): chown %d %s", owner, uid, uid, path)
	case fi.Size() == 0:
		return "empty file"
	}
	return ""
}

func ownerOf(fi fs.FileInfo) int {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid)
	}
	return -1
}

// reasonOf strips the operation and path from a file system error.
func reasonOf(err error) string {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err.Error()
	}
	return err.Error()
}
