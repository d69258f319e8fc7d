package program

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Unfit says why the system will not execute the file, as far as that can be told
// without asking it; "" if nothing speaks against it. A program for another
// architecture passes: the system may run it all the same, itself or by an emulator.
func (f File) Unfit() string {
	line, script := f.firstLine()
	switch {
	case f.NoExec:
		return f.denied()
	case script:
		return f.noInterpreter(line)
	case !bytes.HasPrefix(f.Head, []byte(elf.ELFMAG)):
		return f.notForHere()
	case f.foreign() != "":
		return ""
	case cutOff(f.Head, f.Size):
		return damaged
	}
	if name := loaderOf(f.Head); name != "" && !exists(name) {
		reason, _ := f.notFound()
		return reason
	}
	return ""
}

// noInterpreter says what is wrong with the interpreter of a script.
func (f File) noInterpreter(line string) string {
	name := interpreter(line)
	if strings.HasSuffix(line, "\r") || !exists(name) {
		reason, _ := f.notFound()
		return reason
	}
	if fi, err := os.Stat(name); err != nil || !fi.Mode().IsRegular() || fi.Mode().Perm()&0o111 == 0 {
		return f.denied()
	}
	words := strings.Fields(line)
	if filepath.Base(name) != "env" || len(words) < 2 || strings.HasPrefix(words[1], "-") || strings.Contains(words[1], "=") {
		return ""
	}
	if _, err := exec.LookPath(words[1]); err != nil {
		return fmt.Sprintf("its interpreter %s is not in %s: install it there, or name it by its whole path in the first line", words[1], os.Getenv("PATH"))
	}
	return ""
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
