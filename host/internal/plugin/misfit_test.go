package plugin

import (
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"geomill/sdk/wire/program"
)

func TestOnlyWhatLiesInAFileLasts(t *testing.T) {
	t.Parallel()
	for err, lasts := range map[error]bool{
		syscall.ENOEXEC: true, syscall.EIO: true, syscall.ENOENT: false, syscall.EACCES: false, errKilled: false, errors.New("no luck"): false,
	} {
		if _, lasting := errors.AsType[misfit](explainExec(err, program.File{Head: []byte("#!/opt/no/python3\n")})); lasting != lasts {
			t.Errorf("%v: lasting %v", err, lasting)
		}
	}
}

func TestWhatIsExecutedIsExplained(t *testing.T) {
	t.Parallel()
	dir := files(t, map[string]string{"a.yaml": aManifest, "b*": "#!/bin/sh\n"})
	program, err := openProgram(place(t, filepath.Dir(dir), "program", []byte("\x7fELF"), 0o755))
	if err != nil {
		t.Fatal(err)
	}
	defer program.close()
	manifest := &child{exe: opened(t, candidateAt(t, dir, "a.yaml")), program: program}
	for err, want := range map[error]string{
		syscall.EACCES: "execute " + program.path + ", which serves manifests: ",
		syscall.EIO:    "execute " + program.path + ", which serves manifests: the program is damaged",
	} {
		if got := manifest.explain(err).Error(); !strings.HasPrefix(got, want) || strings.Contains(got, "a.yaml") {
			t.Errorf("%v: %q", err, got)
		}
	}
	plain := &child{exe: opened(t, candidateAt(t, dir, "b")), program: program}
	if got := plain.explain(syscall.EIO).Error(); !strings.HasPrefix(got, "the program is damaged") {
		t.Errorf("of its own file: %q", got)
	}
	if err := manifest.explain(errKilled); !errors.Is(err, errKilled) {
		t.Errorf("a start that was called off: %v", err)
	}
}

func TestWhatAPluginHasNotFoundIsNamed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ head, words, want string }{
		{"#!/opt/venv/bin/python3\n", "ModuleNotFoundError: No module named 'shapely'",
			"its Python, /opt/venv/bin/python3, has no package shapely: install it there (/opt/venv/bin/python3 -m pip install PACKAGE)"},
		{"#!/bin/sh\n", "ModuleNotFoundError: No module named 'shapely'", "its Python has no package shapely: install it there (python3 -m pip install PACKAGE); if it is there, plugin-config.slope.read must list where"},
		{"#!/usr/bin/env nothing9\n", "/usr/bin/env: ‘nothing9’: No such file or directory", "its interpreter nothing9 is not in /usr/local/bin:/usr/bin:/bin"},
		{"#!/usr/bin/env nothing9\n", "/usr/bin/env: 'nothing9': No such file or directory", "its interpreter nothing9 is not in"},
		{"\x7fELF", "slope: error while loading shared libraries: libgdal.so.32: cannot open shared object file: No such file or directory",
			"its library libgdal.so.32 is not found on this machine: install it, or build the program statically; if it is there, plugin-config.slope.read must list where"},
		{"\x7fELF", "ModuleNotFoundError: No module named 'x'", ""},
		{"#!/bin/sh\n", "nothing to say", ""},
	} {
		if got := ended(program.File{Head: []byte(c.head)}, c.words, "slope"); !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%q: %q; want %q", c.words, got, c.want)
		}
	}
}

func TestAHandshakeOfAnotherVersionSaysWhichOnesAreSpoken(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]string{
		"incompatible API version with plugin. Plugin version: 9, Client versions: [1]":                        "it speaks version 9 of the plugin contract, and this host version 1",
		"incompatible core API version with plugin. Plugin version: 2, Core version: 1\n\nTo fix this, report": "it speaks version 2 of go-plugin's handshake",
		`unsupported plugin protocol "netrpc". Supported: [grpc]`:                                              `speaks "netrpc", and a plugin must speak grpc`,
		"something else": "handshake: something else",
	} {
		if got := foreignHandshake(errors.New(said)).Error(); !strings.Contains(got, want) || strings.Contains(got, "\n") {
			t.Errorf("%q: %q; want %q", said, got, want)
		}
	}
}
