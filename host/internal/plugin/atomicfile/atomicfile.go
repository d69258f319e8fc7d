// Package atomicfile writes small files that what is decided about plugins is
// read from. It imports nothing of Geomill; its central function is Write.
package atomicfile

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Write puts a file in the place of another, or of none, and makes its directory
// (0700) if need be. After a crash there is the one or the other, whole; once
// Write has returned nil it is the new one. Where it fails the old one stays.
func Write(path string, mode fs.FileMode, content func(io.Writer) error) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	err = content(f)
	if err == nil {
		err = errors.Join(f.Chmod(mode), f.Sync())
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(dir)
}

// WriteText is Write for a text, readable by its owner only.
func WriteText(path string, text []byte) error {
	return Write(path, 0o600, func(w io.Writer) error {
		_, err := bytes.NewReader(text).WriteTo(w)
		return err
	})
}

// syncDir makes a rename in a directory last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
