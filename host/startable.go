package host

import (
	"fmt"
	"os"
	"path/filepath"

	"geomill/host/internal/plugin"
	"geomill/host/internal/plugin/trust"
)

// Companion reports whether the file at a path is a manifest of command line tools
// that the host serves itself, and returns the path of its tool, empty without one.
func Companion(path string) (tool string, ok bool) { return plugin.Companion(path) }

// Startable returns the path of an executable that is the plugin at a path: that
// itself, or for a manifest that is none a script that has program serve it. What
// was made for it goes when done is called.
func Startable(path, program string) (executable string, done func(), err error) {
	if _, manifest := Companion(path); !manifest {
		return path, func() {}, nil
	}
	if path, err = filepath.Abs(path); err == nil {
		program, err = filepath.EvalSymlinks(program)
	}
	if err != nil {
		return "", nil, fmt.Errorf("find the manifest or its program: %w", err)
	}
	dir, err := os.MkdirTemp("", "geomill-manifest-")
	if err != nil {
		return "", nil, fmt.Errorf("directory for the script of a manifest: %w", err)
	}
	done = func() { os.RemoveAll(dir) }
	executable = filepath.Join(dir, filepath.Base(path))
	script := fmt.Sprintf("#!/bin/sh\nexec %s manifest %s \"$@\"\n", trust.Word(program), trust.Word(path))
	if err := os.WriteFile(executable, []byte(script), 0o700); err != nil {
		done()
		return "", nil, fmt.Errorf("script of a manifest: %w", err)
	}
	return executable, done, nil
}
