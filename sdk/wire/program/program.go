// Package program says in a sentence why a file cannot be started as a plugin on
// this machine, and what to do about it: a program for another system, a script
// without its interpreter, a program without its libraries, a plugin of somebody
// else. It goes by what the system answered, by the beginning of the file and by
// what the program said last; it starts nothing. It imports only the standard
// library; its central type is File.
package program

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
)

// HeadBytes is how much of a file is looked at.
const HeadBytes = 4 << 10

// File is what is known of an executable.
type File struct {
	Head   []byte // the first HeadBytes of it, or all
	Size   int64  // bytes; 0: not known
	NoExec bool   // its file system lets nothing be executed
}

// Look reads what tells about an open file. What cannot be read is not known.
func Look(f *os.File) File {
	head := make([]byte, HeadBytes)
	n, _ := f.ReadAt(head, 0)
	file := File{Head: head[:n], NoExec: noExec(f)}
	if fi, err := f.Stat(); err == nil {
		file.Size = fi.Size()
	}
	return file
}

// Exec explains the error of the system that was asked to execute the file; "" if
// it tells nothing of that kind. Lasting says that it lies in the content of the
// file, and does not pass until there is another.
func (f File) Exec(err error) (reason string, lasting bool) {
	switch {
	case errors.Is(err, syscall.ENOEXEC):
		return f.notForHere(), true
	case errors.Is(err, syscall.ENOENT):
		return f.notFound()
	case errors.Is(err, syscall.EACCES):
		return f.denied(), false
	case errors.Is(err, syscall.ETXTBSY):
		return "the file is still open for writing: close it, or put a copy in its place by a rename", false
	case errors.Is(err, syscall.EIO), errors.Is(err, syscall.EINVAL):
		return damaged, true
	}
	return "", false
}

const (
	damaged        = "the program is damaged, perhaps cut off: copy it anew"
	carriageReturn = "its first line ends with a carriage return, as in a text file of Windows: convert its line ends (dos2unix)"
)

func (f File) notForHere() string {
	if reason := f.foreign(); reason != "" {
		return reason
	}
	for _, magic := range []string{"PK\x03\x04", "\x1f\x8b", "BZh", "\xfd7zXZ", "\x28\xb5\x2f\xfd"} {
		if bytes.HasPrefix(f.Head, []byte(magic)) {
			return "is an archive, not a program: unpack it, and put the program that is in it here"
		}
	}
	return "not a program for this machine (a script must begin with #! and its interpreter)"
}

// foreign names the system that a program is for, if that is another.
func (f File) foreign() string {
	system := systemOf(f.Head)
	if system == "" {
		return ""
	}
	return fmt.Sprintf("is a program for %s, and this machine needs one for %s/%s: build it for that", system, runtime.GOOS, runtime.GOARCH)
}

// notFound names the interpreter, or the loader, that does not exist.
func (f File) notFound() (reason string, lasting bool) {
	line, script := f.firstLine()
	switch {
	case script && strings.HasSuffix(line, "\r"):
		return carriageReturn, true
	case script:
		return fmt.Sprintf("its interpreter %s does not exist: install it, or name another in the first line", interpreter(line)), false
	}
	if reason := f.foreign(); reason != "" {
		return reason, true
	}
	loader := "the loader named in the program's header"
	if name := loaderOf(f.Head); name != "" {
		loader = "its loader " + name
	}
	return loader + " does not exist: build it for the C library of this machine, or statically", false
}

func (f File) denied() string {
	line, script := f.firstLine()
	if f.NoExec {
		return "its file system is mounted noexec: put it on another, or mount that with exec"
	}
	if script {
		name := interpreter(line)
		if fi, err := os.Stat(name); err == nil && (!fi.Mode().IsRegular() || fi.Mode().Perm()&0o111 == 0) {
			return fmt.Sprintf("its interpreter %s is not executable: name another in the first line", name)
		}
		if path := closed(name); path != "" {
			return fmt.Sprintf("its interpreter %s needs %s, which not every user may pass through: chmod o+x it, or name an interpreter elsewhere in the first line", name, path)
		}
	}
	return "the system refuses to execute it: chmod 755 it and the directories above, and mount its file system with exec"
}

// closed returns the first directory on the way to a program, through all its
// symbolic links, that is not open to all users; "" if there is none.
func closed(program string) string {
	const maxLinks = 16
	for range maxLinks {
		for i, r := range program {
			if r != '/' || i == 0 {
				continue
			}
			if fi, err := os.Stat(program[:i]); err != nil || fi.Mode().Perm()&1 == 0 {
				return program[:i]
			}
		}
		next, err := os.Readlink(program)
		if err != nil {
			return ""
		}
		if !filepath.IsAbs(next) {
			next = filepath.Join(filepath.Dir(program), next)
		}
		program = next
	}
	return ""
}

// firstLine returns what follows #! in the first line of a script.
func (f File) firstLine() (line string, script bool) {
	rest, script := bytes.CutPrefix(f.Head, []byte("#!"))
	first, _, _ := bytes.Cut(rest, []byte("\n"))
	return string(first), script
}

// interpreter is the program that the kernel executes for a script.
func interpreter(line string) string {
	if words := strings.Fields(line); len(words) > 0 {
		return words[0]
	}
	return "(none is named)"
}

var (
	noLibrary = regexp.MustCompile(`error while loading shared libraries: ([^:\s]+): cannot open`)
	muslNone  = regexp.MustCompile(`Error loading shared library ([^:\s]+):`)
	oldLibc   = regexp.MustCompile("version [`'‘]([A-Z]+_[0-9.]+)['’] not found")
)

// otherCookie is what go-plugin has a program say that was started without the
// cookie that it waits for.
const otherCookie = "This binary is a plugin."

// Ended explains by its last words why a program of the file has ended before its
// handshake; "" if nothing of that kind is known. Hidden says that what lacks may
// be there, where the program was not allowed to look.
func (f File) Ended(words string) (reason string, hidden bool) {
	line, script := f.firstLine()
	switch {
	case script && strings.HasSuffix(line, "\r"):
		return carriageReturn, false
	case strings.Contains(words, otherCookie):
		return "is a plugin for another program than Geomill, which knows another cookie: build it with one of Geomill's SDKs", false
	}
	for _, pattern := range []*regexp.Regexp{noLibrary, muslNone} {
		if m := pattern.FindStringSubmatch(words); m != nil {
			return fmt.Sprintf("its library %s is not found on this machine: install it, or build the program statically", filepath.Base(m[1])), true
		}
	}
	if m := oldLibc.FindStringSubmatch(words); m != nil {
		return fmt.Sprintf("needs %s, which is newer than the library of this machine: build it on a system as old as this one, or statically", m[1]), false
	}
	// Only one that has said nothing that is known is judged by its header, for it
	// was started, perhaps by an emulator.
	if reason := f.foreign(); reason != "" {
		return reason, false
	}
	if cutOff(f.Head, f.Size) {
		return damaged, false
	}
	return f.python(words)
}
