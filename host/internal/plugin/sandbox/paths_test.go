package sandbox

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// tree makes directories and files (those whose names do not end in a slash) and
// returns where.
func tree(t *testing.T, names ...string) string {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		path := filepath.Join(root, name)
		if name[len(name)-1] == '/' {
			err = os.MkdirAll(path, 0o755)
		} else {
			if err = os.MkdirAll(filepath.Dir(path), 0o755); err == nil {
				err = os.WriteFile(path, nil, 0o644)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestWithoutGrantsAllButTheExceptions(t *testing.T) {
	t.Parallel()
	root := tree(t, "a/x", "a/data/jobs/", "a/data/store/", "b/y", "ab/")
	if err := os.Symlink(filepath.Join(root, "a/data"), filepath.Join(root, "b/link")); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ paths, except, want []string }{
		"no exception":               {[]string{"a", "b"}, nil, []string{"a", "b"}},
		"the exception itself":       {[]string{"a/data"}, []string{"a/data"}, nil},
		"below it":                   {[]string{"a/data/jobs"}, []string{"a/data"}, nil},
		"a link into it":             {[]string{"b/link"}, []string{"a/data"}, nil},
		"above it":                   {[]string{"a"}, []string{"a/data"}, []string{"a/x"}},
		"far above it":               {[]string{""}, []string{"a/data/jobs"}, []string{"a/data/store", "a/x", "ab", "b"}},
		"a name that begins like it": {[]string{"ab"}, []string{"a"}, []string{"ab"}},
		"what does not exist":        {[]string{"nowhere"}, []string{"a"}, nil},
		"an exception that does not": {[]string{"b"}, []string{"b/nowhere"}, []string{"b/y"}},
	} {
		in := func(names []string) (paths []string) {
			for _, n := range names {
				paths = append(paths, filepath.Join(root, n))
			}
			return paths
		}
		if got := without(in(tt.paths), in(tt.except)); !slices.Equal(got, in(tt.want)) {
			t.Errorf("%s: %v, want %v", name, got, in(tt.want))
		}
	}
}

func TestInterpreterIsThatOfTheFirstLine(t *testing.T) {
	t.Parallel()
	bin := tree(t, "python3", "node")
	for line, want := range map[string]string{
		"#!/bin/sh\nexec x":                    "/bin/sh",
		"#! /opt/venv/bin/python3 -u\n":        "/opt/venv/bin/python3",
		"#!/usr/bin/env python3\n":             filepath.Join(bin, "python3"),
		"#!/usr/bin/env -S A=b node --quiet\n": filepath.Join(bin, "node"),
		"#!/usr/bin/env /opt/node\n":           "/opt/node",
		"#!/usr/bin/env perl\n":                "",
		"#!/usr/bin/env\n":                     "",
		"#!":                                   "",
		"\x7fELF":                              "",
		"":                                     "",
	} {
		if got := Interpreter([]byte(line), "/nowhere:"+bin); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

func FuzzInterpreter(f *testing.F) {
	f.Add([]byte("#!/usr/bin/env -S A=b python3\n"))
	f.Add([]byte("#!\n"))
	f.Fuzz(func(t *testing.T, head []byte) {
		if got := Interpreter(head, "/bin"); len(got) > firstLine+len("/bin/") {
			t.Errorf("an interpreter of %d bytes", len(got))
		}
	})
}

func TestInstallationFollowsAVirtualEnvironmentToItsPython(t *testing.T) {
	t.Parallel()
	root := tree(t, "venv/bin/", "venv/lib/python3.11/site-packages/own-1.dist-info/", "venv/lib/python3.11/site-packages/other-1.dist-info/", "src/", "my project/", "other/", "python/bin/python3.11", "python/lib/", "home/bin/", "home/.ssh/key")
	link := func(from, to string) {
		if err := os.Symlink(to, filepath.Join(root, from)); err != nil {
			t.Fatal(err)
		}
	}
	link("venv/bin/python3", "python")
	link("venv/bin/python", filepath.Join(root, "python/bin/python3.11"))
	if err := os.WriteFile(filepath.Join(root, "venv/pyvenv.cfg"), []byte("home = "+root+"/base/bin\nversion = 3.11\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	script := "#!" + root + "/venv/bin/python3\n"
	if err := os.WriteFile(filepath.Join(root, "venv/bin/tool"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	pth := "import os; do(this)\n" + root + "/src\nrelative\n"
	if err := os.WriteFile(filepath.Join(root, "venv/lib/python3.11/site-packages/e.pth"), []byte(pth), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"own":   `{"dir_info": {"editable": true}, "url": "file://` + root + `/my%20project"}`,
		"other": `{"dir_info": {}, "url": "file://` + root + `/other"}`,
	} {
		if err := os.WriteFile(filepath.Join(root, "venv/lib/python3.11/site-packages", name+"-1.dist-info", "direct_url.json"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got := Installation(filepath.Join(root, "venv/bin/tool"), "", []string{filepath.Join(root, "elsewhere")})
	if slices.Contains(got, filepath.Join(root, "other")) {
		t.Errorf("what a package was copied from is among %v", got)
	}
	for _, want := range []string{"venv/bin", "venv/lib", "venv/pyvenv.cfg", "python/bin", "python/lib", "base/lib", "python/bin/python3.11", "src", "my project"} {
		if !slices.Contains(got, filepath.Join(root, want)) {
			t.Errorf("%s is not among %v", want, got)
		}
	}
	for _, path := range append(got, Installation(filepath.Join(root, "home/bin/tool"), "", nil)...) {
		if contains(path, filepath.Join(root, "home/.ssh/key")) {
			t.Errorf("%s grants a key in somebody's home", path)
		}
	}
	link("home/bin/a", "b")
	link("home/bin/b", "a")
	Installation(filepath.Join(root, "home/bin/a"), "", nil) // ends
}

func TestAnInstallationThatIsTheirsRefersToNothing(t *testing.T) {
	t.Parallel()
	const packages = "venv/lib/python3.11/site-packages/"
	root := tree(t, "plugins/raster/venv/bin/python3", "plugins/raster/"+packages+"own-1.dist-info/", "secret/", "project/")
	at := filepath.Join(root, "plugins/raster", packages)
	for name, text := range map[string]string{
		"e.pth":                           root + "/secret\n",
		"own-1.dist-info/direct_url.json": `{"dir_info": {"editable": true}, "url": "file://` + root + `/project"}`,
	} {
		if err := os.WriteFile(filepath.Join(at, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(root, "plugins"), filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	python := filepath.Join(root, "plugins/raster/venv/bin/python3")
	for name, c := range map[string]struct {
		theirs []string
		want   bool
	}{
		"another's":             {[]string{filepath.Join(root, "plug"), filepath.Join(root, "nowhere"), ""}, true},
		"theirs":                {[]string{filepath.Join(root, "plugins")}, false},
		"theirs through a link": {[]string{filepath.Join(root, "secret"), filepath.Join(root, "link")}, false},
	} {
		got := Installation(python, "", c.theirs)
		for _, path := range []string{filepath.Join(root, "secret"), filepath.Join(root, "project")} {
			if slices.Contains(got, path) != c.want {
				t.Errorf("%s: %s is among %v: %v", name, path, got, !c.want)
			}
		}
		if !slices.Contains(got, filepath.Join(root, "plugins/raster/venv/lib")) {
			t.Errorf("%s: its own libraries are not among %v", name, got)
		}
	}
}
