package plugin

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"geomill/sdk/wire"
)

// errChanged says that a file is no longer the one that was hashed.
var errChanged = errors.New("the file has changed since it was admitted")

// executable is a plugin's file: opened, hashed, and executed through the very
// descriptor that was hashed, so that nothing put in its place later runs.
type executable struct {
	name    string // file name in the plugins directory
	path    string
	id      identity
	content string    // SHA-256 of the file, hexadecimal
	hash    string    // the same, or of all that a manifest consists of
	info    wire.Info // what the plugin said it is when it was admitted; zero before

	bundle *bundle // of a manifest that the host's own program serves; else nil

	// installed is what it reads of the installation of its interpreter; nil until
	// it was looked up, and once a start has failed.
	installed atomic.Pointer[[]string]

	mu   sync.Mutex
	file *os.File // nil once closed
}

// openExecutable opens and hashes a candidate. hashOf returns the hash of a file
// at a path with an identity seen before, or "".
func openExecutable(c candidate, uid int, hashOf func(string, identity) string) (*executable, error) {
	f, err := os.OpenFile(c.opens(), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrPermission) {
		return nil, &unfit{reason: "cannot be read: " + reasonOf(err)}
	}
	if err != nil {
		return nil, fmt.Errorf("open plugin: %w", err)
	}
	e := &executable{name: c.file, path: c.path, file: f}
	if err := e.verify(c, uid, hashOf); err != nil {
		f.Close()
		return nil, err
	}
	if e.hash = e.content; c.manifest {
		err = e.gather(c, uid, hashOf)
	}
	if err != nil {
		e.close()
		return nil, err
	}
	return e, nil
}

// verify repeats the checks of discovery on the opened file, and hashes it.
func (e *executable) verify(c candidate, uid int, hashOf func(string, identity) string) error {
	fi, err := e.file.Stat()
	if err != nil {
		return fmt.Errorf("open plugin: %w", err)
	}
	if unfit := c.refusal(fi, uid); unfit != nil {
		return unfit
	}
	if e.id = identify(fi); e.id != c.id {
		return errChanged
	}
	if e.content = hashOf(c.path, e.id); e.content != "" {
		return nil
	}
	e.content, err = e.digest()
	return err
}

// digest hashes the file. It fails with errChanged when it was written to
// meanwhile.
func (e *executable) digest() (string, error) {
	fi, err := e.file.Stat()
	if err != nil {
		return "", fmt.Errorf("hash plugin: %w", err)
	}
	before := identify(fi)
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(e.file, 0, before.Size)); err != nil {
		return "", fmt.Errorf("hash plugin: %w", err)
	}
	if fi, err = e.file.Stat(); err != nil {
		return "", fmt.Errorf("hash plugin: %w", err)
	}
	if identify(fi) != before {
		return "", errChanged
	}
	e.id = before
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// unchanged fails with errChanged when the opened file was written to since it
// was hashed.
func (e *executable) unchanged() error {
	fi, err := e.file.Stat()
	if err != nil {
		return fmt.Errorf("check plugin: %w", err)
	}
	if identify(fi) == e.id {
		return nil
	}
	// Most likely the file was touched, renamed or removed, which does no
	// harm, but whoever wrote to it could have set its times back.
	content, err := e.digest()
	if err == nil && content != e.content {
		err = errChanged
	}
	return err
}

// keepsTo fails when the plugin says it is another than when it was admitted.
func (e *executable) keepsTo(info wire.Info) error {
	if was := e.info; was.Name != "" && (was.Name != info.Name || was.Version != info.Version) {
		return fmt.Errorf("says it is %s %s, but was admitted as %s %s", info.Name, info.Version, was.Name, was.Version)
	}
	return nil
}

// duplicate returns a descriptor of the hashed file for one start.
func (e *executable) duplicate() (*os.File, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.file == nil {
		return nil, os.ErrClosed
	}
	if err := e.unchanged(); err != nil {
		return nil, err
	}
	return e.hold()
}

// hold returns another descriptor of the file.
func (e *executable) hold() (*os.File, error) {
	fd, err := dupCloexec(e.file)
	if err != nil {
		return nil, fmt.Errorf("duplicate descriptor of plugin: %w", err)
	}
	return os.NewFile(uintptr(fd), e.path), nil
}

// close gives the descriptor back. Starts under way are not disturbed.
func (e *executable) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.file != nil {
		e.file.Close()
		e.file = nil
	}
	e.bundle.close()
}

func dupCloexec(f *os.File) (int, error) {
	conn, err := f.SyscallConn()
	if err != nil {
		return -1, err
	}
	dup := -1
	var dupErr error
	err = conn.Control(func(fd uintptr) {
		r, _, errno := syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_DUPFD_CLOEXEC, 0)
		if errno != 0 {
			dupErr = errno
			return
		}
		dup = int(r)
	})
	if err == nil {
		err = dupErr
	}
	return dup, err
}
