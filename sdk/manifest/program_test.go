package manifest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"geomill/sdk/sdktest"
	"geomill/sdk/wire"
)

func TestACommandIsNotTakenForAPlugin(t *testing.T) {
	t.Setenv(wire.CookieKey, wire.CookieValue)
	t.Setenv(wire.LifelineFD, "3")
	t.Setenv("PLUGIN_UNIX_SOCKET_DIR", "/nowhere")
	t.Setenv(wire.InstanceMark, "mark")
	p := only(t, `outputs: {said: {schema: {type: string}, from: stdout}}, env: {OWN: yes}, command: [env]`)
	var said string
	sdktest.Run(t, p, map[string]any{}).Decode("said", &said)
	for _, name := range []string{wire.CookieKey, wire.LifelineFD, "PLUGIN_"} {
		if strings.Contains(said, name) {
			t.Errorf("%s in\n%s", name, said)
		}
	}
	for _, variable := range []string{wire.InstanceMark + "=mark", "OWN=yes", wire.JobMark} {
		if !strings.Contains(said, variable) {
			t.Errorf("no %s in\n%s", variable, said)
		}
	}
}

func TestWhatTheHostHasOpenedIsExecuted(t *testing.T) {
	dir := t.TempDir()
	manifest, program := filepath.Join(dir, "tools.yaml"), filepath.Join(dir, "tools")
	text := "processes: {p: {command: [./tools, a], outputs: {said: {schema: {type: string}, from: stdout}}}}"
	if err := errors.Join(os.WriteFile(manifest, []byte(text), 0o600), os.WriteFile(program, []byte(tool), 0o700)); err != nil {
		t.Fatal(err)
	}
	first := 200 // as a host would have it: numbers in a row
	for i, path := range []string{manifest, program} {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := syscall.Dup3(int(f.Fd()), first+i, 0); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv(wire.ManifestFiles, "200/tools.yaml/tools")
	m, err := Open(manifest)
	if err != nil {
		t.Fatal(err)
	}
	other := program + ".new"
	if err := errors.Join(os.WriteFile(other, []byte("#!/bin/sh\necho other\n"), 0o700), os.Rename(other, program)); err != nil {
		t.Fatal(err)
	}
	var said string
	sdktest.Run(t, m.Processes[0], map[string]any{}).Decode("said", &said)
	if said != "a" {
		t.Errorf("%q", said)
	}
	if _, ok := os.LookupEnv(wire.ManifestFiles); ok {
		t.Error("the tools are told of the descriptors")
	}
}

func TestAProgramThatWasWrittenToIsNotExecuted(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tool")
	if err := os.WriteFile(path, []byte(tool), 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	m, err := read(strings.NewReader("processes: {p: {command: [./tool], outputs: {o: {schema: {type: string}, from: stdout}}}}"), "tools",
		place{filepath.Dir(path), map[string]*opened{"tool": {f, fi.Size(), fi.ModTime()}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(tool+"echo more\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	r := sdktest.Run(t, m.Processes[0], map[string]any{})
	if p, ok := errors.AsType[*wire.Problem](r.Err); !ok || !p.Retryable || !strings.Contains(p.Detail, "has changed") {
		t.Errorf("%v", r.Err)
	}
}

func TestAToolOutsideOfTheManifestIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "other"), []byte(tool), 0o700), os.Mkdir(filepath.Join(dir, "bin"), 0o700),
		os.WriteFile(filepath.Join(dir, "bin", "tool"), []byte(tool), 0o700)); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"./other", "bin/tool", "../x/other"} {
		text := "processes: {p: {command: [" + command + "], outputs: {o: {schema: {}, from: stdout}}}}"
		_, err := read(strings.NewReader(text), "tools", place{dir, map[string]*opened{}})
		want := command + " is not a tool of this manifest"
		if command == "../x/other" {
			want = "there is no program " + command + " beside the manifest: put it there"
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", command, err)
		}
	}
}
