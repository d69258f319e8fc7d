package program

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// header is the beginning of a program for a machine, in one byte order.
func header(machine, order byte) string {
	return "\x7fELF\x02" + string([]byte{order}) + strings.Repeat("\x00", 12) + string([]byte{machine, 0}) + "rest"
}

// linked is the beginning of a program of this machine's architecture that names a
// loader and has size bytes to be loaded.
func linked(t *testing.T, loader string, size uint64) []byte {
	t.Helper()
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Skip("no /proc:", err)
	}
	defer self.Close()
	b := append(Look(self).Head[:64], make([]byte, 2*56)...)
	o := order(b)
	o.PutUint64(b[32:], 64) // the program header follows
	o.PutUint16(b[54:], 56)
	o.PutUint16(b[56:], 2)
	put := func(at int, kind uint32, offset, size uint64) {
		o.PutUint32(b[at:], kind)
		o.PutUint64(b[at+8:], offset)
		o.PutUint64(b[at+32:], size)
	}
	put(64, 3, uint64(len(b)), uint64(len(loader)+1))
	put(64+56, 1, 0, size)
	return append(append(b, loader...), 0)
}

func TestAFileThatIsNotExecutedSaysWhatToDo(t *testing.T) {
	t.Parallel()
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	private, through := filepath.Join(filepath.Dir(plain), "private"), filepath.Join(filepath.Dir(plain), "python3")
	if err := errors.Join(os.Mkdir(private, 0o700), os.WriteFile(filepath.Join(private, "python3"), nil, 0o755), os.Symlink("private/python3", through),
		os.Chmod(filepath.Dir(filepath.Dir(plain)), 0o711)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		err     error
		file    File
		want    string
		lasting bool
	}{
		"arm64":      {syscall.ENOEXEC, File{Head: []byte(header(183, 1))}, "is a program for linux/arm64, and this machine needs one for linux/", true},
		"s390x":      {syscall.ENOEXEC, File{Head: []byte("\x7fELF\x02\x02" + strings.Repeat("\x00", 12) + "\x00\x16")}, "is a program for linux/s390x", true},
		"unknown":    {syscall.ENOEXEC, File{Head: []byte(header(2, 1))}, "is a program for linux/EM_SPARC", true},
		"mips64le":   {syscall.ENOEXEC, File{Head: []byte(header(8, 1))}, "is a program for linux/mips64le,", true},
		"mips":       {syscall.ENOEXEC, File{Head: []byte("\x7fELF\x01\x02" + strings.Repeat("\x00", 12) + "\x00\x08")}, "is a program for linux/mips,", true},
		"ppc64":      {syscall.ENOEXEC, File{Head: []byte("\x7fELF\x02\x02" + strings.Repeat("\x00", 12) + "\x00\x15")}, "is a program for linux/ppc64,", true},
		"ppc64le":    {syscall.ENOEXEC, File{Head: []byte(header(21, 1))}, "is a program for linux/ppc64le,", true},
		"short":      {syscall.ENOEXEC, File{Head: []byte("\x7fELF")}, "not a program for this machine", true},
		"Windows":    {syscall.ENOEXEC, File{Head: []byte("MZ\x90\x00")}, "is a program for Windows, and", true},
		"macOS":      {syscall.ENOEXEC, File{Head: []byte("\xcf\xfa\xed\xfe\x0c")}, "is a program for macOS, and", true},
		"archive":    {syscall.ENOEXEC, File{Head: []byte("\x1f\x8b\x08")}, "is an archive, not a program: unpack it", true},
		"text":       {syscall.ENOEXEC, File{Head: []byte("hello")}, "a script must begin with #!", true},
		"nowhere":    {syscall.ENOENT, File{Head: []byte("#!/opt/no/python3 -u\nimport x\n")}, "its interpreter /opt/no/python3 does not exist: install it", false},
		"none":       {syscall.ENOENT, File{Head: []byte("#!\n")}, "its interpreter (none is named) does not exist", false},
		"line ends":  {syscall.ENOENT, File{Head: []byte("#!/usr/bin/python3\r\nimport x\r\n")}, "convert its line ends", true},
		"other libc": {syscall.ENOENT, File{Head: linked(t, "/lib/ld-none.so.1", 0)}, "its loader /lib/ld-none.so.1 does not exist: build it for the C library", false},
		"32 bits":    {syscall.ENOENT, File{Head: []byte(header(3, 1))}, "is a program for linux/386", true},
		"damaged":    {syscall.EIO, File{Head: []byte(header(62, 1))}, "copy it anew", true},
		"noexec":     {syscall.EACCES, File{Head: []byte(header(62, 1)), NoExec: true}, "its file system is mounted noexec: put it on another", false},
		"no program": {syscall.EACCES, File{Head: []byte("#!" + plain + "\n")}, "its interpreter " + plain + " is not executable", false},
		"private":    {syscall.EACCES, File{Head: []byte("#!" + through + "\n")}, "its interpreter " + through + " needs " + private + ", which not every user may pass through", false},
		"denied":     {syscall.EACCES, File{Head: []byte("#!/bin/sh\n")}, "the system refuses to execute it: chmod 755", false},
		"written":    {syscall.ETXTBSY, File{}, "still open for writing", false},
		"not for us": {errors.New("no luck"), File{}, "", false},
	} {
		got, lasting := c.file.Exec(c.err)
		if !strings.Contains(got, c.want) || c.want == "" && got != "" || lasting != c.lasting {
			t.Errorf("%s: %q, lasting %v; want %q, %v", name, got, lasting, c.want, c.lasting)
		}
	}
}

