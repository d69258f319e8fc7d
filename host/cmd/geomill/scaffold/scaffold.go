// Package scaffold writes a new plugin: a directory that builds, tests and runs
// as it is, for its author to change. It imports nothing of Geomill; its central
// function is Write.
package scaffold

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"
)

// Language is what a plugin is written in.
type Language string

// The languages that there is a template for.
const (
	Go     Language = "go"
	Python Language = "python"
)

// Options is what is to be written.
type Options struct {
	// Name of the plugin, of its process and of its executable.
	Name     string
	Language Language
	// Dir is the directory to write; it is empty or does not exist yet.
	Dir string
	// SDK is the checkout of Geomill that has the SDK.
	SDK string
	// Program is the geomill that the plugin is served with while it is made.
	Program string
}

// values are what templates are filled with.
type values struct {
	Options
	GoVersion string
	Requires  []string // "PATH VERSION", of a Go module
}

// suffix marks the files of a template; it keeps them from being taken for a
// part of this module.
const suffix = ".tmpl"

//go:embed templates
var templates embed.FS

var namePattern = regexp.MustCompile(`^[a-z][a-z0-9]*([-_.][a-z0-9]+)*$`)

const maxName = 64 // letters

// CheckName returns an error that says what the name of a plugin can be, unless it
// is one.
func CheckName(name string) error {
	if len(name) > maxName || !namePattern.MatchString(name) {
		return fmt.Errorf("name %.80q: lower case letters, digits and single . _ - between them, a letter first, at most %d, please", name, maxName)
	}
	return nil
}

// Write writes a plugin and returns the names of its files, sorted. It changes
// no file that is there already, and leaves nothing behind when it fails.
func Write(ctx context.Context, o Options) ([]string, error) {
	if err := CheckName(o.Name); err != nil {
		return nil, err
	}
	var err error
	for _, path := range []*string{&o.Dir, &o.SDK} {
		if *path, err = filepath.Abs(*path); err != nil {
			return nil, err
		}
	}
	if strings.ContainsAny(o.SDK+o.Program, " \t\n\"'$#:%\\") {
		return nil, fmt.Errorf("a path with spaces or quotes cannot be written into a Makefile: %s, %s", o.SDK, o.Program)
	}
	files, err := render(ctx, o)
	if err != nil {
		return nil, err
	}
	return write(o.Dir, files)
}

// file is one to be written.
type file struct {
	name string
	text []byte
	mode fs.FileMode
}

// render fills in the templates of a language.
func render(ctx context.Context, o Options) ([]file, error) {
	filled := values{Options: o}
	var files []file
	if o.Language == Go {
		m, err := sdkModule(ctx, o.SDK)
		if err != nil {
			return nil, err
		}
		filled.GoVersion, filled.Requires = m.goVersion, m.requires
		files = append(files, file{"go.sum", m.sums, 0o644})
	}
	dir := "templates/" + string(o.Language)
	entries, err := templates.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("language %q: there are go and python", o.Language)
	}
	for _, e := range entries {
		t, err := template.ParseFS(templates, dir+"/"+e.Name())
		if err != nil {
			return nil, fmt.Errorf("read template: %w", err)
		}
		var text bytes.Buffer
		if err := t.Execute(&text, filled); err != nil {
			return nil, fmt.Errorf("fill in template: %w", err)
		}
		name := strings.TrimSuffix(e.Name(), suffix)
		if name == "gitignore" {
			name = ".gitignore"
		}
		mode := fs.FileMode(0o644)
		if bytes.HasPrefix(text.Bytes(), []byte("#!")) {
			mode = 0o755
		}
		files = append(files, file{name, text.Bytes(), mode})
	}
	return files, nil
}

// write makes the files in a directory that has none.
func write(dir string, files []file) (names []string, err error) {
	if there, err := os.ReadDir(dir); err == nil && len(there) > 0 {
		return nil, fmt.Errorf("%s is not empty: nothing is overwritten; choose another with --dir", dir)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("directory for the plugin: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("directory for the plugin: %w", err)
	}
	defer func() {
		if err != nil {
			for _, name := range names {
				err = errors.Join(err, os.Remove(filepath.Join(dir, name)))
			}
			names = nil
		}
	}()
	for _, f := range files {
		w, err := os.OpenFile(filepath.Join(dir, f.name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.mode)
		if err != nil {
			return names, fmt.Errorf("write plugin: %w", err)
		}
		names = append(names, f.name)
		_, err = w.Write(f.text)
		if err := errors.Join(err, w.Close()); err != nil {
			return names, fmt.Errorf("write plugin: %w", err)
		}
	}
	slices.Sort(names)
	return names, nil
}
