package plugin

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"geomill/host/internal/job"
)

// seal makes the files that a plugin handed over the host's: from here on nobody
// who had them open changes what is stored, even if the plugin lives on.
func seal(a job.Attempt, outputs map[string]job.Value) error {
	for id, v := range outputs {
		if v.File == "" {
			continue
		}
		root := a.JobDir
		if root == "" {
			root = a.Dir
		}
		if err := sealFile(root, v); err != nil {
			return &job.Failure{Kind: job.ContractBroken, Detail: "the file of output " + id + " cannot be taken over", Cause: err}
		}
	}
	return nil
}

// sealFile seals one file below root. It is reached by directories that are the
// host's by then, one from the other, so that none of them is exchanged.
func sealFile(root string, v job.Value) error {
	rel, ok := strings.CutPrefix(v.File, root+"/")
	if !ok {
		return errors.New("its file is not in the directory of its job")
	}
	dir, err := unix.Open(root, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	for err == nil {
		if err = own(dir, 0o700); err != nil {
			break
		}
		name, rest, deeper := strings.Cut(rel, "/")
		if !deeper {
			err = sealIn(dir, name, v.Size)
			break
		}
		var next int
		next, err = unix.Openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		unix.Close(dir)
		dir, rel = next, rest
	}
	if dir >= 0 {
		unix.Close(dir)
	}
	return err
}

// sealIn seals a file of a directory. One that somebody has open for writing is
// replaced by a copy, which shares its blocks with it where the file system can.
func sealIn(dir int, name string, size int64) error {
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	var st unix.Stat_t
	switch err := unix.Fstat(fd, &st); {
	case err != nil:
		return err
	case st.Mode&unix.S_IFMT != unix.S_IFREG || st.Nlink != 1:
		return errors.New("it is not a regular file with one name")
	}
	if err := own(fd, 0o600); err != nil {
		return err
	}
	if !closed(fd) {
		return replaceByCopy(dir, name, f, size)
	}
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Size != size {
		return errors.New("it has changed since the plugin handed it over")
	}
	return nil
}

// own gives a file or directory to the user of the host, if it is somebody
// else's: a plugin may have a user of its own.
func own(fd int, mode uint32) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || int(st.Uid) == os.Geteuid() {
		return err
	}
	if err := unix.Fchown(fd, os.Geteuid(), os.Getegid()); err != nil {
		return err
	}
	return unix.Fchmod(fd, mode)
}

// closed reports whether nobody has a file open for writing, or mapped: the
// kernel gives a read lease on no other. One that gives none at all, as some
// network file systems, leaves that open. The lease ends with the descriptor at
// the latest.
func closed(fd int) bool {
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_RDLCK); err != nil {
		return false
	}
	_, err := unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_UNLCK)
	return err == nil
}

// replaceByCopy puts a copy of a file in its place.
func replaceByCopy(dir int, name string, from io.Reader, size int64) error {
	fresh := ".copy-" + rand.Text()
	fd, err := unix.Openat(dir, fresh, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	to := os.NewFile(uintptr(fd), fresh)
	n, err := io.Copy(to, io.LimitReader(from, size+1))
	if err = errors.Join(err, to.Close()); err == nil && n != size {
		err = errors.New("it has changed since the plugin handed it over")
	}
	if err == nil {
		err = unix.Renameat(dir, fresh, dir, name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("copy %s: %w", filepath.Base(name), err), unix.Unlinkat(dir, fresh, 0))
	}
	return nil
}
