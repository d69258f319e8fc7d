package program

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAFileThatCannotBeExecutedIsToldWithoutStartingIt(t *testing.T) {
	t.Setenv("PATH", "/usr/bin:/bin")
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	whole := linked(t, "/proc/self/exe", 100)
	for name, c := range map[string]struct {
		file File
		want string
	}{
		"text":           {File{Head: []byte("hello")}, "a script must begin with #!"},
		"nothing":        {File{}, "not a program for this machine"},
		"Windows":        {File{Head: []byte("MZ\x90\x00")}, "is a program for Windows, and"},
		"archive":        {File{Head: []byte("PK\x03\x04")}, "is an archive, not a program"},
		"damaged":        {File{Head: whole, Size: 99}, damaged},
		"other libc":     {File{Head: linked(t, "/lib/ld-none.so.1", 0)}, "its loader /lib/ld-none.so.1 does not exist"},
		"noexec":         {File{Head: whole, NoExec: true}, "its file system is mounted noexec"},
		"line ends":      {File{Head: []byte("#!/bin/sh\r\n")}, carriageReturn},
		"no interpreter": {File{Head: []byte("#!/nowhere/python3\n")}, "its interpreter /nowhere/python3 does not exist: install it"},
		"none is named":  {File{Head: []byte("#!\n")}, "its interpreter (none is named) does not exist"},
		"no program":     {File{Head: []byte("#!" + plain + "\n")}, "its interpreter " + plain + " is not executable"},
		"a directory":    {File{Head: []byte("#!/\n")}, "its interpreter / is not executable"},
		"by env":         {File{Head: []byte("#!/usr/bin/env no-such-program\n")}, "its interpreter no-such-program is not in /usr/bin:/bin: install it there"},
		"found by env":   {File{Head: []byte("#!/usr/bin/env sh\n")}, ""},
		"options of env": {File{Head: []byte("#!/usr/bin/env -S no-such-program\n")}, ""},
		"script":         {File{Head: []byte("#! /bin/sh -e\necho\n")}, ""},
		"whole":          {File{Head: whole, Size: 1000}, ""},
		"emulated":       {File{Head: []byte(header(183, 1)), Size: 30}, ""},
		"32 bits":        {File{Head: []byte(header(3, 1)), Size: 30}, ""},
	} {
		if got := c.file.Unfit(); !strings.Contains(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestProgramsThatRunAreFit(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{self, "/bin/sh"} {
		f, err := os.Open(path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if reason := Look(f).Unfit(); reason != "" {
			t.Errorf("%s: %s", path, reason)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}
