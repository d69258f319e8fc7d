package job

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// IsNoSpace reports whether an error says that a disk, or what the host may use
// of it, is full.
func IsNoSpace(err error) bool {
	return errors.Is(err, ErrNoSpace) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// dirSize returns how many bytes the files below a directory take. What goes
// away meanwhile does not count, nor what has another name elsewhere, as outputs
// have that the store has taken.
func dirSize(dir string) (n int64) {
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return nil // gone, or not to be read: then it is not counted
		}
		if info, err := e.Info(); err == nil {
			n += used(info)
		}
		return nil
	})
	return n
}

// used is what a file takes on the disk for itself: holes take nothing.
func used(info os.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		if st.Nlink > 1 {
			return 0
		}
		return st.Blocks * 512
	}
	return info.Size()
}
