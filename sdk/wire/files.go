package wire

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// The directories within a job directory.
const (
	inDir  = "in"
	outDir = "out"
)

// maxFileName is the longest file name made from the id of a value, in bytes.
const maxFileName = 64

// jobDir is the directory of one attempt. Everything goes through an os.Root,
// so that no name and no symbolic link leads out of it. The zero value with a
// path is ready; close releases it.
type jobDir struct {
	path  string // absolute
	base  string // see Start.Root; the root of the file system if it is empty
	owner int    // see Start.Owner
	root  *os.Root
}

func (d *jobDir) open() (*os.Root, error) {
	if d.root != nil {
		return d.root, nil
	}
	if !filepath.IsAbs(d.path) {
		return nil, fmt.Errorf("job directory %q is not an absolute path", d.path)
	}
	root, err := d.reach(false)
	if err != nil {
		if pe, ok := errors.AsType[*fs.PathError](err); ok {
			err = pe.Err // where the directory is concerns no client
		}
		return nil, fmt.Errorf("open job directory: %w", err)
	}
	d.root = root
	return root, nil
}

// reach opens the directory from its base on, after making it if need be.
func (d *jobDir) reach(create bool) (*os.Root, error) {
	if d.base == "" {
		if create {
			if err := os.MkdirAll(d.path, 0o700); err != nil {
				return nil, err
			}
		}
		return os.OpenRoot(d.path)
	}
	rel, err := filepath.Rel(d.base, d.path)
	if err != nil || !filepath.IsLocal(rel) {
		return nil, fmt.Errorf("%q is not in %q", d.path, d.base)
	}
	base, err := os.OpenRoot(d.base)
	if err != nil {
		return nil, err
	}
	defer base.Close()
	if create {
		if err := base.MkdirAll(rel, 0o700); err != nil {
			return nil, err
		}
		for at := rel; at != "."; at = filepath.Dir(at) {
			if err := d.give(base, at); err != nil {
				return nil, err
			}
		}
	}
	return base.OpenRoot(rel)
}

// give gives what was made to its owner.
func (d *jobDir) give(root *os.Root, name string) error {
	if d.owner == 0 {
		return nil
	}
	return root.Lchown(name, d.owner, d.owner)
}

func (d *jobDir) close() {
	if d.root != nil {
		_ = d.root.Close() // read only: nothing can be lost
		d.root = nil
	}
}

// abs turns a path from the wire into one of this machine.
func (d *jobDir) abs(rel string) string { return filepath.Join(d.path, rel) }

// rel turns the absolute path of a file into the one that crosses.
func (d *jobDir) rel(abs string) (string, error) {
	rel, err := filepath.Rel(d.path, abs)
	if err != nil || !filepath.IsLocal(rel) {
		return "", fmt.Errorf("file %q is not in the job directory", abs)
	}
	return filepath.ToSlash(rel), nil
}

// size returns the size of a file that the other end may name: a regular file
// with one name, reached through directories only. A second name could be that
// of a file of another job, to which only the plugin's user has access.
func (d *jobDir) size(rel string) (int64, error) {
	if !filepath.IsLocal(rel) || filepath.Clean(rel) != rel {
		return 0, fmt.Errorf("file path %.200q leads out of the job directory", rel)
	}
	root, err := d.open()
	if err != nil {
		return 0, err
	}
	for i, c := range rel {
		if c != filepath.Separator {
			continue
		}
		info, err := root.Lstat(rel[:i])
		if err != nil {
			return 0, err
		}
		if !info.IsDir() {
			return 0, fmt.Errorf("%.200q in the job directory is not a directory", rel[:i])
		}
	}
	info, err := root.Lstat(rel)
	if err != nil {
		return 0, err
	}
	if !info.Mode().IsRegular() {
		return 0, fmt.Errorf("%.200q in the job directory is not a regular file", rel)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || st.Nlink != 1 {
		return 0, fmt.Errorf("%.200q in the job directory has another name elsewhere", rel)
	}
	return info.Size(), nil
}

// write puts a value into a new file of the directory sub and returns its
// relative path.
func (d *jobDir) write(sub, id string, data []byte) (string, error) {
	if d.root == nil && filepath.IsAbs(d.path) {
		root, err := d.reach(true)
		if err != nil {
			return "", fmt.Errorf("create job directory: %w", err)
		}
		d.root = root
	}
	root, err := d.open()
	if err != nil {
		return "", err
	}
	err = root.Mkdir(sub, 0o700)
	if err == nil {
		err = d.give(root, sub)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("create directory %s of the job: %w", sub, err)
	}
	rel, f, err := createNew(root, sub+"/"+fileName(id))
	if err != nil {
		return "", err
	}
	_, err = f.Write(data)
	if d.owner != 0 {
		err = errors.Join(err, f.Chown(d.owner, d.owner))
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("write %s of the job: %w", rel, err)
	}
	return rel, nil
}

// createNew creates a file under the first free name of base, base-2, base-3.
func createNew(root *os.Root, base string) (string, *os.File, error) {
	rel := base
	for n := 2; ; n++ {
		f, err := root.OpenFile(rel, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil {
			return rel, f, nil
		}
		if !errors.Is(err, fs.ErrExist) || n > maxValues {
			return "", nil, fmt.Errorf("create %s of the job: %w", rel, err)
		}
		rel = base + "-" + strconv.Itoa(n)
	}
}

// fileName makes a plain file name of any id.
func fileName(id string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
			return r
		default:
			return '_'
		}
	}, id)
	if len(name) > maxFileName {
		name = name[:maxFileName]
	}
	if name == "" || name[0] == '.' {
		name = "_" + name
	}
	return name
}