func TestAProgramThatEndedSaysWhatItLacks(t *testing.T) {
	t.Parallel()
	whole := File{Head: linked(t, "/lib/ld.so", 100), Size: 1000}
	for name, c := range map[string]struct {
		file   File
		words  string
		want   string
		hidden bool
	}{
		"library":        {whole, "./x: error while loading shared libraries: libgdal.so.32: cannot open shared object file: No such file or directory", "its library libgdal.so.32 is not found", true},
		"library, musl":  {whole, "Error loading shared library libgdal.so.32: No such file or directory (needed by ./x)", "its library libgdal.so.32 is not found", true},
		"newer libc":     {whole, "./x: /lib/libc.so.6: version `GLIBC_2.99' not found (required by ./x)", "needs GLIBC_2.99, which is newer", false},
		"another cookie": {whole, "This binary is a plugin. These are not meant to be executed directly.", "is a plugin for another program than Geomill", false},
		"line ends":      {File{Head: []byte("#!/usr/bin/env python3\r\n")}, "env: python3\\r: No such file", "convert its line ends", false},
		"32 bits":        {File{Head: []byte(header(3, 1))}, "", "is a program for linux/386", false},
		"cut off":        {File{Head: whole.Head, Size: 99}, "", "perhaps cut off", false},
		"emulated":       {File{Head: []byte(header(183, 1))}, "./x: error while loading shared libraries: libgdal.so.32: cannot open shared object file: No such file or directory", "its library libgdal.so.32 is not found", true},
		"odd header":     {File{Head: whole.Head, Size: 99}, "./x: /lib/libc.so.6: version `GLIBC_2.99' not found (required by ./x)", "needs GLIBC_2.99, which is newer", false},
		"nothing":        {whole, "no luck", "", false},
	} {
		got, hidden := c.file.Ended(c.words)
		if !strings.Contains(got, c.want) || c.want == "" && got != "" || hidden != c.hidden {
			t.Errorf("%s: %q, hidden %v; want %q, %v", name, got, hidden, c.want, c.hidden)
		}
	}
}

// What is read of a file is written by anybody.
func FuzzHeaders(f *testing.F) {
	f.Add([]byte(header(62, 1)), int64(10))
	long := make([]byte, 256)
	copy(long, "\x7fELF\x02\x01")
	binary.LittleEndian.PutUint64(long[32:], 64)
	binary.LittleEndian.PutUint16(long[54:], 56)
	binary.LittleEndian.PutUint16(long[56:], 65535)
	f.Add(long, int64(1))
	f.Fuzz(func(t *testing.T, head []byte, size int64) {
		file := File{Head: head, Size: size}
		for _, err := range []error{syscall.ENOEXEC, syscall.ENOENT, syscall.EACCES} {
			if reason, _ := file.Exec(err); reason == "" {
				t.Errorf("no reason for %v", err)
			}
		}
		file.Ended("")
		file.Unfit()
	})
}
