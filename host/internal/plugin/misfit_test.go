package plugin

import (
	"errors"
	"strings"
	"syscall"
	"testing"
)

func TestAFileThatIsNotExecutedSaysWhatToDo(t *testing.T) {
	t.Parallel()
	program := func(machine, order byte) string {
		return "\x7fELF\x02" + string([]byte{order}) + strings.Repeat("\x00", 12) + string([]byte{machine, 0}) + "rest"
	}
	for name, c := range map[string]struct {
		err  error
		head string
		want string
	}{
		"arm64":      {syscall.ENOEXEC, program(183, 1), "is a program for linux/arm64, and this machine needs one for linux/"},
		"s390x":      {syscall.ENOEXEC, "\x7fELF\x02\x02" + strings.Repeat("\x00", 12) + "\x00\x16", "is a program for linux/s390x"},
		"unknown":    {syscall.ENOEXEC, program(8, 1), "is a program for linux/EM_MIPS"},
		"cut off":    {syscall.ENOEXEC, "\x7fELF", "not a program for this machine"},
		"Windows":    {syscall.ENOEXEC, "MZ\x90\x00", "is a program for Windows, and"},
		"macOS":      {syscall.ENOEXEC, "\xcf\xfa\xed\xfe\x0c", "is a program for macOS, and"},
		"text":       {syscall.ENOEXEC, "hello", "a script must begin with #!"},
		"nowhere":    {syscall.ENOENT, "#!/opt/no/python3 -u\nimport x\n", "its interpreter /opt/no/python3 does not exist: install it"},
		"line ends":  {syscall.ENOENT, "#!/usr/bin/python3\r\nimport x\r\n", "convert its line ends"},
		"no loader":  {syscall.ENOENT, program(62, 1), "the loader named in the program's header does not exist"},
		"damaged":    {syscall.EIO, program(62, 1), "copy it anew"},
		"not for us": {errors.New("no luck"), "", "start plugin: no luck"},
	} {
		if got := explainExec(c.err, []byte(c.head)).Error(); !strings.Contains(got, c.want) {
			t.Errorf("%s: %q; want %q", name, got, c.want)
		}
	}
}

func TestWhatAPluginHasNotFoundIsNamed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ head, words, want string }{
		{"#!/opt/venv/bin/python3\n", "ModuleNotFoundError: No module named 'shapely'",
			"its Python, /opt/venv/bin/python3, has no package shapely: install it there (/opt/venv/bin/python3 -m pip install PACKAGE)"},
		{"#!/bin/sh\n", "ModuleNotFoundError: No module named 'shapely'", "its Python, /bin/sh, has no package shapely"},
		{"#!/usr/bin/env nothing9\n", "/usr/bin/env: ‘nothing9’: No such file or directory", "its interpreter nothing9 is not in /usr/local/bin:/usr/bin:/bin"},
		{"#!/usr/bin/env nothing9\n", "/usr/bin/env: 'nothing9': No such file or directory", "its interpreter nothing9 is not in"},
		{"\x7fELF", "ModuleNotFoundError: No module named 'x'", ""},
		{"#!/bin/sh\n", "nothing to say", ""},
	} {
		if got := missing([]byte(c.head), c.words, "slope"); !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
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
