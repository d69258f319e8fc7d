package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// badPlugin is a file in the plugins directory that cannot be served.
type badPlugin struct {
	content   []byte
	mode      os.FileMode // 0: 0755
	elsewhere string      // directory that it is in, and linked from
	// want is what every tool says of it, a pattern of the whole sentence.
	want string
	// checked is what the checker says instead; empty: the same.
	checked string
}

const plainScript = "#!/bin/sh\n"

func badPlugins(t *testing.T) map[string]badPlugin {
	built := " for linux/" + runtime.GOARCH + ": build it for that"
	foreign := func(system string) string {
		return "is a program for " + system + ", and this machine needs one" + built
	}
	line := func(handshake string) []byte {
		return []byte(plainScript + `[ "$GEOMILL_PLUGIN" ] || exit 2; echo '` + handshake + "'\nexec sleep 60\n")
	}
	all := map[string]badPlugin{
		"empty":          {want: "empty file: build or copy it anew", checked: "the file is empty: build or copy it anew"},
		"not-executable": {content: []byte(plainScript), mode: 0o644, want: "not executable: chmod \\+x /.*/not-executable", checked: "its mode is 644, not executable: chmod 755 it"},
		"text":           {content: []byte("not a program\n"), want: "not a program for this machine \\(a script must begin with #! and its interpreter\\)"},
		"archive":        {content: []byte("PK\x03\x04 and so on"), want: "is an archive, not a program: unpack it, and put the program that is in it here"},
		"windows":        {content: []byte("MZ\x90\x00 and so on"), want: foreign("Windows")},
		"macos":          {content: []byte("\xcf\xfa\xed\xfe and so on"), want: foreign("macOS")},
		"mips":           {content: []byte("\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 11) + "\x08\x00" + strings.Repeat("\x00", 50)), want: foreign("linux/mips64le")},
		"line-ends":      {content: []byte("#!/bin/sh\r\necho\r\n"), want: "its first line ends with a carriage return, .*: convert its line ends \\(dos2unix\\)"},
		"env-line-ends":  {content: []byte("#!/usr/bin/env sh\r\necho\r\n"), want: "its first line ends with a carriage return, .*: convert its line ends \\(dos2unix\\)"},
		"no-interpreter": {content: []byte("#!/nowhere/python3\n"), want: "its interpreter /nowhere/python3 does not exist: install it, or name another in the first line"},
		"no-loader":      {content: withLoader(t), want: "its loader /nowhere/ld.so does not exist: build it for the C library of this machine, or statically"},
		"cut-off":        {content: readBuilt(t)[:1<<20], want: "the program is damaged, perhaps cut off: copy it anew"},
		"later-protocol": {content: line("1|7|unix|/nowhere|grpc|"), want: "incompatible API version: it speaks version 7 of the plugin contract, and this host version 1: build it with an SDK that fits this host",
			checked: "the second field, the version of the protocol, is none of the offered 1"},
		"other-cookie": {content: []byte(plainScript + "echo 'This binary is a plugin. These are not meant to be executed directly.' >&2\nexit 1\n"),
			want: "is a plugin for another program than Geomill, which knows another cookie: build it with one of Geomill's SDKs"},
		"ordinary": {content: []byte(plainScript), want: "ended before the plugin handshake \\(exit status 0\\); is it a Geomill plugin\\? \\(geomill plugin check FILE finds out\\)",
			checked: "without arguments and cookie it ended with status 0"},
	}
	if text, err := os.ReadFile("/bin/true"); err == nil && bytes.Contains(text, []byte("\x00libc.so.6\x00")) {
		all["no-library"] = badPlugin{content: bytes.ReplaceAll(text, []byte("libc.so.6"), []byte("libx.so.6")),
			want:    "its library libx.so.6 is not found on this machine: install it, or build the program statically; if it is there, plugin-config.no-library.read must list where",
			checked: "its library libx.so.6 is not found on this machine: install it, or build the program statically"}
	} else {
		t.Log("NOT TESTED: a program without its library; /bin/true has none")
	}
	if dir := mountedNoExec(t); dir != "" {
		all["noexec"] = badPlugin{content: []byte(plainScript), elsewhere: dir, want: "its file system is mounted noexec: put it on another, or mount that with exec"}
	}
	return all
}

func readBuilt(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(built, "plugins", "hello-world"))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// withLoader is the beginning of a program for this machine that names a loader.
func withLoader(t *testing.T) []byte {
	const loader = "/nowhere/ld.so\x00"
	header := slices.Clone(readBuilt(t)[:64])
	entry := make([]byte, 56)
	binary.NativeEndian.PutUint64(header[32:], 64)
	binary.NativeEndian.PutUint16(header[56:], 1)
	binary.NativeEndian.PutUint32(entry, 3) // PT_INTERP
	binary.NativeEndian.PutUint64(entry[8:], 64+56)
	binary.NativeEndian.PutUint64(entry[32:], uint64(len(loader)))
	return slices.Concat(header, entry, []byte(loader))
}

// mountedNoExec returns a directory in which nothing may be executed; "" where
// none can be made.
func mountedNoExec(t *testing.T) string {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_NOEXEC, "mode=755"); err != nil {
		t.Log("NOT TESTED: a file system that is mounted noexec:", err)
		return ""
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// place puts the file into a plugins directory.
func (b badPlugin) place(t *testing.T, dir, name string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if b.elsewhere != "" {
		if err := os.Symlink(filepath.Join(b.elsewhere, name), path); err != nil {
			t.Fatal(err)
		}
	}
	if b.mode == 0 {
		b.mode = 0o755
	}
	if err := os.WriteFile(path, b.content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, b.mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// Whichever tool is asked about a bad plugin says the same about it, in one
// sentence that ends with what to do.
func TestABadPluginIsExplainedInOneSentence(t *testing.T) {
	t.Parallel()
	dir, data := t.TempDir(), t.TempDir()
	bad := badPlugins(t)
	for name, b := range bad {
		b.place(t, dir, name)
	}
	for _, twin := range []string{"twin-a", "twin-b"} {
		if err := os.Link(filepath.Join(built, "plugins", "hello-world"), filepath.Join(dir, twin)); err != nil {
			t.Fatal(err)
		}
	}
	clash := "is not offered: already offered by twin-a, the first by name: remove one of the two files, or rename them for the other to be first"

	t.Run("plugins", func(t *testing.T) {
		told := ran(t, 0, "plugins", "--plugins", dir, "--data", t.TempDir())
		for name, b := range bad {
			oneSentence(t, told, "(?m)^"+name+": ", b.want)
		}
		oneSentence(t, told, "(?m)^twin-b: ", "process hello-world "+clash)
	})
	t.Run("check", func(t *testing.T) {
		for name, b := range bad {
			if b.checked == "" {
				b.checked = b.want
			}
			told := ran(t, 1, "plugin", "check", filepath.Join(dir, name))
			oneSentence(t, told, "(?m)^ +seen: +", "(the line is .*: )?"+b.checked+".*")
		}
	})
	start := served(t, dir, data)
	for name, b := range bad {
		oneSentence(t, start, "(?m)^  refused  "+name+": ", b.want)
	}
	oneSentence(t, start, "(?m)^  refused  .*twin-b: ", strings.TrimPrefix(clash, "is not offered: "))
	for _, command := range []struct {
		name, before string
		code         int
	}{{"list", "refused since .*\\): ", 0}, {"verify", "", 1}} {
		told := ran(t, command.code, "plugin", command.name, "--data", data)
		for name, b := range bad {
			oneSentence(t, told, "(?m)^"+name+": "+command.before, "(verify plugin: )?"+b.want)
		}
		if command.name == "list" {
			oneSentence(t, told, "(?m)^twin-b: ", "process hello-world "+clash)
		}
	}
}

// oneSentence fails unless there is exactly one line with a beginning that goes on
// as it should.
func oneSentence(t *testing.T, told, beginning, want string) {
	t.Helper()
	if n := len(regexp.MustCompile(beginning+want+"$").FindAllString(told, -1)); n != 1 {
		t.Errorf("%d times %q:\n%s", n, beginning+want, told)
	}
}

// ran runs the built tool and returns what it printed.
func ran(t *testing.T, code int, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(built, "geomill"), args...)
	cmd.WaitDelay = patience
	out, _ := cmd.Output()
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Errorf("geomill %s: exit code %d, want %d", strings.Join(args, " "), got, code)
	}
	return string(out)
}

// served starts a server that ends with the test, and returns what it says at its
// start.
func served(t *testing.T, plugins, data string) string {
	t.Helper()
	cmd := exec.Command(filepath.Join(built, "geomill"), "serve", "--listen", "127.0.0.1:0", "--plugins", plugins, "--data", data)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	watchdog := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the server ended with %v", err)
		}
		watchdog.Stop()
	})
	var said strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
		if strings.HasPrefix(lines.Text(), "try:") {
			break
		}
	}
	return said.String()
}
