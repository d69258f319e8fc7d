package host

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"geomill/host/internal/plugin"
	"geomill/host/internal/plugin/trust"
)

// copyPlugin copies the executable of a plugin, or its manifest with what belongs
// to it, into a directory and returns the name it has there.
func copyPlugin(path, dir string) (name string, err error) {
	tool, manifest := Companion(path)
	if !manifest {
		return copyExecutable(path, dir)
	}
	if path, err = filepath.Abs(path); err != nil {
		return "", fmt.Errorf("plugin: %w", err)
	}
	home := filepath.Dir(path)
	name, version := filepath.Base(filepath.Dir(home)), filepath.Base(home)
	stem := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	if plugin.IsVersion(version) && (stem == "plugin" || stem == name) {
		return name, copyTree(home, filepath.Join(dir, name, version))
	}
	if tool != "" {
		if _, err := copyExecutable(tool, dir); err != nil {
			return "", err
		}
	}
	name = strings.TrimLeft(filepath.Base(path), ".-")
	return name, copyFile(path, filepath.Join(dir, name), 0o600)
}

// copyExecutable copies an executable into a directory and returns the name it
// has there.
func copyExecutable(path, dir string) (name string, err error) {
	switch fi, err := os.Stat(path); {
	case err != nil:
		return "", fmt.Errorf("plugin: %w", err)
	case !fi.Mode().IsRegular():
		return "", fmt.Errorf("plugin %s is not a file", path)
	case fi.Mode().Perm()&0o111 == 0 && plugin.IsYAML(path):
		return "", fmt.Errorf("%s %s", path, plugin.NoManifest)
	case fi.Mode().Perm()&0o111 == 0:
		return "", fmt.Errorf("plugin %s is not executable: chmod +x %s", path, trust.Word(path))
	}
	name = strings.TrimSuffix(strings.TrimLeft(filepath.Base(path), ".-"), ".tmp")
	return name, copyFile(path, filepath.Join(dir, name), 0o700)
}

// copyTree copies a directory with all files in it.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("copy plugin: %w", err)
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return fmt.Errorf("copy plugin: %w", err)
		}
		target := filepath.Join(to, rel)
		fi, err := os.Stat(path)
		switch {
		case err == nil && d.IsDir():
			err = os.MkdirAll(target, 0o700)
		case err == nil && fi.Mode().IsRegular():
			return copyFile(path, target, 0o600|fi.Mode().Perm()&0o100)
		}
		if err != nil {
			return fmt.Errorf("copy plugin: %w", err)
		}
		return nil
	})
}

func copyFile(path, to string, mode fs.FileMode) error {
	from, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("copy plugin: %w", err)
	}
	defer from.Close()
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fmt.Errorf("copy plugin: %w", err)
	}
	_, err = io.Copy(f, from)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("copy plugin: %w", err)
	}
	return nil
}
