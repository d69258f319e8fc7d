package plugin

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"

	"geomill/host/internal/removal"
)

const (
	// maxRunDir keeps socket paths within the 108 bytes of sun_path: the
	// directory of this host, one per instance and the socket follow.
	maxRunDir = 107 - len("/h0123456789/plugin-dir0123456789/plugin0123456789")
	lockFile  = "lock"
)

// runDir is the private directory that holds the sockets and temporary files
// of this host's instances. A host that was killed leaves its own behind; the
// next one sweeps it.
type runDir struct {
	path string
	lock *os.File // locked while the host lives
}

// openRunDir makes a directory for this host below base, after sweeping those
// of hosts that are gone.
func openRunDir(base string, log *slog.Logger) (*runDir, error) {
	if len(base) > maxRunDir {
		return nil, fmt.Errorf("open run directory: %s is %d bytes long, too long for Unix sockets: choose one of at most %d bytes",
			base, len(base), maxRunDir)
	}
	if err := makePrivate(base); err != nil {
		return nil, fmt.Errorf("open run directory: %w", err)
	}
	sweep(base, log)
	path, err := os.MkdirTemp(base, "h")
	if err != nil {
		return nil, fmt.Errorf("open run directory: %w", err)
	}
	lock, err := lockRunDir(path)
	if err != nil {
		os.RemoveAll(path)
		return nil, fmt.Errorf("lock run directory: %w", err)
	}
	return &runDir{path: path, lock: lock}, nil
}

// lockRunDir makes the locked file that keeps sweepers away. It gets its name
// only once it is locked, so that none sees it before.
func lockRunDir(path string) (*os.File, error) {
	f, err := os.CreateTemp(path, "new")
	if err != nil {
		return nil, err
	}
	err = flock(f)
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(path, lockFile))
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func flock(f *os.File) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var lockErr error
	err = conn.Control(func(fd uintptr) { lockErr = syscall.Flock(int(fd), syscall.LOCK_EX|syscall.LOCK_NB) })
	return errors.Join(err, lockErr)
}

// makePrivate creates base if need be and refuses one that others can enter.
func makePrivate(base string) error {
	if err := os.Mkdir(base, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return checkPrivate(base)
}

func checkPrivate(base string) error {
	fi, err := os.Lstat(base)
	switch {
	case err != nil:
		return err
	case !fi.IsDir():
		return fmt.Errorf("%s is not a directory", base)
	case ownerOf(fi) != os.Geteuid():
		return fmt.Errorf("%s belongs to user %d", base, ownerOf(fi))
	case fi.Mode().Perm()&^passable != 0:
		return fmt.Errorf("%s is open to others: chmod 700 %s", base, base)
	}
	return nil
}

// sweep removes the directories of hosts that no longer hold their lock, and
// ends the processes of their plugins that outlived them.
func sweep(base string, log *slog.Logger) {
	left, err := filepath.Glob(filepath.Join(base, "h*", lockFile))
	if err != nil {
		return
	}
	var dead []string
	for _, path := range left {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			continue
		}
		defer f.Close()
		if flock(f) == nil {
			dead = append(dead, filepath.Dir(path))
		}
	}
	huntHosts(log, dead)
	for _, dir := range dead {
		if err := removeHost(dir); err != nil {
			log.Warn("files of an earlier host stay behind", "error", err)
		}
	}
}

// removeHost removes the directory of a host, its lock last: what is left of one
// without is never swept.
func removeHost(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if e.Name() != lockFile {
			err = errors.Join(err, removal.Tree(filepath.Join(dir, e.Name())))
		}
	}
	if err != nil {
		return err
	}
	return removal.Tree(dir)
}

// close removes the directory, or leaves to a later host what cannot be removed.
func (d *runDir) close() {
	_ = removeHost(d.path)
	d.lock.Close()
}

// defaultRunDir is where hosts of this user keep their directories: in the
// system's directory for temporary files, or in /tmp when that is too long.
func defaultRunDir() string {
	name := fmt.Sprintf("geomill-%d", os.Geteuid())
	if dir := filepath.Join(os.TempDir(), name); len(dir) <= maxRunDir {
		return dir
	}
	return filepath.Join("/tmp", name)
}
