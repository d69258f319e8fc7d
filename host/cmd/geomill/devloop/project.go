// Package devloop builds a plugin anew whenever its source changes. It imports
// nothing of Geomill; its central types are Project and Loop.
package devloop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"geomill/host"
)

// Project is the directory of a plugin that is being made, or of several.
type Project struct {
	Dir string // absolute
	// Plugins is the directory that it is built into, to be served from.
	Plugins string
	build   func(ctx context.Context, out io.Writer) error
}

// Open looks at a directory: a Go module is built by the go command, what else has
// a Makefile by its target build, into build/plugins, and scripts are copied.
func Open(dir string) (*Project, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	p := &Project{Dir: dir, Plugins: filepath.Join(dir, "build", "plugins")}
	switch module, err := moduleOf(dir); {
	case err != nil:
		return nil, err
	case module != "":
		p.build = func(ctx context.Context, out io.Writer) error { return p.goBuild(ctx, path.Base(module), out) }
	case exists(filepath.Join(dir, "Makefile")):
		p.build = p.makeBuild
	default:
		p.build = p.copyScripts
	}
	return p, nil
}

// Build builds the plugin. What tools have to say goes to out, and tells more than
// the error. What was built before stays if it fails.
func (p *Project) Build(ctx context.Context, out io.Writer) error {
	if err := os.MkdirAll(p.Plugins, 0o755); err != nil {
		return fmt.Errorf("directory for plugins: %w", err)
	}
	return p.build(ctx, out)
}

// moduleOf returns the path of the module in a directory, or "" if there is none.
func moduleOf(dir string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if errors.Is(err, fs.ErrNotExist) {
		_, err = os.ReadDir(dir) // whether it is one
		return "", err
	}
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 2 && fields[0] == "module" {
			return strings.Trim(fields[1], `"`), nil
		}
	}
	return "", fmt.Errorf("%s/go.mod names no module", dir)
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// goBuild builds the command in the directory.
func (p *Project) goBuild(ctx context.Context, name string, out io.Writer) error {
	fresh := filepath.Join(p.Plugins, "."+name)
	if err := p.command(ctx, out, "go", "build", "-o", fresh, "."); err != nil {
		return err
	}
	return os.Rename(fresh, filepath.Join(p.Plugins, name))
}

func (p *Project) makeBuild(ctx context.Context, out io.Writer) error {
	return p.command(ctx, out, "make", "--no-print-directory", "build")
}

func (p *Project) command(ctx context.Context, out io.Writer, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.Dir, out, out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w", name, args[0], err)
	}
	return nil
}

// copyScripts copies the executables whose first line names what runs them, and
// manifests of command line tools with theirs, where they have changed.
func (p *Project) copyScripts(_ context.Context, _ io.Writer) error {
	entries, err := os.ReadDir(p.Dir)
	if err != nil {
		return err
	}
	found := 0
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || hidden(e.Name()) {
			continue
		}
		if tool, ok := host.Companion(filepath.Join(p.Dir, e.Name())); ok {
			found++
			if err := p.copyManifest(e.Name(), tool); err != nil {
				return err
			}
			continue
		}
		if info.Mode().Perm()&0o111 == 0 {
			continue
		}
		text, err := os.ReadFile(filepath.Join(p.Dir, e.Name()))
		if err != nil {
			return err
		}
		if !bytes.HasPrefix(text, []byte("#!")) {
			continue
		}
		found++
		if err := p.place(e.Name(), text, 0o755); err != nil {
			return fmt.Errorf("copy %s: %w", e.Name(), err)
		}
	}
	if found == 0 {
		return fmt.Errorf("%s has neither a go.mod nor a Makefile nor executable scripts, nor a manifest", p.Dir)
	}
	return nil
}

// copyManifest copies a manifest and the tool at a path, if it has one.
func (p *Project) copyManifest(name, tool string) error {
	text, err := os.ReadFile(filepath.Join(p.Dir, name))
	if err == nil && tool != "" {
		var program []byte
		if program, err = os.ReadFile(tool); err == nil {
			err = p.place(filepath.Base(tool), program, 0o755)
		}
	}
	if err == nil {
		err = p.place(name, text, 0o644)
	}
	if err != nil {
		return fmt.Errorf("copy %s: %w", name, err)
	}
	return nil
}

// place writes a file into the directory of plugins.
func (p *Project) place(name string, text []byte, mode fs.FileMode) error {
	to := filepath.Join(p.Plugins, name)
	if before, err := os.ReadFile(to); err == nil && bytes.Equal(before, text) {
		return nil
	}
	fresh := filepath.Join(p.Plugins, "."+name)
	if err := os.WriteFile(fresh, text, mode); err != nil {
		return err
	}
	return os.Rename(fresh, to)
}
