package plugin

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"geomill/host/internal/plugin/trust"
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
	path   string // of the file, absolute
	target string // what a symbolic link leads to, else empty
	id     identity
	signed identity // the signature beside it

	manifest bool        // of tools, and plain: the host's own program serves it
	tools    []candidate // that belong to the manifest

	version   string   // name of its version directory; empty for a bare file
	available []string // all version directories beside it, the highest first
}

// sighting tells whether a candidate is the one seen before: the same content
// in another version directory is another.
type sighting struct {
	path  string
	id    identity
	tools string
}

func (c candidate) sighting() sighting { return sighting{c.path, c.id, c.toolsSeen()} }

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
	unfit *unfit
}

// unfit is the error that a file must not be started as it is.
type unfit struct {
	reason string
	fix    string // the command that changes it; empty if none does
}

func (u *unfit) Error() string {
	if u.fix == "" {
		return u.reason
	}
	return u.reason + ": " + u.fix
}

// discover lists a plugins directory, sorted by file name. Files that nobody
// can have meant as a plugin (directories without versions, names that begin
// with a dot or end in .tmp, signatures) are left out without a word; other
// refusals are listed. The service user is uid. It fails when the directory
// cannot be read or is open to writers who are not to be trusted.
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
	manifests, claimed := manifestsIn(dir, entries)
	for _, e := range entries {
		if ignored(e.Name()) || claimed[e.Name()] {
			continue
		}
		c := candidate{file: e.Name(), path: filepath.Join(dir, e.Name())}
		wrong := misnamed(e.Name())
		switch {
		case wrong != nil:
		case e.IsDir():
			c, wrong = examineVersions(c, uid)
		case manifests[e.Name()] != nil:
			c, wrong = examineManifest(c, manifests[e.Name()], uid)
		default:
			c, wrong = examine(c, uid)
		}
		switch {
		case wrong != nil:
			skips = append(skips, skip{c, wrong})
		case c.file != "":
			found = append(found, c)
		}
	}
	return found, skips, nil
}

// misnamed refuses names that cannot be written down or told to people as they
// are.
func misnamed(name string) *unfit {
	if !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) || strings.HasPrefix(name, "-") {
		return &unfit{reason: fmt.Sprintf("its name %q begins with - or has characters that are not printed: rename it", name)}
	}
	return nil
}

// ignored reports whether a name is never a plugin, nor a version of one.
func ignored(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".tmp") ||
		strings.HasSuffix(name, trust.SignatureSuffix) || name == trust.SumsFile
}

// examine looks at the file of a candidate. One without a file name is to be
// passed over in silence.
func examine(c candidate, uid int) (candidate, *unfit) {
	fi, err := os.Lstat(c.path)
	if err == nil && fi.Mode()&fs.ModeSymlink != 0 {
		if c.target, err = filepath.EvalSymlinks(c.path); err != nil {
			return c, &unfit{reason: "symbolic link leads nowhere: " + reasonOf(err)}
		}
		fi, err = os.Stat(c.target)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return candidate{}, nil // removed since the directory was read
	case err != nil:
		return c, &unfit{reason: "cannot be read: " + reasonOf(err)}
	case fi.IsDir():
		return candidate{}, nil
	}
	c.id, c.signed = identify(fi), signatureOf(c.path)
	if c.target != "" {
		if parent, err := os.Stat(filepath.Dir(c.target)); err == nil && parent.Mode().Perm()&0o002 != 0 {
			return c, &unfit{filepath.Dir(c.target) + " is writable by everyone", "chmod o-w " + trust.Word(filepath.Dir(c.target))}
		}
	}
	return c, c.refusal(fi, uid)
}

// signatureOf identifies the file that would sign the one at path.
func signatureOf(path string) identity {
	for _, name := range []string{path, filepath.Join(filepath.Dir(path), trust.SumsFile)} {
		if fi, err := os.Stat(name + trust.SignatureSuffix); err == nil {
			return identify(fi)
		}
	}
	return identity{}
}

// refusal says why the file of a candidate must not be started as a plugin by
// the service user uid; nil means it may.
func (c candidate) refusal(fi fs.FileInfo, uid int) *unfit {
	path := c.opens()
	switch {
	case !fi.Mode().IsRegular():
		return &unfit{reason: "not a regular file"}
	case fi.Mode().Perm()&0o111 == 0 && IsYAML(c.path) && !c.manifest:
		return noManifest(path)
	case fi.Mode().Perm()&0o111 == 0 && !c.manifest:
		return &unfit{"not executable", "chmod +x " + trust.Word(path)}
	case fi.Size() == 0:
		return &unfit{reason: "empty file: build or copy it anew"}
	}
	return exposed(path, fi, uid)
}

// exposed says who else may change a file or directory that only root and the
// service user uid should.
func exposed(path string, fi fs.FileInfo, uid int) *unfit {
	owner := ownerOf(fi)
	switch {
	case fi.Mode().Perm()&0o022 != 0:
		return &unfit{"writable by group or others", "chmod go-w " + trust.Word(path)}
	case owner != 0 && owner != uid:
		return &unfit{fmt.Sprintf("owned by user %d, not by root or the user of the service (%d)", owner, uid), fmt.Sprintf("chown %d %s", uid, trust.Word(path))}
	}
	return nil
}

func ownerOf(fi fs.FileInfo) int {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid)
	}
	return -1
}

// reasonOf strips the operation and path from a file system error, and says what
// to do about it if that is known.
func reasonOf(err error) string {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Sprintf("user %d of the service may not: chmod a+rX it and the directories above", os.Geteuid())
	}
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err.Error()
	}
	return err.Error()
}
