package sandbox

import (
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Cause is why a process cannot read what is at a path.
type Cause int

const (
	// Unclear is the cause if what is there cannot be found, or is not to be listed
	// by itself; or if the process may read it, and wanted more.
	Unclear Cause = iota
	// Unlisted is the cause if the process could read it, were it in Spec.Read.
	Unlisted
	// Other is the cause if no list would change it: the rights to the file, or that
	// it is of Spec.Except.
	Other
)

// Cause returns what keeps a process with a spec from reading what is at an absolute
// path. It looks as the user of the process does.
func (m *Machine) Cause(s *Spec, path string) Cause {
	if overlaps(filepath.Clean(path), s.Except) {
		return Other
	}
	real, err := filepath.EvalSymlinks(path)
	switch {
	case err != nil:
		return Unclear
	case overlaps(real, s.Except), m.abi == 0 || s.Off:
		return Other
	case strings.HasPrefix(real, "/proc/"): // of the host itself, perhaps
		return Unclear
	case !m.readable(s.UID, real):
		return Other
	case below(real, slices.Concat(s.Read, s.Write, s.Home, s.Own, devices())):
		return Unclear
	}
	return Unlisted
}

// overlaps reports whether a path is one of the directories, or below or above one.
// What is above one cannot be granted as a whole; see carve.
func overlaps(path string, dirs []string) bool {
	return slices.ContainsFunc(dirs, func(dir string) bool {
		if contains(dir, path) || contains(path, dir) {
			return true
		}
		resolved, err := filepath.EvalSymlinks(dir)
		return err == nil && (contains(resolved, path) || contains(path, resolved))
	})
}

// readable reports whether the rights to files let a user without capabilities read
// what is at a path; 0 is the user of the host.
func (m *Machine) readable(uid int, path string) bool {
	return nil == onThread(func() error {
		if uid != 0 {
			if err := become(uid); err != nil {
				return err
			}
		}
		if m.drop {
			if err := clearCapabilities(); err != nil {
				return err
			}
		}
		return unix.Faccessat(unix.AT_FDCWD, path, unix.R_OK, unix.AT_EACCESS)
	})
}
