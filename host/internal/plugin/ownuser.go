package plugin

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"geomill/host/internal/job"
	"geomill/host/internal/plugin/sandbox"
	"geomill/host/internal/plugin/users"
)

const (
	// passable is the mode of a directory that others may go through to what they
	// know in it, but not list.
	passable fs.FileMode = 0o711
	// executableByAll are the rights that a plugin's own user needs to its file.
	executableByAll fs.FileMode = 0o005
	readableByAll   fs.FileMode = 0o004
	// runnableByAll are those that it needs to the program that serves manifests.
	runnableByAll fs.FileMode = 0o001
)

// openUsers makes sure that plugins can have users of their own, if they are to.
func (c *Config) openUsers() (*users.Book, error) {
	if !c.Users.Zero() {
		if err := sandbox.ProbeUsers(c.Users.First, c.Users.Last); err != nil {
			return nil, fmt.Errorf("plugins cannot have users of their own (plugin-uids %s): %w", c.Users, err)
		}
	}
	return users.Open(c.UsersFile, c.Users)
}

// letUsersPass opens the host's directories, so far as plugins with users of
// their own have to go through them, and reports those above them that are
// closed.
func (c *Config) letUsersPass(runDir string) error {
	if c.Users.Zero() {
		return nil
	}
	own := append([]string{c.RunDir, runDir}, c.Private...)
	if c.WorkDir != "" {
		if err := os.MkdirAll(c.WorkDir, 0o700); err != nil {
			return fmt.Errorf("make directory of instances: %w", err)
		}
		own = append(own, c.WorkDir)
	}
	for _, dir := range own {
		if err := makePassable(dir); err != nil {
			return fmt.Errorf("let plugins pass: %w", err)
		}
	}
	for _, dir := range own {
		if closed, err := closedAbove(dir); err != nil || closed != "" {
			return errors.Join(err, fmt.Errorf("plugins with users of their own cannot pass through %s to %s: chmod o+x it, or use another place", closed, dir))
		}
	}
	return nil
}

func makePassable(dir string) error {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&passable != passable {
		return os.Chmod(dir, mode|passable)
	}
	return nil
}

// closedAbove returns the first directory above one that others cannot pass, or
// nothing.
func closedAbove(dir string) (string, error) {
	real, err := filepath.EvalSymlinks(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	for at := filepath.Dir(real); ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err != nil {
			return "", err
		}
		if info.Mode().Perm()&0o001 == 0 {
			return at, nil
		}
		if at == "/" {
			return "", nil
		}
	}
}

// userOf returns the user that a plugin is to run as, 0 being that of the host.
func (l *launcher) userOf(exe *executable) (int, error) {
	uid, err := l.users.Of(exe.name)
	if uid == 0 || err != nil {
		return 0, err
	}
	if exe.bundle == nil {
		return uid, exe.usableBy(uid, executableByAll, "read and execute it: chmod o+rx")
	}
	if err := exe.usableBy(uid, readableByAll, "read it: chmod o+r"); err != nil {
		return 0, err
	}
	if l.program != nil {
		if err := l.program.usableBy(uid, runnableByAll, "execute the program that serves manifests: chmod o+x"); err != nil {
			return 0, err
		}
	}
	for _, t := range exe.bundle.tools {
		if err := t.usableBy(uid, executableByAll, "read and execute its tool: chmod o+rx"); err != nil {
			return 0, err
		}
	}
	return uid, nil
}

// usableBy fails unless others have the rights to a file.
func (e *executable) usableBy(uid int, rights fs.FileMode, what string) error {
	mode, err := e.mode()
	if err == nil && mode&rights != rights {
		err = fmt.Errorf("its own user %d may not %s %s", uid, what, e.path)
	}
	return err
}

// mode returns the rights to the file.
func (e *executable) mode() (fs.FileMode, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.file == nil {
		return 0, os.ErrClosed
	}
	info, err := e.file.Stat()
	if err != nil {
		return 0, fmt.Errorf("check plugin: %w", err)
	}
	return info.Mode().Perm(), nil
}

// give gives directories to the user of a plugin, unless it has none of its own.
func give(uid int, paths ...string) error {
	if uid == 0 {
		return nil
	}
	for _, path := range paths {
		if err := os.Lchown(path, uid, uid); err != nil {
			return fmt.Errorf("give directory to the user of a plugin: %w", err)
		}
	}
	return nil
}

// giveStreams gives the standard streams of a child to its user, for who opens
// /dev/stderr.
func (c *child) giveStreams(streams ...*os.File) error {
	if c.spec.UID == 0 {
		return nil
	}
	for _, f := range streams {
		if err := f.Chown(c.spec.UID, c.spec.UID); err != nil {
			return fmt.Errorf("give standard streams to the user of a plugin: %w", err)
		}
	}
	return nil
}

// placeIn is job.Attempt.PlaceIn for the directory of an instance, whose user gets
// what is moved there.
func (w *workDir) placeIn(a job.Attempt) (job.Attempt, error) {
	if w.uid != 0 && w.path != "" {
		if err := giveAll(w.uid, a.JobDir); err != nil {
			return a, fmt.Errorf("give files of job to the user of a plugin: %w", err)
		}
	}
	return a.PlaceIn(w.path)
}

// giveAll gives what there is of a job's directory to a user. What has a second
// name may be somebody else's, and stays his.
func giveAll(uid int, dir string) error {
	root, err := os.OpenRoot(dir)
	if dir == "" || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() && !d.Type().IsRegular() {
			return err
		}
		info, err := root.Lstat(path)
		if err != nil {
			return err
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok || int(st.Uid) == uid || !info.IsDir() && st.Nlink != 1 {
			return nil
		}
		return root.Lchown(path, uid, uid)
	})
}
