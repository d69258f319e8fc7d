package devloop

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// patience bounds every wait.
const patience = 3 * time.Minute

func write(t *testing.T, dir, name, text string, mode os.FileMode) {
	t.Helper()
	name = filepath.Join(dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), mode), os.Chmod(name, mode)); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, dir string) *Project {
	t.Helper()
	p, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func built(p *Project, name string) string {
	text, err := os.ReadFile(filepath.Join(p.Plugins, name))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func TestAGoModuleIsBuiltAndWhatFailsLeavesTheOneBefore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "go.mod", "module example.com/tool\n\ngo 1.26\n", 0o644)
	write(t, dir, "main.go", "package main\n\nfunc main() {}\n", 0o644)
	p := open(t, dir)
	var out bytes.Buffer
	if err := p.Build(t.Context(), &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	before := built(p, "tool")
	write(t, dir, "main.go", "package main\n\nfunc main() { nonsense }\n", 0o644)
	if err := p.Build(t.Context(), &out); err == nil || !strings.Contains(out.String(), "main.go:3:") {
		t.Errorf("%v\n%s", err, out.String())
	}
	if built(p, "tool") != before {
		t.Error("the one before is gone")
	}
}

func TestWhatIsNoDirectoryIsNotBlamedForItsModule(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(name, []byte("package main\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := moduleOf(name); err == nil || !strings.HasSuffix(err.Error(), ": not a directory") {
		t.Errorf("error %v, want only that it is not a directory", err)
	}
}

func TestAMakefileBuildsWhatIsNoGoModule(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "Makefile", ".PHONY: build\nbuild:\n\t@echo made > build/plugins/tool\n", 0o644)
	p := open(t, dir)
	if err := p.Build(t.Context(), &bytes.Buffer{}); err != nil || built(p, "tool") != "made\n" {
		t.Errorf("%q, %v", built(p, "tool"), err)
	}
}

func TestScriptsAreCopied(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := open(t, dir)
	if err := p.Build(t.Context(), &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "has neither a go.mod nor a Makefile nor executable scripts") {
		t.Errorf("%v", err)
	}
	write(t, dir, "tool", "#!/bin/sh\n", 0o755)
	write(t, dir, "notes", "#!/bin/sh\n", 0o644)
	write(t, dir, "data", "\x7fELF", 0o755)
	if err := p.Build(t.Context(), &bytes.Buffer{}); err != nil || built(p, "tool") != "#!/bin/sh\n" {
		t.Errorf("%q, %v", built(p, "tool"), err)
	}
	if entries, err := os.ReadDir(p.Plugins); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
	info, err := os.Stat(filepath.Join(p.Plugins, "tool"))
	if err != nil || info.Mode().Perm()&0o100 == 0 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestChangesOfTheSourceAreBuiltAndNoOthers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "sub/a.go", "1", 0o644)
	write(t, dir, "build/x", "1", 0o644)
	l, err := open(t, dir).Watch()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	builds, ended := make(chan struct{}, 100), make(chan error, 1)
	go func() { ended <- l.Run(ctx, func() { builds <- struct{}{} }) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	await := func(what string) {
		t.Helper()
		select {
		case <-builds:
		case <-time.After(patience):
			t.Fatalf("%s is not built", what)
		}
	}
	write(t, dir, "sub/a.go", "2", 0o644)
	await("a change")
	write(t, dir, "new/sub/b.go", "1", 0o644)
	await("a new directory")
	write(t, dir, "new/sub/b.go", "2", 0o644)
	await("a change in it")
	for name, is := range map[string]bool{"a.go": true, "sub/a.go": true, "build/x": false, ".git/x": false, "a/__pycache__/x.py": false, "a.go~": false, "sub/.a.swp": false} {
		if l.isSource(filepath.Join(dir, name)) != is {
			t.Errorf("%s is source: %v", name, !is)
		}
	}
}

func TestManifestsAreCopiedWithTheirTools(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"tools.yaml": 0o644, "tools": 0o755, "notes.yaml": 0o644, "other": 0o755} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(map[string]string{"tools.yaml": "processes: {}"}[name]+"\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	p, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Build(t.Context(), &bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(p.Plugins)
	if err != nil || len(entries) != 2 {
		t.Fatalf("%v, %v", entries, err)
	}
	for i, want := range []string{"tools", "tools.yaml"} {
		info, err := entries[i].Info()
		if err != nil || info.Name() != want || (info.Mode().Perm()&0o100 != 0) != (want == "tools") {
			t.Errorf("%v, want %s", info, want)
		}
	}
}
